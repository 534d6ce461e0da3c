"""Which module makes messages into their wire form: the compiled one, if it was made from this source."""

import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest
from structlog.testing import capture_logs

from pop3_service import service
from pop3_service.maildir import wire, wire_in_python
from support.modules import executed


def wire_anew(monkeypatch: pytest.MonkeyPatch, compiled: ModuleType | None) -> ModuleType:
    """Import wire.py once more, as a start does that finds this compiled module."""
    monkeypatch.setitem(sys.modules, "pop3_service.maildir._wire", compiled)
    return executed(Path(wire.__file__))


def module_with(**names: object) -> ModuleType:
    module = ModuleType("_wire")
    vars(module).update(names)
    return module


def test_the_module_of_this_source_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = sha256(Path(wire.__file__).with_name("_wire.c").read_bytes()).hexdigest()
    compiled = module_with(read_wire=lambda: b"", count_wire=lambda: (), SOURCE_DIGEST=digest)
    anew = wire_anew(monkeypatch, compiled)
    assert (anew.read_wire, anew.count_wire, anew.NOT_USED) == (compiled.read_wire, compiled.count_wire, "")


@pytest.mark.parametrize(
    "digest", [{}, {"SOURCE_DIGEST": "0" * 64}], ids=["from before digests", "another source's"]
)
def test_a_module_of_another_source_is_never_used(
    monkeypatch: pytest.MonkeyPatch, digest: dict[str, str]
) -> None:
    stale = module_with(read_wire=lambda: b"", count_wire=lambda: (), **digest)
    anew = wire_anew(monkeypatch, stale)
    assert (anew.read_wire, anew.count_wire) == (wire_in_python.read_wire, wire_in_python.count_wire)
    monkeypatch.setattr(wire, "NOT_USED", anew.NOT_USED)
    with capture_logs() as entries:
        service.warn_of_slow_reading()
    assert [(entry["log_level"], entry["reason"]) for entry in entries] == [("warning", anew.NOT_USED)]
    assert "_wire" in anew.NOT_USED


def test_what_was_never_compiled_is_nothing_to_warn_of(monkeypatch: pytest.MonkeyPatch) -> None:
    anew = wire_anew(monkeypatch, None)
    assert (anew.read_wire, anew.count_wire) == (wire_in_python.read_wire, wire_in_python.count_wire)
    assert anew.NOT_USED == ""
    monkeypatch.setattr(wire, "NOT_USED", anew.NOT_USED)
    with capture_logs() as entries:
        service.warn_of_slow_reading()
    assert entries == []


def test_an_installed_module_needs_no_source(tmp_path: Path) -> None:
    wire.require_compiled_from(tmp_path / "_wire.c", "0" * 64)
