"""Passwords: argon2id in a few threads, and a memory of what was right that costs microseconds to ask."""

import asyncio
import hashlib
import hmac
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2

from state_store.records import Credential
from state_store.scram import new_verifier

_Result = TypeVar("_Result")

MEMORY_KIBIBYTES = 19 * 1024
THREADS = 4
"""Bounds argon2's memory to THREADS times 19 MiB, whatever the number of logins."""

REMEMBERED_USERS = 100_000
"""About 30 MB at the most; the users over it only pay for their next argon2id check."""


class Passwords:
    """Makes and checks argon2id hashes (19 MiB, 2 passes), off the event loop.

    A right password is remembered as a keyed digest together with its credential's version; the key
    lives as long as the process. What is remembered counts only for the same version, so a changed or
    removed user's password is worth nothing the moment the store says so.

    Passwords beyond ASCII come here as `opaque_string` prepared them.
    """

    def __init__(self) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=2, memory_cost=MEMORY_KIBIBYTES, parallelism=1)
        self._threads = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1), "argon2")
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        # An unknown user is checked against this one: it costs the time of a wrong password.
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    async def new_hash(self, password: str) -> str:
        """Return a new argon2id hash of `password`."""
        return await self._in_thread(self._hasher.hash, password)

    async def new_credential(self, password: str) -> Credential:
        """Return a credential for argon2id and SCRAM, with a version of its own."""
        return await self._in_thread(self._credential, password)

    async def is_right(self, name: str, credential: Credential | None, password: str) -> bool:
        """Check a password in about 20 ms, whatever is wrong with it, and remember a right one.

        One that is remembered as right for this credential costs nothing, so a queue of those who wait
        for their turn with it is soon over.
        """
        if credential is not None and self.recall(name, password) == credential.version:
            self._remembered.move_to_end(name)
            return True
        password_hash = credential.password_hash if credential is not None else self._nobody
        matches = await self._in_thread(self._matches, password_hash, password)
        if not matches or credential is None:
            return False
        self._remembered[name] = (credential.version, self._digest(password))
        self._remembered.move_to_end(name)
        if len(self._remembered) > REMEMBERED_USERS:
            self._remembered.popitem(last=False)
        return True

    def recall(self, name: str, password: str) -> str | None:
        """Return the credential version for which this password was right, None when it is not remembered."""
        remembered = self._remembered.get(name)
        if remembered is None or not hmac.compare_digest(remembered[1], self._digest(password)):
            return None
        return remembered[0]

    def forget(self, name: str) -> None:
        """Forget what was right for this name."""
        self._remembered.pop(name, None)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _credential(self, password: str) -> Credential:
        return Credential(self._hasher.hash(password), secrets.token_hex(8), new_verifier(password))

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def _digest(self, password: str) -> bytes:
        return hashlib.blake2b(password.encode(), key=self._key, digest_size=32).digest()

    async def _in_thread(self, function: Callable[..., _Result], *arguments: str) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
