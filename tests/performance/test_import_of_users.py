"""A hundred thousand users with their hashes are imported in less than a minute, and again in no more."""

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest

from support.api_process import ADMINISTRATOR, running_api
from support.foreign_hashes import foreign_hashes
from support.machine_speed import slowness
from support.redis_server import RedisServer

USERS = 100_000
SECONDS = 60
"""On the reference machine."""


@pytest.mark.timeout(600)
async def test_a_hundred_thousand_users_take_less_than_a_minute(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    text = next(found.text for found in foreign_hashes() if found.scheme == "SHA512-CRYPT")
    file = tmp_path / "users"
    file.write_text("".join(f"user{number:06}@example.org:{text}:1000:1000::\n" for number in range(USERS)))
    async with running_api(redis_server.url, tmp_path) as api:
        for counted in ("added", "left"):
            pace = slowness()
            started = time.monotonic()
            program = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "peepctl", "users", "import", str(file), "--json"),
                *("--http", f"http://127.0.0.1:{api.port}", "--user", ADMINISTRATOR[0]),
                stdout=asyncio.subprocess.PIPE,
                env={"PEEPCTL_PASSWORD": ADMINISTRATOR[1], "PATH": ""},
            )
            output, _ = await program.communicate()
            seconds = time.monotonic() - started
            # The pace changes from second to second.
            allowed = SECONDS * max(pace, slowness())
            print(f"{counted}: {USERS:,} users in {seconds:.1f} of {allowed:.0f} s")
            assert (program.returncode, json.loads(output)[counted]) == (0, USERS)
            assert seconds < allowed
        assert (await api.client.get("/v1/password-schemes")).json() == {
            "users": USERS,
            "imported": USERS,
            "schemes": [{"scheme": "SHA512-CRYPT", "users": USERS}],
        }
