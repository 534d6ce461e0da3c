"""Administrators that are read anew while a front end serves: `PEEP_ADMINS_FILE` may have changed."""

import asyncio

import structlog

from service_runtime import settings
from service_runtime.errors import StartError
from service_runtime.settings import AdministratorSettings
from state_store.credentials.administrators import Administrators
from state_store.errors import StoreUnavailable

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class AdministratorsReader:
    """Does on request what a start of the front end does with its administrators."""

    def __init__(self, given: AdministratorSettings, administrators: Administrators) -> None:
        self._settings_class = type(given)
        self._admins = given.admins
        self._administrators = administrators
        self._reading: asyncio.Task[None] | None = None

    def read(self) -> None:
        """Read them, one reading at a time; what cannot be read or told changes nothing, and is logged."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        try:
            admins = (await asyncio.to_thread(settings.load, self._settings_class)).admins
            if admins == self._admins:
                return
            await self._administrators.change(admins)
        except (StartError, StoreUnavailable) as error:
            log.error("administrators not read anew", reason=str(error))
        else:
            self._admins = admins
            log.info("administrators read anew", administrators=sorted(admins))
