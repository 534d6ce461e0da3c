"""Moves of users' mail from an old server: one process has each, under its lease."""

import json

from state_store.audit import Actor
from state_store.moves import Move, MoveCounts, MoveOutcome, MoveProgress, MoveState
from state_store.redis import keys
from state_store.repository.deployment import DeploymentStore


class MoveRepository(DeploymentStore):
    """Who moves whose mail, and what became of it.

    A user is added only when all of the mail is here: until then nobody of that name exists.
    """

    async def announce_source(self, source: str, *, by: Actor) -> None:
        """Note that mail is moved from an old server: from now on removed users are not moved (again)."""
        await self._client.script("announce_source", by.packed(), source)

    async def is_closed_to_moves(self, username: str) -> bool:
        """Return whether this name's mail was moved already, or an administrator has removed the user."""
        return await self._client.command("ZSCORE", keys.MOVED, username) is not None

    async def begin_move(
        self, username: str, instance_id: str, maildir: str
    ) -> tuple[MoveOutcome, MoveProgress]:
        """Take the move of a user's mail and lock the maildir `maildir`, or return who is before us.

        The progress is that of the process which has the move.
        """
        answer = await self._client.script("begin_move", username, instance_id, maildir, _row(MoveProgress()))
        outcome, row = answer
        return MoveOutcome(outcome), _progress(row)[0] if row else MoveProgress()

    async def move_progress(self, username: str) -> MoveProgress | None:
        """Return how far the move of a user's mail is that is under way, or was interrupted."""
        text = await self._client.command("HGET", keys.MOVING, username)
        return _progress(str(text).partition(" ")[2])[0] if text is not None else None

    async def note_move(self, username: str, instance_id: str, progress: MoveProgress) -> bool:
        """Write down how far the move is; return whether it still is this instance's."""
        return bool(await self._client.script("note_move", username, instance_id, _row(progress)))

    async def end_move(
        self, username: str, instance_id: str, maildir: str, progress: MoveProgress, reason: str = ""
    ) -> None:
        """Give the move and the maildir's lock back: all mail is here, or it has failed for `reason`."""
        failure = _row(progress, reason) if reason else ""
        await self._client.script("end_move", username, instance_id, maildir, failure)

    async def move_counts(self) -> MoveCounts:
        """Return how many users' mail is in which state."""
        source, moving, interrupted, failed, moved = await self._client.script("move_counts")
        return MoveCounts(source, moving, interrupted, failed, moved)

    async def moves(self) -> list[Move]:
        """Return the moves that are under way, interrupted or failed, sorted by user."""
        rows = await self._client.script("moves")
        found = []
        for username, state, row in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
            progress, at, reason = _progress(row)
            found.append(Move(username, MoveState(state), progress, at, reason))
        return sorted(found, key=lambda move: move.username)


def _row(progress: MoveProgress, reason: str = "") -> str:
    return json.dumps([progress.here, progress.total, reason])


def _progress(row: str) -> tuple[MoveProgress, float, str]:
    milliseconds, _, text = row.partition(" ")
    here, total, reason = json.loads(text)
    return MoveProgress(here, total), int(milliseconds) / 1000, reason
