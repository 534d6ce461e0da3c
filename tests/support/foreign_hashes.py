"""Hashes that other programs have made of one password."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PASSWORD = "correct-horse-42"

WEAK = {"MD5-CRYPT", "APR1-CRYPT", "DES-CRYPT", "SHA", "SHA256", "SHA512", "PLAIN-MD5", "LDAP-MD5", "PLAIN"}


class ForeignHash(NamedTuple):
    """A hash of `PASSWORD` by another program; `scheme` is the name that Peep gives it."""

    scheme: str
    made_by: str
    text: str

    def command(self, password: str = PASSWORD) -> list[str]:
        """Return the command that makes such a hash of `password`."""
        return shlex.split(self.made_by.format(password=shlex.quote(password)))

    def __str__(self) -> str:
        return f"{self.scheme} by {self.made_by.removesuffix(' {password}')}"


def foreign_hashes() -> Iterator[ForeignHash]:
    """Yield the hashes of `foreign_hashes.tsv`."""
    for line in Path(__file__).with_suffix(".tsv").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            yield ForeignHash(*line.split("\t"))


def one_of_each_scheme() -> list[ForeignHash]:
    """Return the last hash of each scheme in the table, one that is cheap to check, sorted by schemes."""
    return [found for _, found in sorted({found.scheme: found for found in foreign_hashes()}.items())]
