"""Runs the command line: python -m closeloop."""

from closeloop.cli.main import program

program()
