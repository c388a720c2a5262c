"""Sources of feedback."""
