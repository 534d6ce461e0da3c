"""What health checks know by themselves: they do without the settings, which take long to import."""

import pytest

from line_server.health_check import DEFAULT_HOST, ask_port, report
from peep_gateway import health as of_gateway
from pop3_service.health import check as of_pop3
from service_runtime.settings import ApiSettings, GatewaySettings, Pop3Settings, variable
from state_api import health as of_api


def test_defaults_are_those_of_the_settings() -> None:
    fields = Pop3Settings.model_fields | GatewaySettings.model_fields | ApiSettings.model_fields
    ours = {
        "pop3_port": of_pop3.DEFAULT_PORT,
        "host": DEFAULT_HOST,
        "port": of_gateway.DEFAULT_PORT,
        "http_host": DEFAULT_HOST,
        "http_port": of_api.DEFAULT_PORT,
    }
    assert ours == {name: str(fields[name].default) for name in ours}
    assert variable("pop3_port") == of_pop3.PORT_VARIABLE


@pytest.mark.parametrize("port", ["http", "70000", "-1", "0"])
def test_port_that_nobody_can_ask_is_told(port: str) -> None:
    for check, name in ((of_gateway.check, "PEEP_PORT"), (of_api.check, "PEEP_HTTP_PORT")):
        is_well, line = check({name: port})
        assert not is_well
        assert line.startswith(f"{name}={port}: ")


def test_a_check_prints_its_line_and_exits_with_1_unless_all_is_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert report("service", lambda _environment: (True, "well")) == 0
    assert report("service", lambda _environment: (False, "not well")) == 1
    assert capsys.readouterr().out == "service: well\nservice: not well\n"


def test_a_service_on_all_addresses_is_asked_on_this_machine_and_its_silence_is_a_verdict() -> None:
    asked: list[tuple[str, int]] = []

    def answers(host: str, port: int) -> tuple[bool, str]:
        asked.append((host, port))
        return True, "well"

    def refused(host: str, port: int) -> tuple[bool, str]:
        raise ConnectionRefusedError(111, "Connection refused")

    environment = {"PEEP_HOST": "0.0.0.0", "PEEP_PORT": "99"}  # noqa: S104 - a setting, not bound
    assert ask_port(environment, "PEEP_", "2110", answers) == (True, "well")
    assert asked == [("127.0.0.1", 99)]
    verdict = False, "no answer from 127.0.0.1:2110: Connection refused"
    assert ask_port({}, "PEEP_", "2110", refused) == verdict
