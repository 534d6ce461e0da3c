"""Where `peepctl` connects and as whom: which source comes first, and whose password goes to whom."""

import os
from pathlib import Path

import pytest

from peepctl import endpoint as endpoints
from peepctl.endpoint import ConnectionOptions, Endpoint, Password, find, searched
from peepctl.left_addresses import leave, take_away
from peepctl.sources import WrongSettings

USUAL = ("127.0.0.1:2110", "127.0.0.1:2995", "http://127.0.0.1:8110")
"""Where a Peep serves administrators that has left no word of other addresses."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Give an environment in which nothing is found."""
    monkeypatch.setattr(endpoints, "INSTALLED", tmp_path / "etc" / "admins")
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "PEEP_DATA_DIR": str(tmp_path / "data")}


def write_file(home: dict[str, str], text: str, mode: int = 0o600) -> Path:
    file = Path(home["XDG_CONFIG_HOME"]) / "peep" / "peepctl.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def keep_administrators(home: dict[str, str], text: str) -> Path:
    file = Path(home["PEEP_DATA_DIR"]) / "admins"
    file.parent.mkdir()
    file.write_text(text)
    return file


def test_without_anything_it_is_admin_on_this_machine(home: dict[str, str]) -> None:
    assert find(ConnectionOptions(), home) == Endpoint(
        "127.0.0.1", 2110, "admin", None, http="http://127.0.0.1:8110"
    )


def test_options_go_before_environment_before_file(home: dict[str, str]) -> None:
    write_file(home, 'host = "file"\nport = 1\nuser = "filer"\n')
    assert find(ConnectionOptions(), home) == Endpoint("file", 1, "filer", None, http="http://file:8110")
    environment = home | {"PEEPCTL_HOST": "variable", "PEEPCTL_PORT": "2", "PEEPCTL_USER": "varian"}
    assert find(ConnectionOptions(), environment) == Endpoint(
        "variable", 2, "varian", None, http="http://variable:8110"
    )
    given = ConnectionOptions(host="option", port=3, user="optimus")
    assert find(given, environment) == Endpoint("option", 3, "optimus", None, http="http://option:8110")


def test_a_timeout_holds_for_whatever_host(home: dict[str, str]) -> None:
    write_file(home, 'host = "file"\ntimeout = 5\n')
    assert find(ConnectionOptions(), home).timeout == 5
    environment = home | {"PEEPCTL_HOST": "variable", "PEEPCTL_TIMEOUT": "70000"}
    with pytest.raises(WrongSettings):
        find(ConnectionOptions(), environment)
    assert find(ConnectionOptions(host="option"), environment | {"PEEPCTL_TIMEOUT": "6"}).timeout == 6
    assert find(ConnectionOptions(host="option", timeout=7), home).timeout == 7


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("mail.example", "mail.example", 2110),
        ("mail.example:99", "mail.example", 99),
        ("::1", "::1", 2110),
        ("[::1]", "::1", 2110),
        ("[2001:db8::1]:99", "2001:db8::1", 99),
    ],
)
def test_host_may_hold_the_port(home: dict[str, str], text: str, host: str, port: int) -> None:
    endpoint = find(ConnectionOptions(host=text), home)
    assert (endpoint.host, endpoint.port) == (host, port)


def test_address_is_shown_as_it_is_typed() -> None:
    assert Endpoint("::1", 99, "admin", None).address == "[::1]:99"
    assert Endpoint("mail", 99, "admin", None).address == "mail:99"


@pytest.mark.parametrize(
    "given",
    [ConnectionOptions(tls=True), ConnectionOptions(insecure=True), ConnectionOptions(ca_file="ca.pem")],
)
def test_port_of_tls_is_taken_with_tls_and_what_needs_it(
    home: dict[str, str], given: ConnectionOptions
) -> None:
    endpoint = find(given, home)
    assert (endpoint.tls, endpoint.port) == (True, 2995)


def test_tls_can_be_turned_off_again(home: dict[str, str]) -> None:
    assert not find(
        ConnectionOptions(tls=False), home | {"PEEPCTL_TLS": "1", "PEEPCTL_CA_FILE": "ca.pem"}
    ).tls


def test_port_of_a_peep_that_was_moved_is_known_on_this_machine_only(home: dict[str, str]) -> None:
    environment = home | {"PEEP_PORT": "2111", "PEEP_TLS_PORT": "2996"}
    assert find(ConnectionOptions(), environment).port == 2111
    assert find(ConnectionOptions(tls=True), environment).port == 2996
    assert find(ConnectionOptions(host="mail.example"), environment).port == 2110
    assert find(ConnectionOptions(), home | {"PEEP_PORT": "0"}).port == 2110


def test_password_comes_from_variable_file_or_secret(home: dict[str, str], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the file\n")
    write_file(home, 'password = "of the settings"\n')
    assert find(ConnectionOptions(), home).password == Password(
        "of the settings", str(Path(home["XDG_CONFIG_HOME"], "peep", "peepctl.toml"))
    )
    assert find(ConnectionOptions(), home | {"PEEPCTL_PASSWORD_FILE": str(secret)}).password == Password(
        "of the file", str(secret)
    )
    assert find(ConnectionOptions(), home | {"PEEPCTL_PASSWORD": "of the variable"}).password == Password(
        "of the variable", "PEEPCTL_PASSWORD"
    )


def test_password_of_one_name_is_not_sent_for_another(home: dict[str, str]) -> None:
    write_file(home, 'user = "alice"\npassword = "hers"\n')
    assert find(ConnectionOptions(), home).user == "alice"
    assert find(ConnectionOptions(user="bob"), home).password is None


def test_password_and_port_of_one_server_are_not_used_with_another(home: dict[str, str]) -> None:
    write_file(home, 'host = "mail.example"\nport = 99\npassword = "its"\n')
    endpoint = find(ConnectionOptions(), home)
    assert (endpoint.port, endpoint.password is not None) == (99, True)
    endpoint = find(ConnectionOptions(host="elsewhere.example"), home)
    assert (endpoint.port, endpoint.password) == (2110, None)
    environment = home | {"PEEPCTL_HOST": "mail.example:98", "PEEPCTL_PASSWORD": "its"}
    assert find(ConnectionOptions(host="mail.example"), environment).port == 98
    endpoint = find(ConnectionOptions(host="elsewhere.example"), environment)
    assert (endpoint.port, endpoint.password) == (2110, None)


def test_a_token_is_sent_only_where_it_was_meant_to_go(home: dict[str, str], tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("peep_of_the_file\n")
    file = write_file(home, 'host = "mail.example"\ntoken = "peep_its"\n')
    assert find(ConnectionOptions(), home).token == Password("peep_its", str(file))
    assert find(ConnectionOptions(host="elsewhere.example"), home).token is None
    # Whoever names an administrator wants to be that one.
    assert find(ConnectionOptions(user="bob"), home).token is None
    assert find(ConnectionOptions(), home | {"PEEPCTL_PASSWORD": "his"}).token is None
    variables = home | {"PEEPCTL_TOKEN": "peep_of_the_variable"}
    assert find(ConnectionOptions(), variables).token == Password("peep_of_the_variable", "PEEPCTL_TOKEN")
    variables = home | {"PEEPCTL_TOKEN_FILE": str(secret)}
    assert find(ConnectionOptions(), variables).token == Password("peep_of_the_file", str(secret))
    with pytest.raises(WrongSettings, match="PEEPCTL_TOKEN and PEEPCTL_TOKEN_FILE are both set"):
        find(ConnectionOptions(), variables | {"PEEPCTL_TOKEN": "x"})
    file.chmod(0o640)
    with pytest.raises(WrongSettings, match="contains a token and others can read it: chmod 600"):
        find(ConnectionOptions(), home)
    assert "peep_its" not in repr(Password("peep_its", str(file)))


def test_local_administrator_is_for_this_machine_only(home: dict[str, str]) -> None:
    file = keep_administrators(home, "carol:secret,dave:other\n")
    endpoint = find(ConnectionOptions(), home)
    assert (endpoint.user, endpoint.password) == ("carol", Password("secret", str(file), USUAL))
    assert find(ConnectionOptions(user="dave"), home).password == Password("other", str(file), USUAL)
    assert find(ConnectionOptions(user="eve"), home).password is None
    assert find(ConnectionOptions(host="mail.example"), home).password is None


def test_root_of_a_host_with_the_package_needs_no_password(home: dict[str, str]) -> None:
    endpoints.INSTALLED.parent.mkdir()
    endpoints.INSTALLED.write_text("admin:made\ndave:other\n")
    installed = str(endpoints.INSTALLED)
    assert find(ConnectionOptions(), home).password == Password("made", installed, USUAL)
    assert find(ConnectionOptions(user="dave"), home).password == Password("other", installed, USUAL)
    assert find(ConnectionOptions(host="mail.example"), home).password is None
    kept = keep_administrators(home, "carol:secret\n")
    assert find(ConnectionOptions(), home).password == Password("secret", str(kept), USUAL)


@pytest.mark.parametrize(
    ("given", "over_peep", "over_http"),
    [
        (ConnectionOptions(), True, True),
        (ConnectionOptions(tls=True), True, True),
        (ConnectionOptions(port=4711, http="http://127.0.0.1:4713/"), True, True),
        (ConnectionOptions(http="http://127.0.0.1:8110"), True, False),
        (ConnectionOptions(http="https://127.0.0.1:4713"), True, False),
        (ConnectionOptions(host="127.0.0.1", http="http://mail.example:4713"), True, False),
        (ConnectionOptions(port=2110), False, True),
        (ConnectionOptions(host="127.0.0.2"), False, False),
        (ConnectionOptions(host="::1"), False, False),
    ],
)
def test_password_that_is_found_goes_only_to_the_addresses_that_are_found_with_it(
    home: dict[str, str], given: ConnectionOptions, over_peep: bool, over_http: bool
) -> None:
    directory = keep_administrators(home, "admin:secret\n").parent
    leave(directory, {"PEEP": "127.0.0.1:4711", "PEEPS": "127.0.0.1:4712", "HTTP": "http://127.0.0.1:4713"})
    endpoint = find(given, home)
    assert endpoint.password is not None
    goes = endpoint.password.may_go_to(endpoint.address), endpoint.password.may_go_to(endpoint.http)
    assert goes == (over_peep, over_http)
    chosen = find(given, home | {"PEEPCTL_PASSWORD": "given"}).password
    assert chosen == Password("given", "PEEPCTL_PASSWORD")
    assert chosen.may_go_to(endpoint.address)
    assert chosen.may_go_to(endpoint.http)


def test_password_of_an_installed_peep_is_not_for_one_that_was_started_in_this_folder(
    home: dict[str, str],
) -> None:
    endpoints.INSTALLED.parent.mkdir()
    endpoints.INSTALLED.write_text("dave:other\n")
    directory = keep_administrators(home, "admin:secret\n").parent
    leave(directory, {"PEEP": "[::]:4711", "HTTP": "http://0.0.0.0:4713"})
    own, installed = (
        find(ConnectionOptions(), home).password,
        find(ConnectionOptions(user="dave"), home).password,
    )
    assert own is not None
    assert own.only_to == ("127.0.0.1:4711", "[::1]:4711", "http://127.0.0.1:4713")
    assert installed is not None
    assert installed.only_to == USUAL


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('hots = "mail"\n', "hots is not a setting; did you mean host?"),
        ('zzz = "mail"\n', "zzz is not a setting; the settings are host, port"),
        ("host = 5\n", "host must be a text in quotes"),
        ("port = true\n", "port must be a number"),
        ("port = 65536\n", "the port 65536 is not between"),
        ("timeout = 0\n", "the timeout 0 is not between 1 and 3600"),
        ("tls = 1\n", "tls must be true or false"),
        ("host = \n", "Invalid value"),
    ],
)
def test_wrong_file_is_named_with_what_is_wrong(home: dict[str, str], text: str, words: str) -> None:
    file = write_file(home, text)
    with pytest.raises(WrongSettings) as refusal:
        find(ConnectionOptions(), home)
    assert str(refusal.value).startswith(f"{file}: ")
    assert words in str(refusal.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_file_with_a_password_that_others_can_read_is_refused(home: dict[str, str], mode: int) -> None:
    write_file(home, 'password = "secret"\n', mode)
    with pytest.raises(WrongSettings, match="chmod 600"):
        find(ConnectionOptions(), home)


def test_file_without_a_password_may_be_read_by_all(home: dict[str, str]) -> None:
    write_file(home, 'host = "mail"\n', 0o644)
    assert find(ConnectionOptions(), home).host == "mail"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"PEEPCTL_PORT": "http"}, "PEEPCTL_PORT: 'http' is not a port"),
        ({"PEEPCTL_TIMEOUT": "2m"}, "PEEPCTL_TIMEOUT: '2m' is not a timeout, a number from 1 to 3600"),
        ({"PEEPCTL_TLS": "perhaps"}, "PEEPCTL_TLS=perhaps: must be 1 or 0"),
        ({"PEEPCTL_HOST": "mail:x"}, "'x' is not a port"),
        ({"PEEPCTL_PASSWORD": "a", "PEEPCTL_PASSWORD_FILE": "b"}, "give one of them"),
        ({"PEEPCTL_PASSWORD_FILE": "/nonexistent/secret"}, "/nonexistent/secret cannot be read"),
    ],
)
def test_wrong_variable_is_named(home: dict[str, str], variables: dict[str, str], words: str) -> None:
    with pytest.raises(WrongSettings) as refusal:
        find(ConnectionOptions(), home | variables)
    assert words in str(refusal.value)


def test_file_that_was_asked_for_has_to_be_there(home: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match="cannot be read: No such file"):
        find(ConnectionOptions(config=str(tmp_path / "none.toml")), home)


def test_http_api_is_beside_peep_unless_it_is_named(home: dict[str, str]) -> None:
    assert find(ConnectionOptions(host="::1"), home).http == "http://[::1]:8110"
    beside = home | {"PEEP_HTTP_PORT": "9000"}
    assert find(ConnectionOptions(), beside).http == "http://127.0.0.1:9000"
    assert find(ConnectionOptions(host="elsewhere"), beside).http == "http://elsewhere:8110"
    named = find(ConnectionOptions(http="https://api.example:444/peep"), home)
    assert (named.host, named.http) == ("api.example", "https://api.example:444/peep")
    assert find(ConnectionOptions(http="https://[::1]"), home).host == "::1"
    assert find(ConnectionOptions(http="https://[::1"), home).host == "127.0.0.1"


def test_password_beside_an_address_of_the_api_is_for_its_host(home: dict[str, str]) -> None:
    environment = home | {"PEEPCTL_HTTP": "https://api.example", "PEEPCTL_PASSWORD": "secret"}
    assert find(ConnectionOptions(), environment).password == Password("secret", "PEEPCTL_PASSWORD")
    assert find(ConnectionOptions(host="other.example"), environment).password is None
    assert find(ConnectionOptions(http="https://other.example"), environment).password is None


def test_a_peep_that_was_started_here_is_found_on_the_ports_that_it_has_left(home: dict[str, str]) -> None:
    directory = Path(home["PEEP_DATA_DIR"])
    directory.mkdir()
    assert str(directory / "addresses.json") in searched("127.0.0.1", home)
    leave(directory, {"PEEP": "127.0.0.1:4711", "PEEPS": "[::]:4712", "HTTP": "http://0.0.0.0:4713"})
    found = find(ConnectionOptions(), home)
    assert (found.port, found.http) == (4711, "http://127.0.0.1:4713")
    assert find(ConnectionOptions(tls=True), home).port == 4712
    assert find(ConnectionOptions(), {**home, "PEEP_PORT": "4000"}).port == 4000
    assert find(ConnectionOptions(port=4001), home).port == 4001
    elsewhere = find(ConnectionOptions(host="mail.example"), home)
    assert (elsewhere.port, elsewhere.http) == (2110, "http://mail.example:8110")
    assert searched("127.0.0.1", home) == searched("mail.example", home) == ""
    for damaged in ("", "[]", "{}", '{"PEEP": 7}', '{"PEEP": "x:99999"}', '{"PEEP": "x:y"}'):
        (directory / "addresses.json").write_text(damaged)
        assert find(ConnectionOptions(), home).port == 2110
    take_away(directory)
    assert list(directory.iterdir()) == []
    take_away(directory)


def test_what_another_user_has_left_is_not_believed(
    home: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Path(home["PEEP_DATA_DIR"])
    directory.mkdir()
    leave(directory, {"PEEP": "127.0.0.1:4711"})
    owner = (directory / "addresses.json").stat().st_uid
    if owner == 0:
        os.chown(directory / "addresses.json", 4711, 4711)
    monkeypatch.setattr(os, "geteuid", lambda: 4712)
    assert find(ConnectionOptions(), home).port == 2110
