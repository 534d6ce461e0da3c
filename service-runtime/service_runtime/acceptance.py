"""`python -m service_runtime.acceptance`: go on, on purpose, with a Redis that has lost its users.

It connects to Redis, because an emptied one has no administrator left to sign in. `peepctl store accept` does
the same; the containers have only this, as they lack what `peepctl` needs.
"""

import asyncio
import sys

from service_runtime.errors import StartError
from service_runtime.settings import CommonSettings, load
from state_store.audit import on_this_machine
from state_store.errors import StateError
from state_store.repository import StateRepository

ACCEPTED = "accepted: the services go on with this Redis as it is"
NOTHING_MISSED = "nothing is missed in this Redis: nothing has changed"


async def accept(redis_url: str) -> str:
    """Accept the store as it is, and return a line about that. Raises `StateError`."""
    repository = StateRepository(redis_url)
    try:
        return ACCEPTED if await repository.accept(by=on_this_machine()) else NOTHING_MISSED
    finally:
        await repository.close()


def main() -> int:
    """Accept the store that PEEP_REDIS_URL names; return the exit code."""
    try:
        print(asyncio.run(accept(load(CommonSettings).redis_url)))
    except (StartError, StateError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
