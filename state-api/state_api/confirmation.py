"""Changes of settings that a person should think twice about: they are made once they are confirmed."""

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Annotated

from fastapi import Query

from state_api.errors import NEEDS_CONFIRMATION, Refused
from state_api.schemas import FieldError
from state_store.dangers import dangers
from state_store.repository import StateRepository

Confirmed = Annotated[
    bool, Query(description="Whether to make the change even if it is one to think twice about.")
]


async def require_confirmation(changes: Mapping[str, int | str], repository: StateRepository) -> None:
    """Raise `Refused` with the reasons, by field, for changes that need a confirmation.

    Raises `MailDirectoryRefused` for a mail directory that would be refused anyway.
    """
    settings, counters = await asyncio.gather(repository.settings(), repository.counters())
    found = dangers(changes, dataclasses.asdict(settings), counters.current_connections)
    if "mail_directory" in found:
        await repository.examine_mail_directory(str(changes["mail_directory"]))
    if found:
        raise Refused(
            NEEDS_CONFIRMATION, [FieldError(field=name, message=why) for name, why in found.items()]
        )
