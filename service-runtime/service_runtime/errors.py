"""The error that ends a program at its start."""


class StartError(Exception):
    """The program cannot start as requested; the text is one line for the person who started it."""
