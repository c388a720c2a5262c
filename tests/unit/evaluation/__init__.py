"""Tests of measuring closeloop on labelled files."""
