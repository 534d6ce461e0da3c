"""What `peepctl top` shows, as lines that fit the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.text import Text

from peep_client import Session, Settings
from peepctl.output import amount, duration, shown
from peepctl.top.history import History

RATES = (
    ("octets sent", "retrieved_bytes"),
    ("emails retrieved", "retrieved_emails"),
    ("emails removed", "removed_emails"),
    ("connections", "historical_connections"),
    ("logins", "historical_logins"),
)

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.-=+*%#"

_LABEL_WIDTH = 16
_GAUGE_WIDTH = 40
_NEARLY_FULL = 0.9
_FIXED_WIDTH = _LABEL_WIDTH + 3 * 12 + 2
_ABOVE_SESSIONS = 13
"""Lines above the list of sessions, its head included; one more is the last line."""

ORDERS: dict[str, tuple[str, Callable[[Session], tuple[object, ...]]]] = {
    "o": ("oldest first", lambda session: (-session.seconds, session.id)),
    "n": ("newest first", lambda session: (session.seconds, session.id)),
    "u": ("by user", lambda session: (session.username is None, session.username or "", -session.seconds)),
}
"""How sessions may be sorted, by the key that does it."""


@dataclass(slots=True)
class View:
    """All that is known, and how it is wanted."""

    address: str
    history: History = field(default_factory=History)
    version: str | None = None
    settings: Settings | None = None
    sessions: Sequence[Session] = ()
    has_sessions: bool = True
    """Whether the server can list them."""
    trouble: str = ""
    """Why nothing new comes, empty as long as it does."""
    is_lost: bool = False
    """Whether that is because there is no connection."""
    order: str = "o"
    offset: int = 0
    """How many sessions are scrolled over."""


def lines(view: View, width: int, height: int, clock: str, blocks: str = BLOCKS) -> list[Text]:
    """Return exactly `height` lines, none wider than `width`."""
    above = [
        _head(view, width, clock),
        Text(shown(view.trouble), "bold red"),
        *_gauges(view, width, blocks),
        Text(),
        *_rates(view, width, blocks),
        Text(),
    ]
    below = Text("q quit   o oldest   n newest   u by user   up/down scroll", "dim")
    rows = _sessions(view, max(height - len(above) - 1, 0))
    drawn = [*above, *rows][: max(height - 1, 0)]
    drawn += [Text()] * (height - 1 - len(drawn))
    drawn.append(below)
    for line in drawn:
        line.truncate(width, overflow="crop")
    return drawn[:height]


def scrolled(view: View, by: int, height: int) -> int:
    """Return the next `offset` that leaves no empty room at the list's end."""
    room = max(height - _ABOVE_SESSIONS - 1, 1)
    return max(0, min(view.offset + by, len(view.sessions) - room))


def sparkline(rates: Sequence[float], width: int, blocks: str = BLOCKS) -> str:
    """Return rates as a row of blocks, the highest of them full, at most `width` wide."""
    rates = rates[-width:] if width > 0 else []
    highest = max(rates, default=0.0)
    if highest <= 0:
        return blocks[0] * len(rates)
    return "".join(blocks[min(int(rate / highest * len(blocks)), len(blocks) - 1)] for rate in rates)


def _head(view: View, width: int, clock: str) -> Text:
    version = f"  Peep {shown(view.version)}" if view.version else ""
    left = f"peepctl top  {view.address}{version}"
    state = "NOT CONNECTED" if view.is_lost else "NOTHING NEW" if view.trouble else "connected"
    right = f"{state}  {clock}"
    if len(left) + len(right) + 2 > width:
        left = view.address
    gap = max(width - len(left) - len(right), 2)
    head = Text(left, "bold")
    head.append(" " * gap)
    head.append(right, "bold red" if view.trouble else "green")
    return head


def _gauges(view: View, width: int, blocks: str) -> list[Text]:
    counters, settings = view.history.last, view.settings
    if counters is None:
        return [Text("waiting for the first counters ..."), Text()]
    limit = settings.max_connections if settings else 0
    line = Text(f"{'open connections':{_LABEL_WIDTH}}{counters.current_connections:>12,}")
    if limit:
        share = min(counters.current_connections / limit, 1.0)
        room = min(_GAUGE_WIDTH, max(width - 60, 10))
        full = round(share * room)
        bar = blocks[-1] * full + blocks[0] * (room - full)
        line.append(f"  {bar}", "red" if share > _NEARLY_FULL else "cyan")
        line.append(f" {share:.0%} of {limit:,}")
    users = Text(f"{'users logged in':{_LABEL_WIDTH}}{counters.logged_in_users:>12,}")
    if settings:
        timeout = duration(settings.timeout_seconds) if settings.timeout_seconds else "none"
        users.append(f"  timeout {timeout}, mail in {shown(settings.mail_directory)}", "dim")
    return [line, users]


def _rates(view: View, width: int, blocks: str) -> list[Text]:
    room = max(width - _FIXED_WIDTH, 0)
    head = f"{'':{_LABEL_WIDTH}}{'total':>12}{'a second':>12}{'a minute':>12}  lately"
    return [Text(head, "bold"), *(_rate(view.history, label, name, room, blocks) for label, name in RATES)]


def _rate(history: History, label: str, name: str, room: int, blocks: str) -> Text:
    total = getattr(history.last, name, None)
    told = amount if name == "retrieved_bytes" else _number
    cells = (total, history.per_second(name), history.per_minute(name))
    line = Text(f"{label:{_LABEL_WIDTH}}")
    line.append("".join(f"{'-' if cell is None else told(cell):>12}" for cell in cells))
    line.append("  " + sparkline(history.series(name, room), room, blocks), "cyan")
    return line


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.1f}"


def _sessions(view: View, room: int) -> list[Text]:
    if not view.has_sessions:
        return [Text("this server does not list sessions (no extension s?)", "dim")]
    order, key = ORDERS[view.order]
    found = sorted(view.sessions, key=key)
    room = max(room - 1, 0)
    # The list may have become shorter than what was scrolled over.
    first = max(0, min(view.offset, len(found) - room))
    listed = found[first : first + room]
    rows = [
        (shown(one.id), shown(one.address), duration(one.seconds), shown(one.username or "-"))
        for one in listed
    ]
    names = ("SESSION", "ADDRESS", "OPEN FOR")
    widths = [max([len(name), *(len(row[number]) for row in rows)]) for number, name in enumerate(names)]
    title = Text(_row((*names, "USER"), widths), "bold")
    title.append(f"  ({len(found):,}, {order})", "dim")
    return [title, *(Text(_row(row, widths)) for row in rows)]


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    # The user comes last: of all that a line may be too short for, a name's end is missed the least.
    session, address, open_for, user = cells
    return f"{session:{widths[0]}}  {address:{widths[1]}}  {open_for:>{widths[2]}}  {user}"
