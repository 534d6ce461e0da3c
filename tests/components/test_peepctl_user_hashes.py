"""`peepctl users import` and `users export`, with the HTTP API over a real store."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_client import is_password, passwords
from support.api_server import api_server
from support.foreign_hashes import PASSWORD, one_of_each_scheme
from support.peepctl_beside_api import PeepctlBesideApi

BY_SCHEME = {made.scheme: made for made in one_of_each_scheme()}
SSHA = BY_SCHEME["SSHA"].text
BCRYPT = BY_SCHEME["BLF-CRYPT"].text
WEAK = BY_SCHEME["SHA"].text


class Importer(PeepctlBesideApi):
    """Runs `peepctl` beside the API of this process."""

    async def imported(self, text: str, *options: str) -> tuple[int, dict[str, object]]:
        """Import a list from standard input, and return the exit code and the report."""
        done = await self.run("users", "import", "-", "--json", *options, given=text)
        assert done.stderr == ""
        return done.code, json.loads(done.stdout)


@pytest.fixture
async def importer(repository: StateRepository, tmp_path: Path) -> AsyncIterator[Importer]:
    async with api_server(repository) as api:
        yield Importer(api, tmp_path)


async def test_list_is_imported_and_each_other_line_told(
    importer: Importer, repository: StateRepository
) -> None:
    file = importer.home / "users"
    file.write_text(
        f"# from the old server\nalice:{SSHA}\nbob:{BCRYPT}\ncarol:{WEAK}\n"
        f"dave:$6$rounds=999999999$salt${'a' * 86}\nalice:{BCRYPT}\nerin:!\nfrank\ngr/ace:{SSHA}\n"
    )
    done = await importer.run("users", "import", str(file))
    assert (done.code, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["LINE", "USER", "REASON"]
    told = {int(line.split()[0]): line for line in lines[1:7]}
    assert "SHA is weak" in told[4]
    assert "--allow-weak" in told[4]
    assert "at most 1,000,000 rounds" in told[5]
    assert "exists already; --update" in told[6]
    assert "no password: the account is locked" in told[7]
    assert "no line of the format passwd-file" in told[8]
    assert "username: must be" in told[9]
    assert lines[-5:] == [
        "format passwd-file",
        "added    2",
        "updated  0",
        "left     1",
        "skipped  5",
    ]
    assert await repository.usernames() == ["alice", "bob"]
    assert await is_password(repository, "alice", PASSWORD)
    assert SSHA not in done.stdout


async def test_import_that_was_cut_is_run_again(importer: Importer, repository: StateRepository) -> None:
    text = "".join(f"user{number}:{SSHA}\n" for number in range(2000))
    code, report = await importer.imported(text[: len(text) // 2])
    assert code == 1  # its last line is cut
    code, report = await importer.imported(text)
    assert (code, report["skipped"]) == (0, 0)
    assert isinstance(report["added"], int)
    assert isinstance(report["left"], int)
    assert report["added"] + report["left"] == 2000
    assert report["left"] > 900
    assert len(await repository.usernames()) == 2000


async def test_users_who_exist_do_not_hide_the_faults(importer: Importer) -> None:
    text = "".join(f"user{number}:{SSHA}\n" for number in range(30))
    await importer.imported(text)
    file = importer.home / "again"
    file.write_text(f"gr/ace:{SSHA}\n{text}")
    lines = (await importer.run("users", "import", str(file))).stdout.splitlines()
    assert [line.split()[0] for line in lines[1:12]] == [*map(str, range(2, 12)), "1"]
    assert lines[12] == "... and 20 more who exist already"


async def test_dry_run_tells_the_same_and_changes_nothing(
    importer: Importer, repository: StateRepository
) -> None:
    await importer.imported(f"alice:{SSHA}\n")
    text = f"alice:{BCRYPT}\nbob:{SSHA}\ncarol:x\n"
    code, expected = await importer.imported(text, "--dry-run", "--update")
    assert expected["dry_run"] is True
    assert (expected["added"], expected["updated"], expected["skipped"]) == (1, 1, 1)
    assert await repository.usernames() == ["alice"]
    assert await importer.imported(text, "--update") == (code, {**expected, "dry_run": False})
    assert (await repository.hash_counts()).by_scheme == {"BLF-CRYPT": 1, "SSHA": 1}


async def test_weak_and_plain_hashes_are_taken_on_demand(
    importer: Importer, repository: StateRepository
) -> None:
    text = f"alice:{WEAK}\nbob:{{PLAIN}}{PASSWORD}\n"
    assert (await importer.imported(text))[1]["skipped"] == 2
    assert (await importer.imported(text, "--allow-weak"))[0] == 0
    for name in ("alice", "bob"):
        assert await is_password(repository, name, PASSWORD)
    bob = await repository.credential("bob")
    assert bob is not None
    assert bob.password_hash.startswith("$argon2id$")


async def test_rows_are_bounded(importer: Importer) -> None:
    code, report = await importer.imported("x\n" * 1500, "--format", "passwd-file")
    assert (code, report["skipped"], report["lines_left_out"]) == (1, 1500, 500)
    done = await importer.run("users", "import", "-", "--format", "passwd-file", given="x\n" * 1500)
    assert "... and 500 more lines that were skipped" in done.stdout


async def test_export_is_private_and_imports_the_same_users(
    importer: Importer, repository: StateRepository
) -> None:
    text = "".join(f"{made.scheme}:{made.text}\n" for made in BY_SCHEME.values())
    await importer.imported(text, "--allow-weak")
    await repository.add_user("own", await passwords().new_credential("secret"), by=OPERATOR)
    before = await repository.hash_counts()
    file = importer.home / "export"
    done = await importer.run("users", "export", str(file))
    assert (done.code, done.stdout, done.stderr) == (0, f"{before.users} users are in {file}\n", "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in importer.home.iterdir()] == ["export"]
    names = await repository.usernames()
    for name in names:
        await repository.remove_user(name, by=OPERATOR)
    code, report = await importer.imported(file.read_text(), "--allow-weak")
    assert (code, report["added"], report["format"]) == (0, len(names), "passwd-file")
    assert await repository.hash_counts() == before
    assert await is_password(repository, "own", "secret")
    own = await repository.credential("own")
    assert own is not None
    assert own.scram_verifier


async def test_export_never_replaces_a_file_unasked(importer: Importer, repository: StateRepository) -> None:
    await importer.imported(f"alice:{SSHA}\n")
    file = importer.home / "export"
    file.symlink_to(importer.home / "elsewhere")
    done = await importer.run("users", "export", str(file))
    assert (done.code, done.stdout) == (2, "")
    assert "exists already; --force replaces it" in done.stderr
    assert not (importer.home / "elsewhere").exists()
    assert (await importer.run("users", "export", str(file), "--force")).code == 0
    assert file.read_text().startswith("alice:{SSHA}")
    assert not file.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    missing = await importer.run("users", "export", str(importer.home / "missing" / "file"))
    assert (missing.code, missing.stderr.strip().rpartition(": ")[2]) == (2, "No such file or directory")


async def test_export_says_whose_name_no_passwd_file_can_hold(
    importer: Importer, repository: StateRepository
) -> None:
    for name in ("alice", "b:ob", "#carol"):
        await repository.add_user(name, await passwords().new_credential("secret"), by=OPERATOR)
    done = await importer.run("users", "export", "-")
    assert done.code == 1
    assert done.stdout.startswith("alice:{ARGON2ID}$argon2id$")
    assert done.stdout.count("\n") == 1
    assert "2 users are left out" in done.stderr
    assert "#carol, b:ob" in done.stderr


@pytest.mark.parametrize(
    ("file", "reason"),
    [("missing", "No such file"), (".", "Is a directory")],
)
async def test_what_is_no_list_is_refused(importer: Importer, file: str, reason: str) -> None:
    done = await importer.run("users", "import", file)
    assert (done.code, done.stdout) == (2, "")
    assert reason in done.stderr


@pytest.mark.parametrize("text", ["", "# nobody\n", "username,password\n"])
async def test_a_list_without_users_is_told(importer: Importer, text: str) -> None:
    done = await importer.run("users", "import", "-", given=text)
    assert (done.code, done.stdout, done.stderr) == (2, "", "peepctl: -: no users in it\n")


@pytest.mark.parametrize("text", ["a:secret\n", "user,password\na,secret\n", "a,secret\nb,secret\n"])
async def test_plain_passwords_are_told_how_they_are_added(
    importer: Importer, repository: StateRepository, text: str
) -> None:
    done = await importer.run("users", "import", "-", given=text)
    assert done.code in (1, 2)
    assert "`peepctl users add --from FILE`, user:password a line" in done.stderr
    assert "secret" not in done.stdout + done.stderr
    assert await repository.usernames() == []


async def test_wrong_password_address_and_server_are_told(importer: Importer, tmp_path: Path) -> None:
    wrong = await importer.run("users", "import", "-", given=f"a:{SSHA}\n", PEEPCTL_PASSWORD="wrong")
    assert wrong.code == 4
    assert "wrong administrator name or password for root" in wrong.stderr
    nobody = await importer.run("users", "import", "-", "--http", "http://127.0.0.1:1", given=f"a:{SSHA}\n")
    assert nobody.code == 3
    assert "--http (or PEEPCTL_HTTP) sets its address" in nobody.stderr
    for address in ("ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://127.0.0.1:0"):
        done = await importer.run("users", "import", "-", "--http", address, given=f"a:{SSHA}\n")
        assert done.code == 2, done
        assert "is no address of the HTTP API" in done.stderr


async def test_password_for_another_host_is_not_sent(importer: Importer) -> None:
    done = await importer.run(
        "users",
        "import",
        "-",
        "--http",
        f"http://localhost:{importer.api.port}",
        given=f"a:{SSHA}\n",
    )
    assert done.code == 2
    assert "no password for" in done.stderr


async def test_hundreds_of_users_take_few_requests(importer: Importer) -> None:
    text = "".join(f"user{number}@example.org:{BY_SCHEME['SHA512-CRYPT'].text}\n" for number in range(1000))
    with capture_logs() as events:
        await asyncio.to_thread(importer.peepctl.run, "users", "import", "-", given=text)
    requests = [event for event in events if event["event"] == "request"]
    assert 2 <= len(requests) <= 6


async def test_api_that_is_away_for_a_moment_is_asked_again(
    importer: Importer, repository: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([httpx.codes.SERVICE_UNAVAILABLE])
    from peepctl.http_api import HttpApi

    exchange = HttpApi._exchange

    def away_at_first(self: HttpApi, method: str, path: str, body: bytes | None) -> tuple[int, bytes, float]:
        if status := next(answers, None):
            return status, b"{}", 0.0
        return exchange(self, method, path, body)

    monkeypatch.setattr(HttpApi, "_exchange", away_at_first)
    assert (await importer.imported(f"alice:{SSHA}\n"))[0] == 0
    assert await repository.usernames() == ["alice"]
