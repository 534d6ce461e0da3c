"""The command line of `peep-pop3 unique-ids import`."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any, Final

from pop3_service.old_unique_ids.importing import Choices, Importer
from pop3_service.old_unique_ids.report import Progress, Summary
from pop3_service.old_unique_ids.uidl_format import UidlFormat, UnknownFormat
from pop3_service.old_unique_ids.users import users_below
from service_runtime.errors import StartError
from service_runtime.maildir_layout import FIELDS, MaildirLayout
from service_runtime.setting_formats import RedisUrl
from service_runtime.settings import Pop3Settings, load
from state_store.audit import on_this_machine
from state_store.errors import StateError
from state_store.repository import StateRepository

NAME = "peep-pop3 unique-ids"
NOT_ALL_WELL, WRONG_USAGE, INTERRUPTED = 1, 2, 130

MOST_NAMED = 1000
"""Users that the audit names."""

SOURCES = ("auto", "dovecot", "courier", "names")

DESCRIPTION = """\
Copies the unique-ids that another server gave its messages into their maildirs, so that no client fetches
them again. For each user it reads what that server left, and writes one file, `peep-unique-ids`. Run it
where the mail is, with the settings of pop3-service (PEEP_MAIL_DIR, PEEP_MAILDIR_LAYOUT), when the old
server has stopped and before Peep serves the mail. It can be run again: users who have such a file already
are left as they are."""

EXIT_CODES = "Exit code: 0 when every message keeps its unique-id, 1 when not, 2 for wrong usage."

SOURCE_HELP = """\
`dovecot` (dovecot-uidlist), `courier` (courierpop3dsizelist), `names` (the names of the messages' files:
qmail, vpopmail), `auto` (whichever of the first two is there), or a file: one of the first two from
elsewhere, or lines `BASE-NAME UNIQUE-ID` or `NUMBER UNIQUE-ID OCTETS` (UIDL and LIST) in the old order. Its
path may hold {user}, {local} and {domain}. Default: auto"""


ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "users": {"nargs": "*", "metavar": "USER", "help": "default: all below PEEP_MAIL_DIR"},
    "--from": {"dest": "source", "default": "auto", "metavar": "SOURCE", "help": SOURCE_HELP},
    "--uidl-format": {
        "metavar": "FORMAT",
        "help": "Dovecot's `pop3_uidl_format`, as 2.3 (`%%08Xu%%08Xv`) or 2.4 (`%%{uid | hex(8)}`) has it",
    },
    "--reuse-x-uidl": {
        "action": "store_true",
        "help": "Dovecot had `pop3_reuse_xuidl=yes`: an X-UIDL in a message's header is its unique-id",
    },
    "--dry-run": {"action": "store_true", "help": "write nothing, only report"},
    "--replace": {"action": "store_true", "help": "write anew a `peep-unique-ids` that is there already"},
    "--json": {"action": "store_true", "help": "report in JSON"},
}
"""The arguments of `import`, for argparse and for the reference."""


class ImportSettings(Pop3Settings):
    """The settings of pop3-service; without PEEP_REDIS_URL the import is not in the audit."""

    redis_url: RedisUrl = ""


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says, and return the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        settings = load(ImportSettings)
        choices = Choices(
            given.source,
            UidlFormat(given.uidl_format) if given.uidl_format else None,
            given.reuse_x_uidl,
            given.dry_run,
            given.replace,
        )
        layout = MaildirLayout(settings.maildir_layout)
        users = given.users or list(users_below(settings.mail_dir, layout))
    except UnknownFormat as error:
        parser.error(f"--uidl-format: {error}")
    except StartError as error:
        print(error, file=sys.stderr)
        return WRONG_USAGE
    except OSError as error:
        print(f"PEEP_MAIL_DIR={error.filename}: {error.strerror}", file=sys.stderr)
        return WRONG_USAGE
    if choices.source not in SOURCES and len(users) > 1 and not any(map(choices.source.__contains__, FIELDS)):
        parser.error("--from: one file is one user's list; name the user, or put {user} in the path")
    if settings.redis_url and not choices.is_dry_run:
        asyncio.run(_note(settings.redis_url, choices.source, given.users))
    importer = Importer(settings.mail_dir, layout, settings.mail_roots, choices)
    try:
        return _import(importer, users, as_json=given.json)
    except KeyboardInterrupt:
        print("\ninterrupted: what is written stays; run the import again for the rest", file=sys.stderr)
        return INTERRUPTED


async def _note(redis_url: str, source: str, users: Sequence[str]) -> None:
    """Write the import into the audit before it begins."""
    repository = StateRepository(redis_url)
    try:
        by = on_this_machine()
        await repository.note_elsewhere("unique-ids.import", " ".join(users[:MOST_NAMED]), "", source, by=by)
    except StateError as error:
        print(f"this import is not in the audit: {error}", file=sys.stderr)
    finally:
        await repository.close()


def _import(importer: Importer, users: Sequence[str], *, as_json: bool) -> int:
    summary, progress = Summary(), Progress(len(users))
    fields = []
    told = ""
    for user in users:
        progress.show()
        report = importer.run(user)
        summary.add(report)
        progress.clear()
        if as_json:
            fields.append(report.fields())
        else:
            print(report.line(told), flush=True)
            told = report.evidence or told
    if as_json:
        print(json.dumps({"users": fields, "summary": summary.fields()}, indent=2))
    else:
        print(summary.line())
    return 0 if summary.is_well else NOT_ALL_WELL


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=NAME)
    commands = parser.add_subparsers(required=True, metavar="import")
    imports = commands.add_parser(
        "import",
        help="copy the unique-ids of the server that Peep replaces into the maildirs",
        description=DESCRIPTION,
        epilog=EXIT_CODES,
    )
    for name, options in ARGUMENTS.items():
        imports.add_argument(name, **options)
    return parser
