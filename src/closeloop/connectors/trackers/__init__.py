"""Trackers of tickets."""
