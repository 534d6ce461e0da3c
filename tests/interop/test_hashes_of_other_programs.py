"""Hashes that doveadm, htpasswd, openssl and mkpasswd make now are those that we take."""

import subprocess

import pytest

from state_store.credentials.hashes.imported import PLAIN, imported_hash
from support.clients import require
from support.foreign_hashes import ForeignHash, foreign_hashes

PASSWORD = "another horse 43"

PROGRAMS = ("doveadm", "htpasswd", "openssl", "mkpasswd")
MADE = [made for made in foreign_hashes() if made.made_by.startswith(PROGRAMS)]
BCRYPT = [made for made in MADE if made.scheme == "BLF-CRYPT" and "doveadm" in made.made_by]


def make(made: ForeignHash, password: str) -> str:
    """Return a hash that the program makes now."""
    command = made.command(password)
    require(command[0])
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip().removeprefix("u:")


@pytest.mark.parametrize("made", MADE, ids=str)
def test_hash_that_a_program_makes_now_is_taken(made: ForeignHash) -> None:
    found = imported_hash(make(made, PASSWORD), allow_weak=True)
    assert found.scheme == made.scheme
    if found.scheme == PLAIN:
        assert found.text == PASSWORD
        return
    assert found.fits(PASSWORD)
    assert not found.fits("x" + PASSWORD)


@pytest.mark.parametrize("made", BCRYPT, ids=str)
def test_password_beyond_the_end_of_bcrypt_is_taken_as_its_maker_did(made: ForeignHash) -> None:
    long = "0123456789" * 8
    assert imported_hash(make(made, long)).fits(long)
