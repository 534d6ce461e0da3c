"""Passwords: made and checked in a few threads; a memory of right ones costs microseconds to query."""

import asyncio
import hashlib
import hmac
import os
import secrets
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, TypeVar

import argon2

from state_store.credentials.hashes.imported import PLAIN, ImportedHash, is_imported, kept_hash, spend_alike
from state_store.credentials.presence import Presence
from state_store.credentials.scram import new_verifier
from state_store.credentials.turns import Turns
from state_store.errors import SlowedDown
from state_store.records import Credential

_Result = TypeVar("_Result")

MEMORY_KIBIBYTES = 19 * 1024
THREADS = 3
STRANGERS_THREADS = 1
"""Bound argon2's memory to four times 19 MiB, whatever the number of logins. Strangers, whose user has not
logged in from their network lately, have a thread of their own and delay nobody else."""

NICENESS = 5
STRANGERS_NICENESS = 10
"""The nice values of these threads (Linux): when processor time is short, open sessions come first, then
logins of known pairs, then strangers."""

WAITING_STRANGERS = 64
"""The most strangers' passwords that wait for their thread, a second or two; more are refused unchecked."""

GUESSES = 3_000
GUESSES_A_SECOND = 20 / 60
"""So many different passwords are compared with a remembered one, then 20 a minute: guessing from a network
that the user himself uses gains no more by it than some hours' allowance. Beyond that a login is checked as
if nothing were remembered."""

REPEATED_GUESSES = 8
"""The latest guesses that are recognised: a device with a stale password makes one guess in all."""

DIGEST_OCTETS = 32

REMEMBERED_USERS = 100_000
"""About 25 MB at most. Users beyond it pay for another argon2id check."""


class Passwords:
    """Makes and checks argon2id hashes (19 MiB, 2 passes), off the event loop.

    A right password is remembered as a keyed digest together with its credential's version; the key lives as
    long as the process. It counts for that version only, so it is worthless once the password is changed or
    the user removed.

    Passwords beyond ASCII must have been prepared by `opaque_string`. Checks run in parallel on as many of
    the process's `processors` as `THREADS` allows. `memory_kibibytes` is the memory cost of new hashes; the
    cost of a check is in its hash.
    """

    def __init__(self, processors: int = 1, *, memory_kibibytes: int = MEMORY_KIBIBYTES) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=2, memory_cost=memory_kibibytes, parallelism=1)
        self._own_kind = f"ARGON2ID,{self._hasher.memory_cost},{self._hasher.time_cost},1"
        self._threads = ThreadPoolExecutor(min(THREADS, processors), "argon2", _stand_back, (NICENESS,))
        self._turns = Turns(min(THREADS, processors))
        self._strangers_threads = ThreadPoolExecutor(
            STRANGERS_THREADS, "argon2-strangers", _stand_back, (STRANGERS_NICENESS,)
        )
        self._strangers = 0
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[str, bytes] = OrderedDict()
        """The digest of a right password, then the credential's version: in one piece for 100,000 users."""
        self._guesses: OrderedDict[str, _Guesses] = OrderedDict()
        # An unknown user's password is checked against this hash, to take as long as a wrong password.
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    async def new_hash(self, password: str) -> str:
        """Return a new argon2id hash of `password`."""
        return await _in_thread(self._threads, self._hasher.hash, password)

    async def new_credential(self, password: str, version: str = "") -> Credential:
        """Return a credential for argon2id and SCRAM, with a new version unless it is given."""
        return await _in_thread(self._threads, self._credential, password, version or _new_version())

    async def imported_credential(self, imported: ImportedHash) -> Credential:
        """Return a credential of an imported hash, with a new version; a password in the clear is hashed.

        A hash like ours, with its verifier, is one of our own again.
        """
        if imported.scheme == PLAIN:
            return await self.new_credential(imported.text)
        if imported.kind == self._own_kind and imported.scram_verifier:
            return Credential(imported.text, _new_version(), imported.scram_verifier)
        return Credential(imported.kept, _new_version(), imported.scram_verifier)

    @property
    def keeps_strangers_waiting(self) -> bool:
        """Whether a stranger's password would have to wait for another check."""
        return self._strangers > 0

    async def is_right(
        self,
        name: str,
        credential: Credential | None,
        password: str,
        presence: Presence | None = None,
        *,
        kinds: Collection[str] = (),
        network: str = "",
        is_stranger: bool = False,
    ) -> bool:
        """Check a password, and remember a right one, which takes about 20 ms or as long as an imported hash.

        A refusal takes as long whatever is wrong, and whatever hash the user has: 20 ms and the time of one
        imported hash of each of `kinds`, those that users have. A password that is remembered for this
        credential costs nothing. Other checks of one `network` wait for each other, and hold up no other
        network's. Raises `SlowedDown` when too many strangers wait already, and when a stranger leaves
        before the check begins.
        """
        if credential is not None and self.recall(name, password) == credential.version:
            self._remembered.move_to_end(name)
            return True
        password_hash = credential.password_hash if credential is not None else self._nobody
        if is_stranger:
            matches = await self._matches_stranger(password_hash, password, kinds, presence or Presence())
        else:
            # After a restart all users are checked anew: a network's many wait behind each other alone.
            async with self._turns.turn(network):
                matches = await _in_thread(self._threads, self._matches, password_hash, password, kinds)
        if not matches or credential is None:
            return False
        self._remembered[name] = self._digest(password) + credential.version.encode()
        self._remembered.move_to_end(name)
        if len(self._remembered) > REMEMBERED_USERS:
            self._remembered.popitem(last=False)
        return True

    def recall(self, name: str, password: str) -> str | None:
        """Return the credential version for which this password was right, None if it is not remembered."""
        remembered = self._remembered.get(name)
        guesses = self._guesses.get(name)
        if remembered is None or (guesses is not None and guesses.are_used_up):
            return None
        digest = self._digest(password)
        if hmac.compare_digest(remembered[:DIGEST_OCTETS], digest):
            return remembered[DIGEST_OCTETS:].decode()
        if guesses is None:
            guesses = self._guesses[name] = _Guesses()
            if len(self._guesses) > REMEMBERED_USERS:
                self._guesses.popitem(last=False)
        guesses.add(digest)
        return None

    def forget(self, name: str) -> None:
        """Forget the right password of this name."""
        self._remembered.pop(name, None)

    def close(self) -> None:
        """Let the threads end."""
        for threads in (self._threads, self._strangers_threads):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _matches_stranger(
        self, password_hash: str, password: str, kinds: Collection[str], presence: Presence
    ) -> bool:
        if self._strangers > (0 if presence.is_gone else WAITING_STRANGERS):
            raise SlowedDown
        # A client that half-closes after its last command still gets the answer of a check that has begun.
        begins_at_once = self._strangers == 0
        self._strangers += 1
        check = self._strangers_threads.submit(self._matches, password_hash, password, kinds)
        try:
            with nullcontext() if begins_at_once else presence.watched(check.cancel):
                return await asyncio.wrap_future(check)
        except asyncio.CancelledError:
            if not presence.is_gone:
                raise
            raise SlowedDown from None  # it had not begun
        finally:
            self._strangers -= 1

    def _credential(self, password: str, version: str) -> Credential:
        return Credential(self._hasher.hash(password), version, new_verifier(password))

    def _matches(self, password_hash: str, password: str, kinds: Collection[str]) -> bool:
        imported = kept_hash(password_hash)
        if imported is not None and imported.fits(password):
            return True
        if self._fits(self._nobody if is_imported(password_hash) else password_hash, password):
            return True
        spend_alike(password, kinds, imported)
        return False

    def _fits(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def _digest(self, password: str) -> bytes:
        return hashlib.blake2b(password.encode(), key=self._key, digest_size=DIGEST_OCTETS).digest()


class _Guesses:
    """Wrong passwords that were compared with a remembered one."""

    __slots__ = ("_last", "_used_up_until")

    def __init__(self) -> None:
        self._last: deque[bytes] = deque(maxlen=REPEATED_GUESSES)
        self._used_up_until = 0.0
        """When all guesses are forgotten, by the monotonic clock."""

    @property
    def are_used_up(self) -> bool:
        return self._used_up_until - time.monotonic() > (GUESSES - 1) / GUESSES_A_SECOND

    def add(self, digest: bytes) -> None:
        """Count a guess, unless it is among the latest."""
        if digest not in self._last:
            self._last.append(digest)
            self._used_up_until = max(self._used_up_until, time.monotonic()) + 1 / GUESSES_A_SECOND


def _new_version() -> str:
    return secrets.token_hex(8)


async def _in_thread(threads: Executor, function: Callable[..., _Result], *arguments: Any) -> _Result:
    return await asyncio.get_running_loop().run_in_executor(threads, function, *arguments)


def _stand_back(niceness: int) -> None:
    # Only Linux has a nice value for each thread; elsewhere it is the whole process's.
    if sys.platform == "linux":
        own = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, own, max(niceness, os.getpriority(os.PRIO_PROCESS, own)))
