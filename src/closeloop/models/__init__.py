"""Embedders and writers behind their ports."""
