"""Connectors to the outside, one file a service."""
