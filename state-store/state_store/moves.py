"""Moves of users' mail from an old server, as the store knows them."""

from dataclasses import dataclass
from enum import Enum


class MoveState(Enum):
    """How far the move of a user's mail is."""

    MOVING = "moving"
    """A live POP3 process fetches it."""
    INTERRUPTED = "interrupted"
    """That process is gone; the user's next login continues the move."""
    FAILED = "failed"
    """It failed, with a reason; the user's next login tries again."""


class MoveOutcome(Enum):
    """The store's answer to a process that wants to move a user's mail."""

    BEGUN = "begun"
    """The process has the move and the maildir's lock."""
    ELSEWHERE = "elsewhere"
    """Another live process has it."""
    IN_USE = "in use"
    """A session has the maildir open, under another name."""
    KNOWN = "known"
    """There is a user of this name by now."""
    CLOSED = "closed"
    """The user's mail was moved before, or an administrator has removed the user."""
    LAPSED = "lapsed"
    """The process's own lease is over."""


@dataclass(frozen=True, slots=True)
class MoveProgress:
    """How many of a user's messages are here; a `total` of 0: the old server has not listed them yet."""

    here: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """A user's mail that is not all here yet."""

    username: str
    state: MoveState
    progress: MoveProgress
    at: float
    """When this was last reported, in seconds since the epoch."""
    reason: str = ""
    """Why it has failed."""


@dataclass(frozen=True, slots=True)
class MoveCounts:
    """How many users' mail is in which state."""

    source: str = ""
    """The old server, as `host:port`; empty where none was ever set."""
    moving: int = 0
    interrupted: int = 0
    failed: int = 0
    moved: int = 0
