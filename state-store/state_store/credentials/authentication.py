"""Authentication of administrators and users, under the rule for wrong passwords (P18)."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from state_store.administrators import TOKEN_USE_SECONDS, Administrator, ApiToken, Role
from state_store.credentials.api_tokens import is_token, token_digest
from state_store.credentials.attempts import (
    ADMINISTRATOR,
    API_TOKEN,
    USER,
    Attempt,
    Outcome,
    RefusalReason,
    Verdict,
    subject,
)
from state_store.credentials.guard import Guard
from state_store.credentials.hashes.imported import is_imported
from state_store.credentials.networks import network_of
from state_store.credentials.passwords import Passwords
from state_store.credentials.presence import Presence
from state_store.credentials.scram import MECHANISM, ClientFirst, ScramExchange, ScramRefused, Shape
from state_store.records import Credential, HashCounts
from state_store.refusals import Refusal
from state_store.repository import StateRepository

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

TOKEN_CHARACTERS = 12
"""How much of a wrong token's digest tells it from others."""

PATIENCE_SECONDS = 15.0
"""How long an attempt may wait for its allowance: less than clients wait for a reply."""

_Result = TypeVar("_Result")
_Proved = TypeVar("_Proved", str, tuple[str, str])

Adopt = Callable[[], Awaitable[str | RefusalReason]]
"""Asks elsewhere whether a password fits a name that nobody has here: the version of a credential to be, or
what is wrong. It may also raise, and then nothing has been tried."""

_Check = Callable[[bool], Awaitable[_Proved | RefusalReason]]
"""Checks a password, as a stranger's if its argument is true; returns what it proves, or what is wrong."""


class Authenticator:
    """Checks passwords against the store, over all replicas and front ends under one rule.

    A pair of user and network that has logged in lately has an allowance of its own, so guesses from
    elsewhere never delay its right password. Every wrong answer takes from the allowances of its network and
    its user, so the answers to guesses, and their timing, do not tell known pairs or existing names from
    others. The same wrong password again is answered at once, and is no new attempt.

    A process needs exactly one: attempts that wait for an allowance wake each other only within one object.
    """

    def __init__(
        self,
        repository: StateRepository,
        passwords: Passwords,
        *,
        is_trusted: Callable[[str], bool] = lambda _: False,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.is_trusted = is_trusted
        """Returns whether a client's address is never slowed."""
        self._repository = repository
        self._passwords = passwords
        self._patience_seconds = patience_seconds
        self._guard = Guard(repository)

    async def check_administrator(
        self,
        name: str,
        password: str,
        address: str,
        presence: Presence | None = None,
        *,
        role: Role = Role.READ,
    ) -> Administrator | None:
        """Return the administrator whose name and password these are; None for wrong ones.

        One whose role does not cover `role` is as unknown here as any name. Raises `SlowedDown`.
        """
        subject_id = subject(ADMINISTRATOR, name)
        recalled = self._passwords.recall(subject_id, password)
        if recalled is not None and await self._is_known(subject_id, address):
            known = await self._administrator(name, role)
            if known is not None and known.password_hash == recalled:
                return known
        present = presence or Presence()
        found: Administrator | None = None

        async def check(is_stranger: bool) -> str | RefusalReason:
            nonlocal found
            found = await self._administrator(name, role)
            credential = Credential(found.password_hash, found.password_hash) if found is not None else None
            return await self._checked(
                subject_id, credential, password, present, address=address, is_stranger=is_stranger
            )

        # A password that is refused where a role is demanded may be right elsewhere: each remembers its own.
        attempt = await self._attempt(subject_id, address, f"{role.value} {password}")
        answer = await _to_its_end(self._judged(attempt, check, present), present)
        return None if isinstance(answer, RefusalReason) else found

    async def check_token(self, text: str, address: str) -> ApiToken | None:
        """Return the API token of this text; None if there is none, or none that serves this client now.

        A right one is no attempt. A wrong one counts as a wrong password of its network, though it is not
        hashed as one, and raises `SlowedDown` as one does.
        """
        digest = token_digest(text)
        token, now = await self._repository.api_token(digest) if is_token(text) else (None, 0.0)
        reason = token.refusal(address, now) if token is not None else "unknown"
        if token is not None and not reason:
            if now - token.used_at >= TOKEN_USE_SECONDS:
                await self._repository.note_token_use(digest, address)
            return token
        known_as = {"token": token.name} if token is not None else {}
        log.warning("API token refused", reason=reason, address=address, **known_as)

        async def check(_is_stranger: bool) -> str | RefusalReason:
            return RefusalReason.WRONG_PASSWORD

        attempt = await self._attempt(subject(API_TOKEN, digest[:TOKEN_CHARACTERS]), address, text)
        await self._judged(attempt, check, Presence())
        return None

    async def check_user(
        self,
        username: str,
        password: str,
        address: str,
        presence: Presence | None = None,
        *,
        adopt: Adopt | None = None,
    ) -> str | RefusalReason:
        """Return the version of the user's credential that this password fits, or why it is refused.

        For a name that nobody has the answer is that of `adopt`, which is called at most once. Raises
        `SlowedDown`, with the password unchecked, when it would have to wait for too long or its client
        leaves.
        """
        present = presence or Presence()
        adopted: str | RefusalReason | None = None

        async def check(is_stranger: bool) -> str | RefusalReason:
            nonlocal adopted
            answer = await self._checked_user(username, password, address, present, is_stranger=is_stranger)
            if answer is RefusalReason.UNKNOWN_USER and adopt is not None:
                # A second check is for its duration alone.
                answer = adopted = adopted or await adopt()
            return answer

        attempt = await self._attempt(subject(USER, username), address, password)
        return await _to_its_end(self._judged(attempt, check, present), present)

    async def suspension(self, username: str, version: str) -> Refusal | None:
        """Return the suspension of a user who has a right password of this version, None without one."""
        return await self._repository.suspension(username, version)

    async def begin_scram(self, client_first: str) -> ScramExchange:
        """Return the exchange that a client's first message begins, with a challenge for any name.

        Raises `ScramMalformed`. Nothing is proved yet, so this is no attempt.
        """
        parsed = ClientFirst.parse(client_first)
        secret = await self._repository.remembered_secret()
        credential, counts = await asyncio.gather(
            self._repository.credential(parsed.username), self._repository.hash_counts()
        )
        return ScramExchange(parsed, credential, secret, shapes=_shapes(counts))

    async def finish_scram(
        self, exchange: ScramExchange, client_final: str, address: str, presence: Presence | None = None
    ) -> tuple[str, str] | RefusalReason:
        """Return the server's last message and the version of the credential that was proved.

        A wrong proof counts as a wrong password, and raises `SlowedDown` as one does. Each is a new attempt:
        two proofs by the same wrong password have nothing in common.
        """
        present = presence or Presence()

        async def check(is_stranger: bool) -> tuple[str, str] | RefusalReason:
            try:
                return exchange.finish(client_final), exchange.credential_version
            except ScramRefused:
                return RefusalReason.WRONG_PASSWORD if exchange.is_of_somebody else RefusalReason.UNKNOWN_USER

        attempt = await self._attempt(subject(USER, exchange.username), address)
        return await _to_its_end(self._judged(attempt, check, present), present)

    async def _administrator(self, name: str, role: Role) -> Administrator | None:
        found = await self._repository.administrator(name)
        return found if found is not None and found.role.covers(role) else None

    async def _is_known(self, subject_id: str, address: str) -> bool:
        return self.is_trusted(address) or await self._repository.recognise(subject_id, network_of(address))

    async def _attempt(self, subject_id: str, address: str, password: str | None = None) -> Attempt:
        digest = ""
        if password is not None:
            secret = await self._repository.remembered_secret()
            tried = f"{subject_id}\0{password}".encode("utf-8", "surrogatepass")
            digest = hashlib.blake2b(tried, key=secret.encode()[:64], digest_size=16).hexdigest()
        return Attempt(subject_id, network_of(address), digest, self.is_trusted(address))

    async def _checked_user(
        self, username: str, password: str, address: str, presence: Presence, *, is_stranger: bool
    ) -> str | RefusalReason:
        """Check a user's password, and replace an imported hash that it fits by one of our own."""
        # Both are asked for in one round trip.
        credential, counts = await asyncio.gather(
            self._repository.credential(username), self._repository.hash_counts()
        )
        answer = await self._checked(
            username,
            credential,
            password,
            presence,
            counts.imported,
            address=address,
            is_stranger=is_stranger,
        )
        if credential is not None and answer == credential.version and is_imported(credential.password_hash):
            renewed = await self._passwords.new_credential(password, credential.version)
            await self._repository.renew_credential(username, renewed)
        return answer

    async def _checked(
        self,
        remembered_as: str,
        credential: Credential | None,
        password: str,
        presence: Presence,
        kinds: Collection[str] = (),
        *,
        address: str,
        is_stranger: bool,
    ) -> str | RefusalReason:
        is_right = await self._passwords.is_right(
            remembered_as,
            credential,
            password,
            presence,
            kinds=kinds,
            network=network_of(address),
            is_stranger=is_stranger,
        )
        if credential is None:
            return RefusalReason.UNKNOWN_USER
        return credential.version if is_right else RefusalReason.WRONG_PASSWORD

    async def _judged(
        self, attempt: Attempt, check: _Check[_Proved], presence: Presence
    ) -> _Proved | RefusalReason:
        patience_ends = asyncio.get_running_loop().time() + self._patience_seconds
        decision = await self._guard.begin(attempt, presence, patience_ends)
        if decision.verdict is Verdict.REPEATED:
            return RefusalReason.REPEATED
        outcome, reason = Outcome.UNCHECKED, None
        try:
            answer = await check(not (decision.from_pair or attempt.is_trusted))
            if not isinstance(answer, RefusalReason):
                outcome = Outcome.RIGHT
                return answer
            reason, outcome = answer, Outcome.UNANSWERED
            if decision.from_pair and not decision.from_network:
                # The refusal takes as long as it does for an unknown pair.
                allowed = await self._guard.begin(attempt, presence, patience_ends, as_unknown=True)
                decision = replace(decision, from_network=allowed.from_network)
                await check(True)
            elif decision.from_pair and self._passwords.keeps_strangers_waiting:
                await check(True)
            outcome = Outcome.WRONG
            return answer
        finally:
            await self._guard.end(attempt, decision, outcome, reason)


def _shapes(counts: HashCounts) -> list[Shape]:
    """Return the shapes of imported verifiers, as `ScramExchange` takes them."""
    with_verifiers = counts.users - sum(counts.imported.values())
    found = []
    for kind, count in sorted(counts.imported.items()):
        scheme, *cost = kind.split(",")
        if scheme == MECHANISM and len(cost) == 2 and all(map(str.isdecimal, cost)):
            found.append((count, int(cost[0]), int(cost[1])))
            with_verifiers += count
    return [Shape(count / with_verifiers, iterations, salt) for count, iterations, salt in found]


_checks: set[asyncio.Task[Any]] = set()
"""The event loop itself keeps no strong reference to a task."""


async def _to_its_end(check: Coroutine[Any, Any, _Result], presence: Presence) -> _Result:
    """Return the check's result; a check that has begun goes on when its client leaves.

    A client that leaves during a check has used up its answer; one that leaves while it waits frees its
    place.
    """
    task = asyncio.create_task(check)
    _checks.add(task)
    task.add_done_callback(_let_go)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        presence.leave()
        raise


def _let_go(task: "asyncio.Task[Any]") -> None:
    _checks.discard(task)
    if not task.cancelled():
        task.exception()  # marks it as retrieved: if the client has left, nothing else does
