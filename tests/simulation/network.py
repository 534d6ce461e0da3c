"""A real server behind a network that loses, delays and repeats; its clock is the simulation's."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import redis
from redis.exceptions import ResponseError

from simulation.event_loop import Owner, SimulatedLoop
from state_store.errors import StoreUnavailable
from state_store.records import Exchange
from state_store.redis.scripting import load_scripts

SERVER_EPOCH = 1_700_000_000.0
ANSWER_SECONDS = 0.8
"""How long a request waits for its answer, as the real link has it."""

LATEST_ARRIVAL_SECONDS = 20.0

_CLOCK = "redis.call('TIME')"


class ScriptServer:
    """The repository's scripts on a real server, at the time that the caller says."""

    def __init__(self, socket: Path) -> None:
        connection: Any = redis.connection.UnixDomainSocketConnection
        self._connection = connection(path=str(socket), decode_responses=True)
        self.stepped_seconds = 0.0
        """By how much its clock was set since the beginning."""
        self._digests: dict[str, str] = {}
        for name, script in load_scripts().items():
            # Everything that the scripts know of time comes from this one place in the prelude.
            assert script.text.count(_CLOCK) == 1
            text = script.text.replace(_CLOCK, "{KEYS[2], KEYS[3]}")
            self._digests[name] = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
            assert self.command("SCRIPT", "LOAD", text) == self._digests[name]

    def command(self, *words: Any) -> Any:
        self._connection.send_command(*words)
        return self._connection.read_response()

    def script(self, name: str, now: float, *arguments: Any) -> Any:
        milliseconds = int((SERVER_EPOCH + self.stepped_seconds + now) * 1000)
        seconds, rest = divmod(milliseconds, 1000)
        clock = (str(seconds), str(rest * 1000))
        return self.command("EVALSHA", self._digests[name], 3, "{peep}", *clock, *arguments)

    def close(self) -> None:
        self._connection.disconnect()


@dataclass(slots=True)
class Troubles:
    """How likely each fault of a request is, while the network is in this state."""

    lost_request: float = 0.0
    lost_answer: float = 0.0
    late: float = 0.0
    """No answer in time; the request arrives seconds later, if it arrives at all."""
    twice: float = 0.0
    """A second copy of the request arrives later: the link sends again what it had no answer to."""
    slow: float = 0.0


CALM = Troubles()


class Network:
    """Carries requests to the server, each with a fate that the seed decides."""

    def __init__(self, loop: SimulatedLoop, random: Random, server: ScriptServer) -> None:
        self.loop = loop
        self.server = server
        self.owner = Owner(loop, "network")
        self.troubles = CALM
        self.is_server_down = False
        self.executed: Callable[[Exchange, Any], None] = lambda exchange, answer: None
        self.note: Callable[[str], None] = lambda line: None
        self._random = random

    def between(self, least: float, most: float) -> float:
        return least + (most - least) * self._random.random()

    async def ask(self, link: "SimulatedLink", what: str, run: Callable[[], Any]) -> Any:
        """Carry one request; raises `StoreUnavailable` when no answer comes back in time."""
        return await self.carry(link, what, run)

    def carry(self, link: "SimulatedLink", what: str, run: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Carry one request; return a future for its answer."""
        answer: asyncio.Future[Any] = self.loop.create_future()
        request = _Request(self, link, what, run, answer)
        request.send()
        return answer

    def fate(self, link: "SimulatedLink") -> str:
        if link.is_cut_off:
            return "lost request" if self._random.random() < 0.7 else "lost answer"
        point = self._random.random()
        troubles = self.troubles
        for name in ("lost_request", "lost_answer", "late", "twice"):
            likelihood: float = getattr(troubles, name)
            if point < likelihood:
                return name.replace("_", " ")
            point -= likelihood
        return "delivered"

    def way(self) -> float:
        """Return how long one way takes."""
        if self._random.random() < self.troubles.slow:
            return self.between(0.002, ANSWER_SECONDS * 0.45)
        return self.between(0.0001, 0.001)

    def detour(self) -> float:
        """Return how long a copy takes that comes late: before the next exchange, or many later."""
        longest = 0.1 if self._random.random() < 0.5 else LATEST_ARRIVAL_SECONDS
        return self.between(0, 1) ** 2 * longest


class _Request:
    """One request on its way there and back."""

    __slots__ = ("_answer", "_began", "_link", "_network", "_run", "_what")

    def __init__(
        self,
        network: Network,
        link: "SimulatedLink",
        what: str,
        run: Callable[[], Any],
        answer: "asyncio.Future[Any]",
    ) -> None:
        self._network, self._link, self._what = network, link, what
        self._run, self._answer = run, answer
        self._began = network.loop.time()

    def send(self) -> None:
        network = self._network
        fate = network.fate(self._link)
        if fate != "delivered":
            network.note(f"{self._link.name}: {self._what}: {fate}")
        if fate in {"delivered", "twice", "lost answer"}:
            self._later(self._way_in_order(), self._arrive, fate != "lost answer")
        if fate in {"late", "twice"}:
            self._later(network.detour(), self._arrive, False)
        if fate not in {"delivered", "twice"}:
            self._later(ANSWER_SECONDS, self._fail)
        if self._link.once_sent is not None:
            self._link.once_sent()
            self._link.once_sent = None

    def _way_in_order(self) -> float:
        # What one process sends on one connection does not overtake itself.
        link, now = self._link, self._network.loop.time()
        link.arrives_until = max(now + self._network.way(), link.arrives_until)
        return link.arrives_until - now

    def _later(self, delay: float, step: Callable[..., None], *arguments: Any) -> None:
        self._network.loop.call_later(delay, step, *arguments, context=self._network.owner.context)

    def _arrive(self, is_answered: bool) -> None:
        network, link = self._network, self._link
        if network.is_server_down:
            if is_answered:
                self._fail()
            return
        # The kernel gives up what a dead process had under way; what arrives in time is heard.
        if link.process_ended_at is not None and network.loop.time() > link.process_ended_at + 1:
            return
        if not is_answered:
            network.note(f"{link.name}: {self._what} arrives")
        link.heard_at = network.loop.time()
        try:
            answer = self._run()
        except ResponseError as error:
            raise AssertionError(f"the script failed: {error}") from error
        if is_answered:
            self._later(network.way(), self._deliver, answer)

    def _deliver(self, answer: Any) -> None:
        if self._answer.done():
            return
        # A process that was paused too long finds the answer and its own timer at once.
        is_too_late = self._link.resumes_at() > self._began + ANSWER_SECONDS
        if is_too_late and self._network.between(0, 1) < 0.5:
            self._fail()
        else:
            self._answer.set_result(answer)

    def _fail(self) -> None:
        if not self._answer.done():
            self._link.failures += 1
            self._answer.set_exception(StoreUnavailable("lost on purpose"))


class SimulatedLink:
    """Stands where the real repository has its way to Redis."""

    def __init__(self, network: Network, name: str) -> None:
        self.name = name
        self.is_cut_off = False
        self.refusal = None
        self.failures = 0
        self.arrives_until = 0.0
        """When the last request that is on its way arrives."""
        self.heard_at = 0.0
        """When the server last heard anything of this process."""
        self.process_ended_at: float | None = None
        self.resumes_at: Callable[[], float] = lambda: 0.0
        self.once_sent: Callable[[], None] | None = None
        """What happens as soon as the next request is on its way."""
        self.exchange: Exchange | None = None
        """What the next script carries, where that is an exchange."""
        self._network = network

    def command(self, *words: Any) -> Coroutine[Any, Any, Any]:
        return self._network.ask(self, str(words[0]), lambda: self._network.server.command(*words))

    def send(self, *words: Any) -> "asyncio.Future[Any]":
        return self._network.carry(self, str(words[0]), lambda: self._network.server.command(*words))

    def script(self, name: str, *arguments: Any) -> Coroutine[Any, Any, Any]:
        network, exchange = self._network, self.exchange
        self.exchange = None
        if exchange is None:
            return network.ask(
                self, name, lambda: network.server.script(name, network.loop.time(), *arguments)
            )
        number = exchange.exchange_number

        def run() -> Any:
            answer = network.server.script(name, network.loop.time(), *arguments)
            if not answer[0]:
                network.executed(exchange, answer)
            return answer

        return network.ask(self, f"exchange {number} of {exchange.instance_id}", run)
