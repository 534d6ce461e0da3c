"""Which changes of health two looks have found."""

import pytest

from state_api.health_report import Check, State
from state_api.health_watch import changed
from state_store.health import NewHealthChange

OK, UNKNOWN, WARNING, CRITICAL = State
STATES: dict[str, State | None] = {state.value: state for state in State} | {"gone": None}


def look(state: State | None) -> dict[tuple[str, str], Check]:
    """Return what a look finds where the mail's disk is in this state, or is not there."""
    return {("mail-disk", "m 1"): Check("mail-disk", "m 1", state, f"as {state.value}")} if state else {}


@pytest.mark.parametrize(
    ("noted", "last", "now", "expected"),
    [
        ("ok", "ok", "critical", None),  # a moment is no change
        ("ok", "critical", "ok", None),
        ("ok", "critical", "critical", "critical"),
        ("ok", "critical", "warning", "warning"),
        ("ok", "warning", "critical", "warning"),
        ("ok", "unknown", "gone", None),
        ("warning", "warning", "critical", None),
        ("warning", "ok", "critical", None),
        ("warning", "critical", "critical", "critical"),
        ("warning", "unknown", "ok", "ok"),
        ("warning", "ok", "gone", "gone"),
        ("critical", "critical", "ok", None),
        ("critical", "warning", "ok", "warning"),
        ("critical", "ok", "warning", "warning"),
        ("critical", "gone", "ok", "ok"),
        ("critical", "unknown", "unknown", "unknown"),
        ("critical", "gone", "gone", "gone"),
    ],
)
def test_two_looks_make_a_change_to_the_state_nearer_to_what_is_noted(
    noted: str, last: str, now: str, expected: str | None
) -> None:
    known = {} if noted == "ok" else {"mail-disk m 1": noted}
    found = list(changed(known, look(STATES[last]), look(STATES[now])))
    text = "not there any more" if expected == "gone" else f"as {expected}"
    assert found == ([NewHealthChange("mail-disk", "m 1", noted, expected, text)] if expected else [])


def test_what_is_noted_and_has_no_subject_is_found_again() -> None:
    assert [change.before for change in changed({"instances ": "critical"}, {}, {})] == ["critical"]
