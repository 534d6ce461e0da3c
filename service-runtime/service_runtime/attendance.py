"""What a front end keeps in the store: its administrators and its mail directory."""

import asyncio
import itertools
import os

import structlog

from service_runtime.errors import StartError
from service_runtime.settings import AdministratorSettings, load
from state_store.audit import on_this_machine
from state_store.credentials.administrators import Administrators
from state_store.errors import StateError, StoreEmptied, StoreUnavailable
from state_store.repository import StateRepository

ATTENDANCE_SECONDS = 1.0
"""How soon a front end notices that the store was emptied, restored or accepted."""

NAMING_TURNS = 20
"""A front end names its administrators again every so many turns: three times within `FRONT_END_SECONDS`."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Attendance:
    """Installs a front end's administrators and announces its mail directory, once in each store.

    A store that was emptied is another one from the moment that it is restored or accepted.
    """

    def __init__(
        self,
        service: str,
        settings: AdministratorSettings,
        repository: StateRepository,
        administrators: Administrators,
    ) -> None:
        self._service = service
        self._settings = settings
        self._repository = repository
        self._administrators = administrators
        self._is_installed = False

    async def begin(self) -> None:
        """Install what is not installed yet; nothing in an emptied store. Raises `StoreUnavailable`."""
        try:
            await self._repository.attend()
            if not self._is_installed:
                await self._install()
                self._is_installed = True
        except StoreEmptied:
            self._is_installed = False

    async def keep_up(self) -> None:
        """Go on with that for ever, and name the administrators now and then."""
        for turn in itertools.count(1):
            await asyncio.sleep(ATTENDANCE_SECONDS)
            try:
                await self.begin()
                if self._is_installed and turn % NAMING_TURNS == 0:
                    await self._administrators.name_again()
            except StateError:
                pass  # whoever needs the store reports that it is away
            except Exception:
                # It goes on: nobody else would notice a store that is accepted or restored.
                log.exception("bug")

    async def _install(self) -> None:
        by, settings = on_this_machine(self._service), self._settings
        await self._repository.announce_mail_directory(settings.mail_dir, overrides=False, by=by)
        await self._repository.keep_audit(settings.audit_entries, settings.audit_days, by=by)
        password = await self._administrators.install()
        if password is not None:  # this call made the first administrator
            # Not through the log: logs are kept, copied and read by many.
            print(
                f"{self._service}: the first administrator is 'admin' with the password {password} "
                "(shown only now; only its hash is kept)",
                flush=True,
            )

    async def reread(self) -> None:
        """Read the administrators anew, as `PEEP_ADMINS_FILE` may have changed.

        An error changes nothing, and is logged.
        """
        try:
            settings = await asyncio.to_thread(load, type(self._settings))
            if settings.admins == self._settings.admins:
                log.info("administrators are as before", **_copied())
                return
            await self._administrators.change(settings.admins)
        except (StartError, StoreUnavailable) as error:
            log.error("administrators not read anew", reason=str(error))
        else:
            self._settings = settings
            log.info("administrators read anew", administrators=sorted(settings.admins))


def _copied() -> dict[str, str]:
    """Return what the log adds where the file is a copy that systemd makes at a start."""
    folder, path = (os.environ.get(name) for name in ("CREDENTIALS_DIRECTORY", "PEEP_ADMINS_FILE"))
    is_copy = folder and path and path.startswith(f"{folder}/")
    return {"hint": "LoadCredential= is read at a start: restart the service"} if is_copy else {}
