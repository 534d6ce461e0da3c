"""POP3 users and their passwords."""

import asyncio
import secrets
from collections.abc import Sequence

from state_store.audit import Actor
from state_store.errors import UnknownUser, UserExists
from state_store.records import Added, Credential, HashCounts
from state_store.redis import keys
from state_store.repository.deployment import DeploymentStore
from state_store.user_records import group_of

NAMES_A_PAGE = 2000
"""Names that are read at once: a list of all users holds Redis up for less than a millisecond at a time."""


def names_between(after: str, prefix: str) -> tuple[str, str]:
    """Return the bounds for ZRANGEBYLEX of the names that begin with `prefix` and follow `after`."""
    first = f"({after}" if after and after >= prefix else f"[{prefix}" if prefix else "-"
    return first, f"({prefix}\x7f" if prefix else "+"  # names are of printable ASCII


class UserRepository(DeploymentStore):
    """POP3 users; names are case-sensitive, and sorted by their octets."""

    async def usernames(self) -> list[str]:
        """Return the names of all users, sorted; one that is added or removed meanwhile may be among them."""
        names: list[str] = []
        while True:
            page = await self.usernames_after(names[-1] if names else "", NAMES_A_PAGE)
            names += page
            if len(page) < NAMES_A_PAGE:
                return names

    async def usernames_after(self, after: str, limit: int) -> list[str]:
        """Return at most `limit` names, sorted, that follow `after`."""
        first, last = names_between(after, "")
        return list(await self._client.command("ZRANGEBYLEX", keys.USERNAMES, first, last, "LIMIT", 0, limit))

    async def credential(self, username: str) -> Credential | None:
        """Return how the user's password is checked, or None for an unknown user."""
        text = await self._ours("HGET", keys.CREDENTIALS, username)
        return None if text is None else _credential(text)

    async def credentials(self, usernames: Sequence[str]) -> list[Credential | None]:
        """Return the credentials of several users, in order; None for an unknown one."""
        if not usernames:
            return []
        texts = await self._client.command("HMGET", keys.CREDENTIALS, *usernames)
        return [None if text is None else _credential(text) for text in texts]

    async def hash_counts(self) -> HashCounts:
        """Return how many users have which kind of password hash."""
        imported, users = await asyncio.gather(
            self._client.send("HGETALL", keys.IMPORTED_HASHES), self._client.send("HLEN", keys.CREDENTIALS)
        )
        return HashCounts(int(users), {kind: int(count) for kind, count in imported.items()})

    async def add_user(self, username: str, credential: Credential, *, by: Actor | None) -> None:
        """Add a user. Raises `UserExists`; adding the same credential again (a retry) succeeds.

        `by` is None for one whose own login has brought the mail here (D84).
        """
        if await self.add_users([(username, credential)], by=by) == [Added.EXISTS]:
            raise UserExists

    async def add_users(
        self,
        users: Sequence[tuple[str, Credential]],
        *,
        by: Actor | None,
        update: bool = False,
        is_trial: bool = False,
    ) -> list[Added]:
        """Add users in one step, and return what became of each.

        Those that are there keep their passwords unless `update`. With `is_trial` nothing changes.
        """
        words = [word for name, credential in users for word in (name, _credential_text(credential))]
        packed = by.packed() if by is not None else ""
        answer = await self._client.script("add_users", packed, int(update), int(is_trial), *words)
        return [Added(outcome) for outcome in answer]

    async def remove_user(self, username: str, *, by: Actor) -> None:
        """Remove a user; open sessions go on. Raises `UnknownUser`."""
        if await self._client.script("remove_user", by.packed(), username, group_of(username)):
            raise UnknownUser

    async def set_credential(self, username: str, credential: Credential, *, by: Actor) -> None:
        """Give a user a new password. Raises `UnknownUser`."""
        if await self._client.script("set_credential", by.packed(), username, _credential_text(credential)):
            raise UnknownUser

    async def renew_credential(self, username: str, credential: Credential) -> None:
        """Keep another hash of the password that has this version.

        Nothing happens when the user has another password by now, or was removed.
        """
        await self._client.script("renew_credential", username, _credential_text(credential))

    async def deployment_secret(self) -> str:
        """Return a random text, made once, that is the same for all replicas and at all times.

        The answers to unknown users are derived from it (see `scram`).
        """
        # Set and read in one step: the first replica decides for all.
        candidate = secrets.token_hex(32)
        known = await self._client.command("SET", keys.SECRET, candidate, "NX", "GET")
        return candidate if known is None else str(known)

    async def remembered_secret(self) -> str:
        """Return the `deployment_secret`, asked for once; again after the store was emptied."""
        if self._secret is None:
            self._secret = await self.deployment_secret()
        return self._secret


def _credential(text: str) -> Credential:
    version, _, secrets_text = text.partition(" ")
    password_hash, _, scram_verifier = secrets_text.partition(" ")
    is_suspended = version.startswith("!")
    return Credential(password_hash, version.removeprefix("!"), scram_verifier, is_suspended)


def _credential_text(credential: Credential) -> str:
    words = [credential.version, credential.password_hash]
    return " ".join([*words, credential.scram_verifier] if credential.scram_verifier else words)
