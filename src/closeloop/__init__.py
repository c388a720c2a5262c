"""closeloop turns customer feedback into verified fixes."""

__version__ = "0.1.0"
