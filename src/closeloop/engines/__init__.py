"""Engines hold the tables and run batch and table steps."""
