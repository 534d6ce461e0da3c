"""The screen of `peepctl top`, as lines of styled text."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from prompt_toolkit.formatted_text import StyleAndTextTuples

from peep_client import Session, Settings
from peepctl.output import amount, duration, shortened, shown
from peepctl.session_columns import HEAD, Order, cells, in_order
from peepctl.sparkline import BLOCKS, sparkline
from peepctl.top.history import History

RATES = (
    ("octets sent", "retrieved_bytes"),
    ("emails retrieved", "retrieved_emails"),
    ("emails removed", "removed_emails"),
    ("connections", "historical_connections"),
    ("logins", "historical_logins"),
)

Line = StyleAndTextTuples
"""One line as pairs of a style and a text."""

_LABEL_WIDTH = 16
_GAUGE_WIDTH = 40
_USER_WIDTH = 24
_NEARLY_FULL = 0.9
_FIXED_WIDTH = _LABEL_WIDTH + 3 * 12 + 2
_ABOVE_SESSIONS = 13
"""Lines above the sessions, their heading included; the key help is one more, at the bottom."""

ORDERS: dict[str, tuple[str, Order]] = {
    "o": ("oldest first", Order.OLDEST),
    "n": ("newest first", Order.NEWEST),
    "u": ("by user", Order.USER),
    "a": ("by address", Order.ADDRESS),
    "b": ("most octets first", Order.OCTETS),
    "m": ("most messages first", Order.MESSAGES),
    "i": ("longest idle first", Order.IDLE),
}
"""The orders of sessions, by the key that selects them."""


@dataclass(slots=True)
class View:
    """What is known of the server, and how to show it."""

    address: str
    history: History = field(default_factory=History)
    version: str | None = None
    settings: Settings | None = None
    sessions: Sequence[Session] = ()
    has_sessions: bool = True
    """Whether the server can list sessions."""
    trouble: str = ""
    """Why there are no new data; empty while there are."""
    is_lost: bool = False
    """Whether that is because the connection is lost."""
    order: str = "o"
    offset: int = 0
    """How many sessions are scrolled past."""


def lines(view: View, width: int, height: int, clock: str, blocks: str = BLOCKS) -> list[Line]:
    """Return exactly `height` lines, laid out for `width` columns; a narrow terminal cuts them off."""
    above: list[Line] = [
        _head(view, width, clock),
        [("bold ansired", shown(view.trouble))],
        *_gauges(view, width, blocks),
        [],
        *_rates(view, width, blocks),
        [],
    ]
    below: Line = [
        ("dim", "q quit  sort: o oldest n newest u user a address b octets m messages i idle  up/down scroll")
    ]
    rows = _sessions(view, max(height - len(above) - 1, 0))
    drawn = [*above, *rows][: max(height - 1, 0)]
    drawn += [[]] * (height - 1 - len(drawn))
    return [*drawn, below]


def scrolled(view: View, by: int, height: int) -> int:
    """Return the offset after scrolling `by` lines, which leaves no empty lines at the end of the list."""
    room = max(height - _ABOVE_SESSIONS - 1, 1)
    return max(0, min(view.offset + by, len(view.sessions) - room))


def _head(view: View, width: int, clock: str) -> Line:
    version = f"  Peep {shown(view.version)}" if view.version else ""
    left = f"peepctl top  {view.address}{version}"
    state = "NOT CONNECTED" if view.is_lost else "NOTHING NEW" if view.trouble else "connected"
    right = f"{state}  {clock}"
    if len(left) + len(right) + 2 > width:
        left = view.address
    gap = max(width - len(left) - len(right), 2)
    return [("bold", left + " " * gap), ("bold ansired" if view.trouble else "ansigreen", right)]


def _gauges(view: View, width: int, blocks: str) -> list[Line]:
    counters, settings = view.history.last, view.settings
    if counters is None:
        return [[("", "waiting for the first counters ...")], []]
    limit = settings.max_connections if settings else 0
    line: Line = [("", f"{'open connections':{_LABEL_WIDTH}}{counters.current_connections:>12,}")]
    if limit:
        share = min(counters.current_connections / limit, 1.0)
        room = min(_GAUGE_WIDTH, max(width - 60, 10))
        full = round(share * room)
        bar = blocks[-1] * full + blocks[0] * (room - full)
        line += [("ansired" if share > _NEARLY_FULL else "ansicyan", f"  {bar}")]
        line += [("", f" {share:.0%} of {limit:,}")]
    users: Line = [("", f"{'users logged in':{_LABEL_WIDTH}}{counters.logged_in_users:>12,}")]
    if settings:
        timeout = duration(settings.timeout_seconds) if settings.timeout_seconds else "none"
        users += [("dim", f"  timeout {timeout}, mail in {shown(settings.mail_directory)}")]
    return [line, users]


def _rates(view: View, width: int, blocks: str) -> list[Line]:
    room = max(width - _FIXED_WIDTH, 0)
    head = f"{'':{_LABEL_WIDTH}}{'total':>12}{'a second':>12}{'a minute':>12}  lately"
    return [[("bold", head)], *(_rate(view.history, label, name, room, blocks) for label, name in RATES)]


def _rate(history: History, label: str, name: str, room: int, blocks: str) -> Line:
    total = getattr(history.last, name, None)
    in_words = amount if name == "retrieved_bytes" else _number
    cells = (total, history.per_second(name), history.per_minute(name))
    columns = "".join(f"{'-' if cell is None else in_words(cell):>12}" for cell in cells)
    series = sparkline(history.series(name, room), room, blocks)
    return [("", f"{label:{_LABEL_WIDTH}}{columns}"), ("ansicyan", f"  {series}")]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.1f}"


def _sessions(view: View, room: int) -> list[Line]:
    if not view.has_sessions:
        return [[("dim", "this server does not list sessions (no extension s?)")]]
    words, order = ORDERS[view.order]
    found = in_order(view.sessions, order)
    room = max(room - 1, 0)
    # The list may have become shorter than the offset.
    first = max(0, min(view.offset, len(found) - room))
    listed = found[first : first + room]
    rows = [
        (session, shortened(user, _USER_WIDTH), *rest)
        for session, user, *rest in (map(shown, cells(one)) for one in listed)
    ]
    widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    title: Line = [("bold", _row(HEAD, widths)), ("dim", f"  ({len(found):,}, {words})")]
    drawn: list[Line] = [[("", _row(row, widths))] for row in rows]
    return [title, *drawn]


def _row(row: Sequence[str], widths: Sequence[int]) -> str:
    (session, user, address, tls), figures = row[:4], row[4:]
    numbers = "  ".join(f"{cell:>{width}}" for cell, width in zip(figures, widths[4:], strict=True))
    return f"{session:{widths[0]}}  {user:{widths[1]}}  {address:{widths[2]}}  {tls:{widths[3]}}  {numbers}"
