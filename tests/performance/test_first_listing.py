"""What the first listing of a large maildrop costs: memory, and time beside the bare calls of the system."""

import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from pop3_service.maildir import Maildirs
from support.function_calls import function_calls
from support.maildir_files import at

MESSAGES = 5000
ROUNDS = 5
CONTENT = b"From: a@example.com\nSubject: one of many\n\n" + b"Some words, then some more of them.\n" * 10

MOST_CALLS = 60
"""Of functions, for a message. Measured with CPython 3.11: 56."""

LARGEST_RATIO = 5.0
"""Measured with CPython 3.11: 2.5 to 2.9. It depends on how fast the system's calls are."""

MOST_OCTETS = 300
"""A message, names of 53 octets and its part of LIST and UIDL included: measured 226, and 528 before."""


@pytest.fixture(scope="module")
def maildir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    maildir = tmp_path_factory.mktemp("many") / "alice"
    (maildir / "new").mkdir(parents=True)
    for number in range(MESSAGES):
        name = f"{1700000000 + number}.M{number * 7 % 1000000:06}P{number}.mail.example.org,S={len(CONTENT)}"
        (maildir / "new" / name).write_bytes(CONTENT)
    return maildir


def processor_seconds(do: Callable[[], object]) -> float:
    began = time.thread_time()
    do()
    return time.thread_time() - began


def look_at_all(maildir: Path) -> None:
    """Do what no listing can do without: look at each file, open, read and close it."""
    folder = os.open(maildir / "new", os.O_RDONLY)
    for name in os.listdir(folder):
        os.lstat(name, dir_fd=folder)
        descriptor = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.pread(descriptor, 4096, 0)
        os.fstat(descriptor)
        os.close(descriptor)
    os.close(folder)


def test_a_first_listing_takes_little_more_than_the_system_does(maildir: Path) -> None:
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(processor_seconds(lambda: look_at_all(maildir)))
        ours.append(processor_seconds(lambda: Maildirs().scan(at(maildir))))
    print(f"{min(ours) / MESSAGES * 1e6:.1f} and {min(theirs) / MESSAGES * 1e6:.1f} us a message")
    assert min(ours) / min(theirs) < LARGEST_RATIO


def test_a_first_listing_calls_few_functions(maildir: Path) -> None:
    with function_calls() as calls:
        Maildirs().scan(at(maildir))
    print(f"{calls.number / MESSAGES:.2f} calls a message")
    assert calls.number / MESSAGES < MOST_CALLS


def test_a_large_maildrop_takes_little_memory(maildir: Path) -> None:
    Maildirs().scan(at(maildir))  # what is made once is there
    tracemalloc.start()
    try:
        maildirs = Maildirs()
        maildirs.scan(at(maildir))
        contents = maildirs.scan(at(maildir))  # too early to trust the first: what is equal is kept once
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(contents.messages) == MESSAGES
    print(f"{held / MESSAGES:.0f} octets a message")
    assert held / MESSAGES < MOST_OCTETS
