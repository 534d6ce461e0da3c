"""The commands, in groups; Typer calls one function for each."""
