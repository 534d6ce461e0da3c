"""One connection to the server that takes our writes: made when it is needed, found anew when it is cut."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from state_store.redis.faults import ErrorAnswer
from state_store.redis.stream import Command, RedisStream
from state_store.redis.time_limit import time_limit
from state_store.redis.topology import Topology, is_elsewhere

IDLE_SECONDS = 3.0
"""A connection that was idle for longer is proved before it carries a question: what lies between may have
forgotten it without a word, and a question that got no answer is not repeated. Shorter than the pauses of a
POP3 process that has nothing to tell, and too long for one under load to pay for it."""

PROOF_SECONDS = 0.2
"""How long the proof may take: a new connection and the question's answer have to fit into what is left."""


class RedisConnection:
    """Asks a batch of commands at a time; whoever uses it sees that there is one batch under way."""

    def __init__(self, topology: Topology, clock: Callable[[], float] = time.monotonic) -> None:
        self._topology = topology
        self._clock = clock
        self._stream: RedisStream | None = None
        self._answered_at = 0.0

    @property
    def server(self) -> str | None:
        """Which server this talks to, in a form to compare; None when it is not connected."""
        return None if self._stream is None else self._stream.server

    async def ask(self, commands: Sequence[Command], seconds: float) -> list[Any]:
        """Return an answer, or the error that the server gave, for each command.

        A connection that was cut is made again and the batch sent again, once; so are commands that
        another server has to carry out. All of it is done in `seconds`, or nothing is repeated. Raises
        `StateError`, `RedisError` or `OSError`.
        """
        try:
            async with time_limit(seconds):
                answers = await self._ask_again_when_cut(commands, seconds)
                if refused := _refused_here(answers):
                    await self._ask_elsewhere(commands, answers, refused, seconds)
                return answers
        except BaseException:
            # Answers that nobody waits for any more must not be taken for the next batch's.
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next question makes another."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    async def _ask_elsewhere(
        self, commands: Sequence[Command], answers: list[Any], refused: list[int], seconds: float
    ) -> None:
        self._topology.learn(answers[refused[0]])
        self.close()
        again = await self._ask_again_when_cut([commands[number] for number in refused], seconds)
        for number, answer in zip(refused, again, strict=True):
            answers[number] = answer
        if _refused_here(again):
            self.close()  # no better there: the next batch looks for the way anew

    async def _ask_again_when_cut(self, commands: Sequence[Command], seconds: float) -> list[Any]:
        if self._stream is None or not await self._is_alive(self._stream):
            self.close()
            self._stream = await self._topology.open(seconds)
        try:
            return await self._converse(self._stream, commands)
        except OSError:
            # The server was restarted, or the connection cut: once more, on a new one.
            self.close()
            self._stream = await self._topology.open(seconds)
            return await self._converse(self._stream, commands)

    async def _is_alive(self, stream: RedisStream) -> bool:
        if self._clock() - self._answered_at < IDLE_SECONDS:
            return True
        try:
            async with time_limit(PROOF_SECONDS):
                await self._converse(stream, [("PING",)])
        except OSError:  # TimeoutError is one
            return False
        return True

    async def _converse(self, stream: RedisStream, commands: Sequence[Command]) -> list[Any]:
        await stream.send(commands)
        answers = [await stream.read() for _ in commands]
        self._answered_at = self._clock()
        return answers


def _refused_here(answers: list[Any]) -> list[int]:
    """Return at which indexes are errors that another server would not have answered with."""
    return [
        number
        for number, answer in enumerate(answers)
        if isinstance(answer, ErrorAnswer) and is_elsewhere(answer)
    ]
