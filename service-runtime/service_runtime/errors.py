"""Errors that end a program at its start."""


class StartError(Exception):
    """The program cannot start as it was asked to; the text is one line for the person who started it."""
