"""Sources of changes and exposure."""
