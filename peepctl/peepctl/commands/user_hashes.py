"""`users import|export`: users with their password hashes, from other servers and back."""

import contextlib
import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from peepctl.http_api import HttpApi
from peepctl.options import AsJson, complain, connected
from peepctl.output import say, say_json, say_list, say_table
from peepctl.server import Exit, Server
from peepctl.sources import WrongSettings
from peepctl.user_lists import PLAIN_PASSWORDS, VERIFIER, Entry, Format, Unusable, UserList

REQUEST_OCTETS = 60_000
"""The API takes 64 KiB."""

REQUEST_USERS = 250
"""As many as usually fit: passwords in the clear are shorter, but each of them is hashed."""

MAX_ROWS = 1000
"""Lines of each kind that are reported; a file of a million wrong lines must not fill the memory."""

EXISTING_SHOWN = 10
"""Of users who exist already so many are shown, so that they do not hide the faults of a repeated import."""

PAGE = 1000

_NO_SCHEME = "scheme cannot be told"
"""In the API's reason for what is no hash."""

SEPARATOR = " "
"""Between a hash and its verifier, in the API's text."""


@dataclass(slots=True)
class Report:
    """The results of the lines of a list."""

    added: int = 0
    updated: int = 0
    left: int = 0
    skipped: int = 0
    without_scheme: int = 0
    """Those of the skipped ones that may be passwords in the clear."""
    existing: list[tuple[int, str, str]] = field(default_factory=list)
    """Line, user and reason of those that were left, the first `MAX_ROWS`."""
    faults: list[tuple[int, str, str]] = field(default_factory=list)
    """The same of those that were skipped."""

    @property
    def lines(self) -> int:
        """The number of all of them."""
        return self.added + self.updated + self.left + self.skipped

    def take(self, entry: Entry, result: dict[str, Any]) -> None:
        """Count what the API answers for a user."""
        match result["outcome"]:
            case "added":
                self.added += 1
            case "updated":
                self.updated += 1
            case "exists":
                self.left += 1
                _note(self.existing, entry, "exists already; --update gives it this password")
            case _:
                self.without_scheme += _NO_SCHEME in result["reason"]
                self.skip(Unusable(entry.line, entry.username, result["reason"]))

    def skip(self, line: Unusable) -> None:
        """Count a line that cannot be used."""
        self.skipped += 1
        _note(self.faults, line, line.reason)


def _note(rows: list[tuple[int, str, str]], line: Entry | Unusable, reason: str) -> None:
    if len(rows) < MAX_ROWS:
        rows.append((line.line, line.username, reason))


@connected
def import_users(
    server: Server,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The list; - is standard input.")],
    wanted: Annotated[
        Format | None, typer.Option("--format", help="Its format.", show_default="recognised")
    ] = None,
    domain: Annotated[
        str, typer.Option(metavar="DOMAIN", help="Add @DOMAIN to names without one.", show_default=False)
    ] = "",
    update: Annotated[
        bool, typer.Option("--update", help="Replace the passwords of users who exist.")
    ] = False,
    allow_weak: Annotated[
        bool,
        typer.Option("--allow-weak", help="Accept unsalted digests, MD5-crypt, DES and plain passwords too."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report what would happen.")] = False,
    as_json: AsJson = False,
) -> int:
    """Add users with the password hashes of another server.

    Reads Dovecot's passwd-file, docker-mailserver's postfix-accounts.cf, shadow files, htpasswd, CSV, and
    what psql and mysql -B print of a table. Users who exist are left unless --update is given, so an import
    that was cut can simply be run again. It talks to the HTTP API.
    """
    report = Report()
    with _opened(file) as (stream, size), server.api() as api:
        users = UserList(stream, file, wanted, domain)
        options = {"update": update, "dry_run": dry_run, "allow_weak": allow_weak}
        with _progress(size) as progress:
            for batch in _batches(users, report):
                _add(api, batch, options, report)
                if progress is not None:
                    progress.update(users.octets - progress.pos)
    if not report.lines:
        raise WrongSettings(f"{file}: no users in it")
    _say_report(report, users.format, as_json=as_json, dry_run=dry_run)
    if report.without_scheme and not as_json:
        complain(f"{report.without_scheme:,} lines have no hash of a known scheme. {PLAIN_PASSWORDS}")
    return Exit.REFUSED if report.skipped else Exit.DONE


@connected
def export_users(
    server: Server,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The new file; - is standard output.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> int:
    """Write the users with their password hashes into a file, as Dovecot's passwd-file.

    Only its owner can read it. `users import` reads it back; Dovecot ignores the verifiers for SCRAM that
    stand in the last field. It talks to the HTTP API.
    """
    left_out: list[str] = []
    with server.api() as api:
        lines = _exported_lines(api, left_out)
        if file == "-":
            sys.stdout.writelines(lines)
        else:
            say(f"{_write(Path(file), lines, force=force):,} users are in {file}")
    if left_out:
        complain(
            f"{len(left_out):,} users are left out, as a passwd-file cannot hold their names: "
            + ", ".join(left_out[:10])
        )
        return Exit.REFUSED
    return Exit.DONE


@contextlib.contextmanager
def _opened(file: str) -> Iterator[tuple[BinaryIO, int]]:
    """Give a file's octets, and how many they are; 0 where that is not known."""
    if file == "-":
        yield sys.stdin.buffer, 0
        return
    try:
        stream = Path(file).expanduser().open("rb")
    except OSError as error:
        raise WrongSettings(f"{file} cannot be read: {error.strerror}") from None
    with stream:
        status = os.fstat(stream.fileno())
        yield stream, status.st_size if stat.S_ISREG(status.st_mode) else 0


def _batches(users: UserList, report: Report) -> Iterator[list[Entry]]:
    """Yield users, as many at a time as fit into a request; report the lines without one."""
    batch: list[Entry] = []
    octets = 0
    for one in users:
        if isinstance(one, Unusable):
            report.skip(one)
            continue
        size = len(json.dumps(_body(one))) + 2
        if octets + size > REQUEST_OCTETS or len(batch) == REQUEST_USERS:
            yield batch
            batch, octets = [], 0
        batch.append(one)
        octets += size
    if batch:
        yield batch


def _add(api: HttpApi, batch: Sequence[Entry], options: dict[str, bool], report: Report) -> None:
    answer = api.post("/v1/users", {"users": [_body(entry) for entry in batch], **options})
    for entry, result in zip(batch, answer["results"], strict=True):
        report.take(entry, result)


def _body(entry: Entry) -> dict[str, str]:
    return {"username": entry.username, "password_hash": entry.password_hash}


def _progress(size: int) -> AbstractContextManager[Any]:
    if not size or not sys.stderr.isatty():
        return nullcontext()
    return typer.progressbar(length=size, label="reading the list", file=sys.stderr)


def _say_report(report: Report, found: Format, *, as_json: bool, dry_run: bool) -> None:
    counts = {name: getattr(report, name) for name in ("added", "updated", "left", "skipped")}
    if as_json:
        lines: list[dict[str, object]] = [
            {"line": line, "username": user, "reason": reason}
            for line, user, reason in report.existing + report.faults
        ]
        left_out = report.left + report.skipped - len(lines)
        say_json(
            {"format": found.value, "dry_run": dry_run, **counts, "lines": lines, "lines_left_out": left_out}
        )
        return
    if rows := report.existing[:EXISTING_SHOWN] + report.faults:
        say_table(("LINE", "USER", "REASON"), [(str(line), user, reason) for line, user, reason in rows])
        if existing := report.left - min(report.left, EXISTING_SHOWN):
            say(f"... and {existing:,} more who exist already")
        if faults := report.skipped - len(report.faults):
            say(f"... and {faults:,} more lines that were skipped")
        say("")
    say(f"format {found.value}{', dry run: nothing was changed' if dry_run else ''}")
    say_list([(name, f"{count:,}") for name, count in counts.items()])


def _exported_lines(api: HttpApi, left_out: list[str]) -> Iterator[str]:
    for page in api.pages("/v1/password-hashes", {"limit": str(PAGE)}, "after"):
        for user in page["users"]:
            name = user["username"]
            if ":" in name or name.startswith("#"):
                left_out.append(name)
                continue
            password_hash, _, verifier = user["password_hash"].partition(SEPARATOR)
            yield f"{name}:{password_hash}{f'::::::{VERIFIER}{verifier}' if verifier else ''}\n"


def _write(path: Path, lines: Iterator[str], *, force: bool) -> int:
    """Write a new file that only its owner can read, whole or not at all; return how many lines it has."""
    if not force and os.path.lexists(path):
        raise WrongSettings(f"{path} exists already; --force replaces it")
    try:
        descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # of mode 0600
    except OSError as error:
        raise WrongSettings(f"{path} cannot be written: {error.strerror}") from None
    number = 0
    try:
        with open(descriptor, "w", encoding="utf-8") as out:
            for line in lines:
                out.write(line)
                number += 1
            out.flush()
            os.fsync(out.fileno())
        if force:
            os.replace(unfinished, path)
        else:
            os.link(unfinished, path)  # unlike a rename it never replaces what has come meanwhile
    except FileExistsError:
        raise WrongSettings(f"{path} exists already; --force replaces it") from None
    except OSError as error:
        raise WrongSettings(f"{path} cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished)
    return number
