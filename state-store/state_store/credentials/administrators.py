"""The administrators of a deployment: those that the settings name, or a first one with a random password."""

import contextlib
import secrets
from collections.abc import Mapping

from state_store.administrators import Administrator, Role
from state_store.audit import Actor
from state_store.credentials.passwords import Passwords
from state_store.errors import StateError
from state_store.records import Credential, Naming
from state_store.repository.administrators import AdministratorRepository

FIRST_ADMINISTRATOR = "admin"
PASSWORD_OCTETS = 15
"""Of randomness: 20 characters."""


def new_password() -> str:
    """Return a random password for the first administrator."""
    return secrets.token_urlsafe(PASSWORD_OCTETS)


class Administrators:
    """The administrators that one front end's settings name, beside those that others name.

    An administrator that no front end names any more is removed. A front end whose settings name none keeps
    `admin`, made by a first start. Those that were made while the services run are left alone, unless the
    settings name them: the settings win.
    """

    def __init__(
        self,
        repository: AdministratorRepository,
        passwords: Passwords,
        given: Mapping[str, str],
        *,
        by: Actor,
    ) -> None:
        self._repository = repository
        self._passwords = passwords
        self._given = given
        self._by = by
        self._front_end = secrets.token_hex(8)
        self._hashes: Mapping[str, str] = {}
        self._first_password = ""
        """Of the first administrator, while the store's answer to its hash in `_hashes` is outstanding."""

    async def install(self) -> str | None:
        """Make the given names and passwords administrators.

        With none given, and nobody in the store who may do everything, make `admin` with a random password,
        which is returned so that it can be shown once; only its hash is kept. Otherwise return None.

        Raises `StoreUnavailable`. The next call then finds out whether the store had made `admin`.
        """
        if self._given:
            self._first_password = ""
            while not await self._name_given():
                pass  # another front end was faster: its hashes may fit as well
            return None
        known = await self._repository.administrators()
        is_first = not any(one.role is Role.ALL for one in known.values())
        if (self._first_password or is_first) and (password := await self._make_first()):
            return password
        first = (await self._repository.administrators()).get(FIRST_ADMINISTRATOR)
        self._hashes = {first.name: first.password_hash} if first is not None else {}
        await self.name_again()
        return None

    async def change(self, given: Mapping[str, str]) -> None:
        """Replace the given administrators, as a start with other settings does."""
        before, self._given = self._given, given
        try:
            await self.install()
        except BaseException:
            self._given = before
            raise

    async def name_again(self) -> None:
        """Report that this front end is still there, and which administrators it names."""
        await self._name(Naming.AGAIN if self._given else Naming.KEEP)

    async def leave(self) -> None:
        """Report that this front end ends. A store that is away notices it after `FRONT_END_SECONDS`."""
        with contextlib.suppress(StateError):
            await self._repository.leave(self._front_end)

    async def _name_given(self) -> bool:
        known = await self._repository.administrators()
        self._hashes = await _hashes(self._passwords, self._given, known)
        # Another hash of the same password would end the sign-ins that there are already.
        before = {name: known[name].password_hash for name in self._given if name in known}
        return await self._name(Naming.START, before)

    async def _name(self, naming: Naming, known: Mapping[str, str] | None = None) -> bool:
        return await self._repository.replace_administrators(
            self._hashes, self._front_end, naming, known=known, by=self._by
        )

    async def _make_first(self) -> str | None:
        if not self._first_password:
            password = new_password()
            self._hashes = {FIRST_ADMINISTRATOR: await self._passwords.new_hash(password)}
            self._first_password = password
        is_first = await self._name(Naming.FIRST)
        password, self._first_password = self._first_password, ""
        return password if is_first else None


async def _hashes(
    passwords: Passwords, given: Mapping[str, str], known: Mapping[str, Administrator]
) -> dict[str, str]:
    """Keep the hash of an unchanged password, so that a restart changes nothing for the other replicas."""
    hashes = {}
    for name, password in given.items():
        old = known[name].password_hash if name in known else ""
        credential = Credential(old, old) if old else None
        is_unchanged = credential is not None and await passwords.is_right(
            f"administrator {name}", credential, password
        )
        hashes[name] = old if is_unchanged else await passwords.new_hash(password)
    return hashes
