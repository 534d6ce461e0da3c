"""What a Redis says of itself."""


def info_fields(about: str) -> dict[str, str]:
    """Return the fields of an answer to `INFO`, by their names."""
    lines = (line.strip().partition(":") for line in about.splitlines())
    return {name: value for name, colon, value in lines if colon}
