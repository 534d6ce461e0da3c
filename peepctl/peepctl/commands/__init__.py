"""The commands that talk to a server, in groups; each is a function that Typer calls."""
