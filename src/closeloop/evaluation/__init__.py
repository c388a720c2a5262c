"""Measures closeloop on a labelled file: the stages of a run, then figures."""
