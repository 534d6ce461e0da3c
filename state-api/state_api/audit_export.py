"""The audit as a file: JSON lines for programs, CSV for spreadsheets."""

import csv
import io
from collections.abc import AsyncIterator

from state_api import audit_schemas
from state_api.audit_schemas import Format
from state_api.times import time_of
from state_store import audit

MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.JSON_LINES: "application/jsonl",
    Format.CSV: "text/csv",
}

COLUMNS = tuple(audit_schemas.Act.model_fields)
_BEGIN_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def wanted_format(named: Format | None, accept: str) -> Format:
    """Return the form that a request names, else the first of its `Accept` that there is, else JSON."""
    by_type = {media_type: one for one, media_type in MEDIA_TYPES.items()}
    types = (part.partition(";")[0].strip().lower() for part in accept.split(","))
    return named or next((by_type[one] for one in types if one in by_type), Format.JSON)


def shown(act: audit.Act) -> audit_schemas.Act:
    """Return an entry as it is answered."""
    return audit_schemas.Act(
        id=act.act_id,
        at=time_of(act.at),
        who=act.by.name,
        door=act.by.door.value,
        address=act.by.address,
        token=act.by.token,
        action=act.action,
        object=act.object,
        old=act.old,
        new=act.new,
    )


async def lines(acts: AsyncIterator[audit.Act], form: Format) -> AsyncIterator[str]:
    """Yield the file's lines, in CSV the names of the columns first."""
    if form is Format.CSV:
        yield _csv_line(COLUMNS)
    async for act in acts:
        if form is Format.CSV:
            yield _csv_line([str(value) for value in shown(act).model_dump(mode="json").values()])
        else:
            yield shown(act).model_dump_json() + "\n"


def _csv_line(values: tuple[str, ...] | list[str]) -> str:
    # A spreadsheet computes what looks like a formula: a name must not run anything on somebody's desk.
    harmless = [f"'{value}" if value.startswith(_BEGIN_FORMULAS) else value for value in values]
    line = io.StringIO()
    csv.writer(line).writerow(harmless)
    return line.getvalue()
