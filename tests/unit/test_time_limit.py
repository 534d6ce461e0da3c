"""The time limit of each test holds in uvloop too."""

import asyncio

import pytest
import uvloop


@pytest.mark.timeout(0.2)
def test_one_that_hangs_in_uvloop_is_ended() -> None:
    with pytest.raises(asyncio.CancelledError, match="the test has taken too long"):
        uvloop.run(asyncio.Event().wait())
