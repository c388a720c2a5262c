"""Measures closeloop on a labelled file: the stages of a run over tables in memory, then figures."""
