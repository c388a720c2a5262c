"""The operational database and its migrations."""
