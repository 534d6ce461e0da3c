"""A maildir that another server has served for a while: deliveries, deletions, flags, what clients saw."""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

FLAGS = (":2,", ":2,S", ":2,FRS")


@dataclass(frozen=True, slots=True)
class Announced:
    """A message as a server announces it: its unique-id and its octets, in the order of numbers."""

    unique_id: bytes
    octets: int


class OldMaildir:
    """A maildir at `path`, whose files go to a server's user by `hand_over`; its story comes from `seed`."""

    def __init__(self, path: Path, seed: int, hand_over: Callable[[Path], None] = lambda _: None) -> None:
        self.path = path
        self.random = random.Random(seed)
        self._hand_over = hand_over
        self._delivered = 0
        for folder in (path, *(path / name for name in ("new", "cur", "tmp"))):
            folder.mkdir()
            hand_over(folder)

    def deliver(self, messages: int) -> None:
        """Deliver messages with names and headers as several programs make them, out of order."""
        for _ in range(messages):
            self._delivered += 1
            header = f"Subject: number {self._delivered}\n"
            if self.random.random() < 0.4:
                header = f"X-UIDL: seen-before-{self.random.randrange(6)}\n{header}"
            text = f"{header}\n" + "text\n" * self._delivered
            sizes = [f",S={len(text)}", f",S={len(text)},W={len(text) + text.count(chr(10))}"]
            stem = f"{1_700_000_000 + self.random.randrange(100_000)}.M{self._delivered}P7.host"
            name = stem + self.random.choice(["", "", *sizes])
            folder, flags = self.random.choice([("new", ""), ("new", ""), ("cur", self.random.choice(FLAGS))])
            file = self.path / folder / f"{name}{flags}"
            file.write_text(text)
            os.utime(file, (1_700_000_000 + self.random.randrange(100_000),) * 2)
            self._hand_over(file)

    def change(self, changes: int) -> None:
        """Change flags, and move messages to `cur`, as an IMAP server does."""
        for _ in range(changes):
            file = self.random.choice(self.files())
            base = file.name.partition(":")[0]
            file.rename(self.path / "cur" / f"{base}{self.random.choice(FLAGS)}")

    def remove(self, messages: int) -> None:
        """Remove messages behind the server's back."""
        for file in self.random.sample(self.files(), messages):
            file.unlink()

    def files(self) -> Sequence[Path]:
        """Return the files of all messages."""
        return sorted([*(self.path / "new").iterdir(), *(self.path / "cur").iterdir()])


def announced(listing: Sequence[bytes], scan_listing: Sequence[bytes]) -> list[Announced]:
    """Return what the lines of UIDL and of LIST say."""
    octets = {number: int(size) for number, size in (line.split() for line in scan_listing)}
    return [Announced(unique_id, octets[number]) for number, unique_id in (line.split() for line in listing)]
