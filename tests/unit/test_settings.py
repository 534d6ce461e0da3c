"""Settings from the environment: the one line that says what is wrong, secrets, files, misspelt names."""

import os
import subprocess
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import BaseModel

from service_runtime.errors import StartError
from service_runtime.processors import usable_processors
from service_runtime.setting_formats import administrators_without_peep
from service_runtime.settings import (
    ALL_SETTINGS,
    ApiSettings,
    CommonSettings,
    GatewaySettings,
    LocalSettings,
    Pop3Settings,
    load,
    unknown_variables,
    variable,
)

ROOT = Path(__file__).parents[2]
URL = "redis://127.0.0.1:6379/0"


@pytest.fixture(autouse=True)
def _only_a_redis_url(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PEEP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PEEP_REDIS_URL", URL)


def refusal(settings_class: type[BaseModel] = Pop3Settings) -> str:
    """Return the line that says why these settings cannot be had."""
    with pytest.raises(StartError) as caught:
        load(settings_class)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_with_nothing_but_the_store_every_default_holds() -> None:
    pop3, gateway, api = load(Pop3Settings), load(GatewaySettings), load(ApiSettings)
    assert (pop3.pop3_host, pop3.pop3_port, pop3.mail_roots) == ("127.0.0.1", 1110, [])
    assert pop3.pop3_workers == usable_processors()
    assert (gateway.host, gateway.port, gateway.admins) == ("127.0.0.1", 2110, {})
    assert (api.http_host, api.http_port) == ("127.0.0.1", 8110)
    assert (pop3.mail_dir, pop3.log_format, pop3.log_level) == ("/var/mail/peep", "auto", "info")


def test_without_a_certificate_pop3_takes_passwords_in_the_clear_and_limits_nobody() -> None:
    pop3 = load(Pop3Settings)
    assert (pop3.pop3s_port, pop3.tls_cert_file, pop3.tls_key_file) == (1995, None, None)
    assert (pop3.require_tls, pop3.proxy_protocol, pop3.proxy_trusted) == (False, False, [])
    assert (pop3.max_connections_per_address, pop3.login_delay) == (0, 0)


def test_layout_of_maildirs_is_a_folder_with_the_users_name_unless_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load(Pop3Settings).maildir_layout == "{user}"
    monkeypatch.setenv("PEEP_MAILDIR_LAYOUT", "{domain}/{local}/Maildir")
    assert load(Pop3Settings).maildir_layout == "{domain}/{local}/Maildir"


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ("{name}", "{name} is not a field: {user}, {local}, {domain} are"),
        ("/srv/{user}", "must be a path below the mail directory"),
        ("{user}/../Maildir", "must be names separated by single slashes, none of them . or .."),
        ("{domain}", "must hold {user}, or {local} and {domain}"),
    ],
)
def test_layout_that_cannot_be_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, layout: str, reason: str
) -> None:
    monkeypatch.setenv("PEEP_MAILDIR_LAYOUT", layout)
    assert refusal(Pop3Settings).startswith(f"PEEP_MAILDIR_LAYOUT={layout}: {reason}")


def test_certificate_proxies_and_limits_are_loaded_as_they_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "PEEP_TLS_CERT_FILE": "/etc/peep/certificate.pem",
        "PEEP_REQUIRE_TLS": "1",
        "PEEP_PROXY_PROTOCOL": "1",
        "PEEP_PROXY_TRUSTED": "10.0.0.0/8, ::1,",
        "PEEP_MAX_CONNECTIONS_PER_ADDRESS": "20",
        "PEEP_LOGIN_DELAY": "60",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    pop3 = load(Pop3Settings)
    assert (pop3.tls_cert_file, pop3.tls_key_file) == ("/etc/peep/certificate.pem", None)
    assert (pop3.require_tls, pop3.proxy_protocol) == (True, True)
    assert pop3.proxy_trusted == [ip_network("10.0.0.0/8"), ip_network("::1/128")]
    assert (pop3.max_connections_per_address, pop3.login_delay) == (20, 60)


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [
        ("PEEP_TLS_KEY_FILE", "/etc/peep/key.pem", "PEEP_TLS_CERT_FILE"),
        ("PEEP_REQUIRE_TLS", "1", "PEEP_TLS_CERT_FILE"),
        ("PEEP_PROXY_PROTOCOL", "1", "PEEP_PROXY_TRUSTED"),
        ("PEEP_MOVE_CA_FILE", "/etc/peep/old.pem", "PEEP_MOVE_FROM"),
    ],
)
def test_a_setting_that_needs_another_names_both(
    name: str, value: str, needed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    text = refusal()
    assert text.startswith(f"{name}: needs ")
    assert needed in text
    assert text.endswith(f"({Pop3Settings.model_fields[name.removeprefix('PEEP_').lower()].description})")


def test_proxies_that_may_be_trusted_do_not_turn_the_protocol_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEEP_PROXY_TRUSTED", "10.0.0.0/8")
    assert load(Pop3Settings).proxy_protocol is False


def test_what_is_set_is_what_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEEP_POP3_PORT", "0")
    monkeypatch.setenv("PEEP_MAIL_ROOTS", "/srv/mail,/home/mail")
    monkeypatch.setenv("PEEP_ADMINS", "root:a:b,anne:c=d")
    assert load(Pop3Settings).pop3_port == 0
    assert load(Pop3Settings).mail_roots == ["/srv/mail", "/home/mail"]
    assert load(ApiSettings).admins == {"root": "a:b", "anne": "c=d"}


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEEP_POP3_PORT", "")
    monkeypatch.setenv("PEEP_MAIL_ROOTS", "")
    assert load(Pop3Settings).pop3_port == 1110
    assert load(Pop3Settings).mail_roots == []


def test_a_missing_store_is_named_with_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEEP_REDIS_URL")
    assert refusal().startswith("PEEP_REDIS_URL must be set: Redis or Valkey: `redis://`, `rediss://`")


@pytest.mark.parametrize(
    ("settings_class", "name", "value", "allowed"),
    [
        (Pop3Settings, "PEEP_POP3_PORT", "65536", "less than or equal to 65535"),
        (Pop3Settings, "PEEP_POP3_PORT", "-1", "greater than or equal to 0"),
        (Pop3Settings, "PEEP_POP3_PORT", "pop3", "valid integer"),
        (GatewaySettings, "PEEP_PORT", "70000", "less than or equal to 65535"),
        (ApiSettings, "PEEP_HTTP_PORT", "80.5", "valid integer"),
        (Pop3Settings, "PEEP_POP3_WORKERS", "0", "greater than or equal to 1"),
        (Pop3Settings, "PEEP_POP3_WORKERS", "257", "less than or equal to 256"),
        (Pop3Settings, "PEEP_MAIL_ROOTS", "/srv,mail", "absolute paths separated by commas"),
        (CommonSettings, "PEEP_MAIL_DIR", "mail", "an absolute path"),
        (CommonSettings, "PEEP_LOG_FORMAT", "xml", "'auto', 'json' or 'console'"),
        (CommonSettings, "PEEP_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        (CommonSettings, "PEEP_DRAIN_SECONDS", "3601", "less than or equal to 3600"),
        (CommonSettings, "PEEP_DRAIN_SECONDS", "soon", "valid number"),
        (CommonSettings, "PEEP_DRAIN_SECONDS", "nan", "less than or equal to 3600"),
        (Pop3Settings, "PEEP_POP3S_PORT", "65536", "less than or equal to 65535"),
        (Pop3Settings, "PEEP_REQUIRE_TLS", "perhaps", "valid boolean"),
        (Pop3Settings, "PEEP_PROXY_PROTOCOL", "v2", "valid boolean"),
        (Pop3Settings, "PEEP_PROXY_TRUSTED", "10.0.0.0/33", "addresses or networks separated by commas"),
        (Pop3Settings, "PEEP_PROXY_TRUSTED", "10.0.0.1/8", "addresses or networks separated by commas"),
        (Pop3Settings, "PEEP_PROXY_TRUSTED", "proxy.example.org", "addresses or networks"),
        (Pop3Settings, "PEEP_MAX_CONNECTIONS_PER_ADDRESS", "-1", "greater than or equal to 0"),
        (Pop3Settings, "PEEP_MAX_CONNECTIONS_PER_ADDRESS", "1000001", "less than or equal to 1000000"),
        (Pop3Settings, "PEEP_MOVE_FROM", "old.example.org", "must be pop3s://HOST[:PORT]"),
        (Pop3Settings, "PEEP_MOVE_FROM", "pop3://old.example.org", "would send passwords in the clear"),
        (Pop3Settings, "PEEP_LOGIN_DELAY", "-1", "greater than or equal to 0"),
        (Pop3Settings, "PEEP_LOGIN_DELAY", "86401", "less than or equal to 86400"),
        (Pop3Settings, "PEEP_LOGIN_DELAY", "soon", "valid integer"),
        (LocalSettings, "PEEP_DEMO", "perhaps", "valid boolean"),
    ],
)
def test_a_wrong_value_is_shown_with_its_variable_and_what_is_allowed(
    settings_class: type[BaseModel],
    name: str,
    value: str,
    allowed: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, value)
    text = refusal(settings_class)
    assert text.startswith(f"{name}=")
    assert value in text.partition(": ")[0]
    assert allowed in text
    field = settings_class.model_fields[name.removeprefix("PEEP_").lower()]
    assert text.endswith(f"({field.description})")


@pytest.mark.parametrize("name", ["PEEP_REDIS_URL", "PEEP_ADMINS"])
@pytest.mark.parametrize(
    "value",
    [
        "hunter2",
        "http://:hunter2@elsewhere",
        "root:hunter2 ",
        "root:hunter2\u2100",
        "redis://:hunter2@[elsewhere",
        "redis://:hunter2\u2100@elsewhere",
    ],
)
@pytest.mark.parametrize("in_a_file", [False, True])
def test_a_wrong_secret_is_never_shown(
    name: str, value: str, in_a_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if in_a_file:
        (tmp_path / "secret").write_text(value + ",x", encoding="utf-8")
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name + "_FILE", str(tmp_path / "secret"))
    else:
        monkeypatch.setenv(name, value + ",x")
    with pytest.raises(StartError) as caught:
        load(GatewaySettings)
    assert str(caught.value).startswith(f"{name}: ")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_administrators_are_not_in_the_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEEP_ADMINS", "root:hunter2")
    assert "hunter2" not in repr(load(GatewaySettings))


def test_a_password_of_the_store_is_not_in_the_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEEP_REDIS_URL", "redis://:hunter2@elsewhere")
    assert "hunter2" not in repr(load(GatewaySettings))


@pytest.mark.parametrize(
    "pairs",
    [
        "root",
        "root:",
        ":secret",
        "ro ot:secret",
        "root: secret",
        "root:a\tb",
        "root:\u00e4",
        f"root:{'x' * 129}",
        "a:b,c",
    ],
)
def test_administrators_that_are_no_pairs_of_name_and_password_are_refused(
    pairs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEEP_ADMINS", pairs)
    assert "must be name:password pairs separated by commas or line ends" in refusal(ApiSettings)


@pytest.mark.parametrize("text", ["root:a good one, anne:secret", "root:a good one \r\n\n anne:secret\n"])
def test_passwords_of_administrators_may_have_spaces_and_pairs_a_line_each(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "admins").write_text(text)
    monkeypatch.setenv("PEEP_ADMINS_FILE", str(tmp_path / "admins"))
    given = load(GatewaySettings).admins
    assert given == {"root": "a good one", "anne": "secret"}
    assert administrators_without_peep(given) == ["root"]


def test_the_administrators_file_of_the_page_on_installing_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "install.md").read_text()
    (line,) = [line for line in page.splitlines() if ">admins" in line]
    subprocess.run(["/bin/sh", "-ec", line.partition("&&")[0]], cwd=tmp_path, check=True, timeout=10)
    monkeypatch.setenv("PEEP_ADMINS_FILE", str(tmp_path / "admins"))
    assert load(ApiSettings).admins == {"admin": "something better"}


@pytest.mark.parametrize("url", ["redis://h", "rediss://:p@h:1/2", "unix:///run/redis.sock?db=1"])
def test_each_way_to_the_store_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEEP_REDIS_URL", url)
    assert load(CommonSettings).redis_url == url


def test_a_secret_is_read_from_its_file_without_the_line_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "admins").write_text("root:secret\n")
    monkeypatch.setenv("PEEP_ADMINS_FILE", str(tmp_path / "admins"))
    assert load(GatewaySettings).admins == {"root": "secret"}


def test_an_empty_secret_file_counts_as_an_unset_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").write_text("\n")
    monkeypatch.setenv("PEEP_ADMINS_FILE", str(tmp_path / "empty"))
    assert load(GatewaySettings).admins == {}
    monkeypatch.delenv("PEEP_REDIS_URL")
    monkeypatch.setenv("PEEP_REDIS_URL_FILE", str(tmp_path / "empty"))
    assert "PEEP_REDIS_URL must be set" in refusal()


def test_a_secret_given_twice_is_refused_and_the_two_variables_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "url").write_text(URL)
    monkeypatch.setenv("PEEP_REDIS_URL_FILE", str(tmp_path / "url"))
    assert refusal() == "PEEP_REDIS_URL and PEEP_REDIS_URL_FILE are both set; give one of them"


def test_an_empty_variable_beside_a_secrets_file_is_no_second_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "url").write_text("redis://in-a-file")
    monkeypatch.setenv("PEEP_REDIS_URL", "")
    monkeypatch.setenv("PEEP_REDIS_URL_FILE", str(tmp_path / "url"))
    assert load(Pop3Settings).redis_url == "redis://in-a-file"


def test_a_secret_file_that_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEEP_ADMINS_FILE", str(tmp_path / "nothing"))
    assert refusal(ApiSettings) == (
        f"PEEP_ADMINS_FILE: cannot read {tmp_path}/nothing: No such file or directory"
    )


def test_a_secret_file_that_is_no_text_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "binary").write_bytes(b"root:\xff\xfe")
    monkeypatch.setenv("PEEP_ADMINS_FILE", str(tmp_path / "binary"))
    assert refusal(ApiSettings).startswith("PEEP_ADMINS_FILE: ")


def test_a_file_of_a_secret_that_a_service_does_not_read_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PEEP_ADMINS_FILE", "/nonexistent")
    assert load(Pop3Settings).pop3_port == 1110


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("PEEP_POP_PORT", "; PEEP_POP3_PORT?"),
        ("PEEP_MAILDIR", "; PEEP_MAIL_DIR?"),
        ("PEEP_ADMIN", "; PEEP_ADMINS?"),
        ("PEEP_REDIS_URL_FILES", "; PEEP_REDIS_URL_FILE?"),
        ("PEEP_PEEP_PORT", "; PEEP_PORT?"),
        ("PEEP_GATEWAY_HOST", "; PEEP_HOST?"),
        ("PEEP_PEEPS_PORT", "; PEEP_TLS_PORT?"),
        ("PEEP_API_PORT", "; PEEP_HTTP_PORT?"),
        ("PEEP_HTTPS_PORT", "; PEEP_HTTP_PORT?"),
        ("PEEP_PROXY", ""),
        ("PEEP_MAX_CONNECTIONS", "; peepctl set max-connections?"),
        ("PEEP_TIMEOUT", "; peepctl set timeout?"),
        ("PEEP_QQQQQQQQQQQQQQQ", ""),
    ],
)
def test_a_variable_that_nobody_reads_is_told_with_the_likely_right_name(name: str, suggestion: str) -> None:
    assert unknown_variables({name: "hunter2"}) == [f"{name} is not a setting of Peep{suggestion}"]


def test_every_setting_is_known_and_what_is_not_ours_is_left_alone() -> None:
    known = {variable(name): "" for settings in ALL_SETTINGS for name in settings.model_fields}
    others = {"PEEP_ADMINS_FILE": "", "PEEP_READY_FD": "3", "PATH": "/bin", "PEEPING": ""}
    assert unknown_variables({**known, **others}) == []


def test_every_setting_says_what_it_is_for() -> None:
    for settings in ALL_SETTINGS:
        for name, field in settings.model_fields.items():
            assert field.description, name
