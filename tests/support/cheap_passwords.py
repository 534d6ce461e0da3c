"""Passwords that cost next to nothing to hash and to check, for tests whose subject is not that cost."""

from state_store.credentials.passwords import Passwords

_LEAST_MEMORY_OF_ARGON2_KIBIBYTES = 8


def cheap_passwords() -> Passwords:
    """Return a maker of argon2id hashes of the least cost."""
    return Passwords(memory_kibibytes=_LEAST_MEMORY_OF_ARGON2_KIBIBYTES)
