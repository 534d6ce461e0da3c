"""Who is it? Passwords of administrators and users, checked under the rule for wrong ones (P18)."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Any, TypeVar

from state_store.attempts import FREE_WRONG_PASSWORDS, TURN_SECONDS
from state_store.errors import StateError, StoreUnavailable
from state_store.passwords import Passwords
from state_store.records import Credential
from state_store.repository import StateRepository
from state_store.scram import ClientFirst, ScramExchange, ScramRefused

_Result = TypeVar("_Result")

TURN_POLL_SECONDS = 0.025
"""How often a waiting ticket asks for its turn: short against argon2's 20 ms, and only while under attack.
It asks at once when a turn ends in this very process."""

STRANDED_POLL_SECONDS = 0.1
"""How often we try to give back what an outage of Redis has kept us from giving back."""


class Authenticator:
    """Checks passwords against the store.

    From one address, over all replicas and front ends, wrong passwords are answered at once three
    times a minute; after that every check of the address waits its turn, and each wrong one keeps the
    turn for 0.25 s, doubling to 4 s. A right password waits for nothing but its turn.
    """

    def __init__(self, repository: StateRepository, passwords: Passwords) -> None:
        self._repository = repository
        self._passwords = passwords
        self._secret: str | None = None
        self._chances: dict[str, dict[str, asyncio.Event]] = {}
        """By address and ticket, in the order of arrival: set when a turn may have become free here."""
        self._stranded: dict[str, tuple[str, float]] = {}
        """By ticket: its address, and when it lapses by itself. The oldest first."""

    async def check_administrator(self, name: str, password: str, address: str) -> bool:
        """Return whether these are an administrator's name and password."""
        recalled = self._passwords.recall(_remembered_as(name), password)
        if recalled is not None and not await self._repository.must_take_turn(address):
            administrators = await self._repository.administrators()
            if administrators.get(name) == recalled:
                return True
        ticket = await self._take_turn(address)
        return await _to_its_end(self._is_administrator(name, password, address, ticket))

    async def check_user(self, username: str, password: str, address: str) -> str | None:
        """Return the version of the user's credential that this password fits, None when it fits none."""
        ticket = await self._take_turn(address)
        return await _to_its_end(self._user_version(username, password, address, ticket))

    async def begin_scram(self, client_first: str) -> ScramExchange:
        """Return the dialogue that a client's first message begins, with a challenge for any name.

        Raises `ScramMalformed`. Nothing is proved yet, so this takes no turn.
        """
        parsed = ClientFirst.parse(client_first)
        if self._secret is None:
            self._secret = await self._repository.deployment_secret()
        credential = await self._repository.credential(parsed.username)
        return ScramExchange(parsed, credential, self._secret)

    async def finish_scram(
        self, exchange: ScramExchange, client_final: str, address: str
    ) -> tuple[str, str] | None:
        """Return the server's last message and the version of the credential that was proved.

        None when the proof is wrong, which counts as a wrong password and is answered as late as one.
        """
        ticket = await self._take_turn(address)
        return await _to_its_end(self._proved(exchange, client_final, address, ticket))

    async def _is_administrator(self, name: str, password: str, address: str, ticket: str) -> bool:
        async with self._turn(address, ticket):
            password_hash = (await self._repository.administrators()).get(name)
            credential = Credential(password_hash, password_hash) if password_hash is not None else None
            is_right = await self._passwords.is_right(_remembered_as(name), credential, password)
            if not is_right:
                await self._serve_delay(address, ticket)
            return is_right

    async def _user_version(self, username: str, password: str, address: str, ticket: str) -> str | None:
        async with self._turn(address, ticket):
            credential = await self._repository.credential(username)
            is_right = await self._passwords.is_right(username, credential, password)
            if is_right and credential is not None:
                return credential.version
            await self._serve_delay(address, ticket)
            return None

    async def _proved(
        self, exchange: ScramExchange, client_final: str, address: str, ticket: str
    ) -> tuple[str, str] | None:
        async with self._turn(address, ticket):
            try:
                return exchange.finish(client_final), exchange.credential_version
            except ScramRefused:
                await self._serve_delay(address, ticket)
                return None

    async def _take_turn(self, address: str) -> str:
        ticket = secrets.token_hex(8)
        chances = self._chances.setdefault(address, {})
        chance = chances[ticket] = asyncio.Event()
        try:
            while not await self._repository.take_turn(address, ticket):
                with suppress(TimeoutError):
                    await asyncio.wait_for(chance.wait(), TURN_POLL_SECONDS)
                chance.clear()
        except BaseException as error:
            # Who hangs up while waiting must not stand in the way of others.
            await self._end_turn(address, ticket, error)
            raise
        finally:
            del chances[ticket]
            if not chances:
                self._chances.pop(address, None)
        return ticket

    async def _end_turn(self, address: str, ticket: str, error: BaseException | None = None) -> None:
        end = _keep(asyncio.create_task(self._free_turn(address, ticket)))
        if isinstance(error, StoreUnavailable):
            return  # nobody waits twice for a store that does not answer; it may have taken the ticket
        await asyncio.shield(end)

    async def _free_turn(self, address: str, ticket: str) -> None:
        try:
            await self._repository.end_turn(address, ticket)
        except StateError:
            self._free_turn_later(address, ticket)
            raise
        # Not left to their polls: with these alone a queue of 16 right passwords took 60 times as long.
        for chance in islice(self._chances.get(address, {}).values(), FREE_WRONG_PASSWORDS):
            chance.set()

    def _free_turn_later(self, address: str, ticket: str) -> None:
        # Three such tickets would keep everybody of the address waiting until they lapse, long after
        # the store is back.
        is_first = not self._stranded
        self._stranded[ticket] = (address, asyncio.get_running_loop().time() + TURN_SECONDS)
        if is_first:
            _keep(asyncio.create_task(self._free_stranded_turns()))

    async def _free_stranded_turns(self) -> None:
        loop = asyncio.get_running_loop()
        while self._stranded:
            await asyncio.sleep(STRANDED_POLL_SECONDS)
            with suppress(StateError):
                for ticket, (address, lapses_at) in list(self._stranded.items()):
                    if loop.time() < lapses_at:
                        await self._repository.end_turn(address, ticket)
                    del self._stranded[ticket]

    async def _serve_delay(self, address: str, ticket: str) -> None:
        await asyncio.sleep(await self._repository.note_wrong_password(address, ticket))

    @asynccontextmanager
    async def _turn(self, address: str, ticket: str) -> AsyncIterator[None]:
        try:
            yield
        except BaseException as error:
            await self._end_turn(address, ticket, error)
            raise
        await self._end_turn(address, ticket)


_checks: set[asyncio.Task[Any]] = set()
"""The event loop itself keeps no strong reference to a task."""


async def _to_its_end(check: Coroutine[Any, Any, _Result]) -> _Result:
    """Return the check's result; it goes on when its client does not wait for the answer.

    Who hangs up in the middle of a check, or of a wrong password's delay, shall not have the next turn
    any sooner for it.
    """
    return await asyncio.shield(_keep(asyncio.create_task(check)))


def _keep(task: "asyncio.Task[_Result]") -> "asyncio.Task[_Result]":
    """Keep a task that nobody may be waiting for; its failure is then nobody's either."""
    _checks.add(task)
    task.add_done_callback(_let_go)
    return task


def _let_go(task: "asyncio.Task[Any]") -> None:
    _checks.discard(task)
    if not task.cancelled():
        task.exception()


def _remembered_as(administrator: str) -> str:
    # Administrators and users are different people: no user's name has a space.
    return f"administrator {administrator}"
