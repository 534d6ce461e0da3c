"""`peepctl`'s commands, with a gateway, with a bare server, and with nobody."""

import asyncio
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from peep_gateway.protocol.commands import COMMANDS
from peepctl.session_columns import HEAD
from service_runtime import VERSION
from state_store.records import Deltas, Exchange
from support.allowances import slow_down
from support.background_gateway import BackgroundGateway, background_gateway
from support.bare_peep_server import ADMINISTRATOR as BOB
from support.bare_peep_server import NUMBERS, bare_peep_server, canned_server
from support.bare_peep_server import PASSWORD as BOBS_PASSWORD
from support.certificates import Authority
from support.peep_gateway_server import ADMINISTRATOR, PASSWORD
from support.peepctl_program import Peepctl
from support.tls_relay import tls_relay


@pytest.fixture(scope="module")
def gateway() -> Iterator[BackgroundGateway]:
    with background_gateway() as gateway:
        yield gateway


@pytest.fixture
def peepctl(gateway: BackgroundGateway, tmp_path: Path) -> Peepctl:
    host, port = gateway.address
    return Peepctl(
        tmp_path,
        PEEPCTL_HOST=f"{host}:{port}",
        PEEPCTL_USER=ADMINISTRATOR,
        PEEPCTL_PASSWORD=PASSWORD,
    )


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Peepctl]:
    """Give a `peepctl` that talks to a server without extensions."""
    with bare_peep_server() as server:
        yield Peepctl(
            tmp_path,
            PEEPCTL_PORT=str(server.port),
            PEEPCTL_USER=BOB,
            PEEPCTL_PASSWORD=BOBS_PASSWORD,
        )


def refused(peepctl: Peepctl, *arguments: str, given: str = "", **variables: str) -> tuple[int, str]:
    """Return the exit code and the only line of complaint of a command that prints nothing else."""
    done = peepctl.run(*arguments, given=given, **variables)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return done.code, line.removeprefix("peepctl: ")


# Counters and settings


def test_stats_as_json_has_the_names_of_the_http_api(gateway: BackgroundGateway, peepctl: Peepctl) -> None:
    deltas = Deltas(retrieved_bytes=2612, retrieved_emails=7, logins=11)
    gateway.run(gateway.repository.exchange(Exchange("pop3", 1, deltas)))
    told = json.loads(peepctl.output("stats", "--json"))
    assert list(told) == [
        "retrieved_bytes",
        "retrieved_emails",
        "removed_emails",
        "current_connections",
        "logged_in_users",
        "historical_connections",
        "historical_logins",
    ]
    assert (told["retrieved_bytes"], told["retrieved_emails"], told["historical_logins"]) == (2612, 7, 11)


def test_stats_for_people_are_plain_text_outside_a_terminal(bare: Peepctl) -> None:
    shown = bare.output("stats")
    assert "octets sent                   2,612  (2.6 kB)\n" in shown
    assert "\x1b" not in shown
    assert str(NUMBERS["hc?"]) in shown


def test_settings_are_shown_and_changed(peepctl: Peepctl) -> None:
    assert peepctl.output("set", "timeout", "120") == "timeout is 120 now\n"
    assert peepctl.output("set", "max-connections", "770") == "max-connections is 770 now\n"
    assert peepctl.output("set", "mail-directory", "/srv/mail") == "mail-directory is /srv/mail now\n"
    assert peepctl.output("get", "timeout") == "120\n"
    assert json.loads(peepctl.output("get", "--json")) == {
        "max_connections": 770,
        "timeout_seconds": 120,
        "mail_directory": "/srv/mail",
    }
    assert peepctl.output("get").splitlines() == [
        "max-connections  770",
        "timeout          120 seconds (2 min)",
        "mail-directory   /srv/mail",
    ]
    code, why = refused(peepctl, "set", "mail-directory", "/srv/new")
    assert (code, why.partition(":")[0]) == (
        1,
        "/srv/new is where mail would be looked for from the next login on",
    )
    assert peepctl.output("set", "mail-directory", "/srv/new", "--yes") == "mail-directory is /srv/new now\n"


def test_value_out_of_range_is_refused_with_the_servers_range(bare: Peepctl, peepctl: Peepctl) -> None:
    assert refused(bare, "set", "timeout", "301") == (
        1,
        "301 is out of range for timeout; the range is 0 to 300",
    )
    assert refused(peepctl, "set", "max-connections", "0") == (
        1,
        "0 is out of range for max-connections; the range is 1 to 1000000",
    )


def test_value_that_is_no_number_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    code, line = refused(Peepctl(tmp_path), "set", "timeout", "soon")
    assert (code, line) == (2, "timeout must be a whole number, not 'soon'")
    code, line = refused(Peepctl(tmp_path), "set", "timeout")
    assert (code, line) == (2, "which value? set timeout VALUE sets it, get timeout shows it")


def test_dangerous_value_needs_a_yes(peepctl: Peepctl) -> None:
    code, line = refused(peepctl, "set", "timeout", "0")
    assert (code, line[:19], line[-46:]) == (
        1,
        "0 means no timeout:",
        "Nothing is changed: --yes does it all the same",
    )
    assert peepctl.output("set", "timeout", "0", "--yes") == "timeout is 0 now\n"
    assert peepctl.output("set", "max-connections", "1000") == "max-connections is 1000 now\n"
    code, line = refused(peepctl, "set", "max-connections", "1")
    assert (code, line.partition(":")[0]) == (1, "1 is less than a tenth of 1000, the limit in force")
    assert peepctl.output("set", "timeout", "120") == "timeout is 120 now\n"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (("refusals", "ban"), "{NETWORK}..."),
        (("refusals", "suspend"), "[USER]..."),
        (("history",), "[METRIC]..."),
    ],
)
def test_help_names_arguments_without_types_and_once(
    tmp_path: Path, command: tuple[str, ...], arguments: str
) -> None:
    shown = Peepctl(tmp_path).output(*command, "--help")
    assert shown.splitlines()[0] == f"Usage: peepctl {' '.join(command)} [OPTIONS] {arguments}"
    assert "list[" not in shown


def test_what_is_no_setting_is_told(tmp_path: Path) -> None:
    assert refused(Peepctl(tmp_path), "set", "colour", "blue") == (
        2,
        "colour is no setting; there are max-connections, timeout, mail-directory",
    )


def test_command_without_its_group_is_answered_with_the_group(tmp_path: Path) -> None:
    done = Peepctl(tmp_path).run("suspend", "alice")
    assert done.code == 2
    assert "No such command 'suspend'. Did you mean refusals suspend?" in done.stderr
    assert "Did you mean 'audit'?" in Peepctl(tmp_path).run("audti").stderr


# Users


def test_users_are_added_listed_and_removed(gateway: BackgroundGateway, peepctl: Peepctl) -> None:
    assert peepctl.output("users", "add", "alice", given="secret\n") == "added alice\n"
    assert peepctl.output("users", "add", "bob", "--password", "hunter2") == "added bob\n"
    assert peepctl.output("users", "list").splitlines() == ["alice", "bob"]
    assert json.loads(peepctl.output("users", "list", "--json")) == {
        "users": [{"username": "alice"}, {"username": "bob"}]
    }
    before = gateway.run(gateway.repository.credential("alice"))
    assert "changed the password of alice" in peepctl.output(
        "users", "password", "alice", "--password-stdin", given="next\n"
    )
    assert gateway.run(gateway.repository.credential("alice")) != before
    for name in ("alice", "bob"):
        assert peepctl.output("users", "remove", name, "--yes") == f"removed {name} but not the mail\n"
    assert gateway.usernames() == []


def test_user_that_is_there_or_is_not_is_refused(bare: Peepctl) -> None:
    assert refused(bare, "users", "add", "linus", given="x\n") == (
        1,
        "the server answers -3: user name already in use",
    )
    assert refused(bare, "users", "remove", "nobody", "--yes")[0] == 1
    assert refused(bare, "users", "remove", "nobody") == (
        1,
        "nobody is not removed: --yes does it without a question",
    )


@pytest.mark.parametrize(
    ("arguments", "given", "words"),
    [
        (("alice",), "", "standard input is empty"),
        (("alice",), "two words\n", "the password contains a space"),
        (("two words",), "x\n", "the username contains a space"),
        (("alice", "--password", "x", "--password-stdin"), "x\n", "give one of them"),
        (("alice", "--password", "x" * 129), "", "129 octets; at most 128 are allowed"),
    ],
)
def test_password_that_cannot_be_is_refused_before_anything_is_sent(
    tmp_path: Path, arguments: tuple[str, ...], given: str, words: str
) -> None:
    code, line = refused(Peepctl(tmp_path), "users", "add", *arguments, given=given)
    assert code == 2
    assert words in line


# Sessions


def test_sessions_are_listed_and_closed(gateway: BackgroundGateway, peepctl: Peepctl) -> None:
    gateway.open_session("pop3-1", "alice")
    gateway.open_session("pop3-2", None, "2001:db8::1")
    told = json.loads(peepctl.output("sessions", "--json"))["sessions"]
    assert [(one["id"], one["username"], one["address"]) for one in told] == [
        ("pop3-1", "alice", "192.0.2.1"),
        ("pop3-2", None, "2001:db8::1"),
    ]
    assert all(100 <= one["seconds"] < 200 for one in told)
    head, *rows = peepctl.output("sessions", "--sort", "address").splitlines()
    assert re.split("  +", head) == list(HEAD)
    assert [row.split()[0] for row in rows] == ["pop3-1", "pop3-2"]
    assert peepctl.output("sessions", "--sort", "user").splitlines()[2].split()[:2] == ["pop3-2", "-"]
    assert peepctl.output("kick", "pop3-2").startswith("closed session pop3-2 (not logged in, ")
    assert peepctl.output("kick", "alice") == "closed session pop3-1 (alice, 192.0.2.1)\n"
    assert gateway.open_sessions() == []
    code, line = refused(peepctl, "kick", "alice")
    assert (code, "peepctl sessions lists them" in line) == (1, True)
    assert "sessions close --network" in line


def test_slow_downs_are_listed_and_lifted(gateway: BackgroundGateway, peepctl: Peepctl) -> None:
    assert json.loads(peepctl.output("slow-downs", "--json")) == {"slow_downs": []}
    with gateway.redis_server.client() as store:
        network = slow_down(store, "network 203.0.113.9", 100, 1112)
        alice = slow_down(store, "user user alice", 100, 3)
        root = slow_down(store, "pair 203.0.113.9 administrator root", 100, 1)
    told = json.loads(peepctl.output("slow-downs", "--json"))["slow_downs"]
    # Those of the same millisecond have no order.
    assert {(one["id"], one["network"], one["username"], one["is_administrator"]) for one in told} == {
        (network, "203.0.113.9", None, False),
        (alice, None, "alice", False),
        (root, "203.0.113.9", "root", True),
    }
    assert all(100 <= one["seconds"] < 200 and 0 < one["seconds_left"] <= 60 for one in told)
    head, first, *_ = peepctl.output("slow-downs").splitlines()
    assert head.split() == ["ID", "NETWORK", "USER", "SINCE", "DELAYED", "OVER", "IN"]
    assert first.split()[:3] == [network, "203.0.113.9", "-"]
    assert "1,112" in first
    assert peepctl.output("lift", "alice") == f"lifted slow-down {alice} (user alice, network -)\n"
    assert peepctl.output("lift", "203.0.113.9").splitlines() == [
        f"lifted slow-down {network} (user -, network 203.0.113.9)",
        f"lifted slow-down {root} (user root (administrator), network 203.0.113.9)",
    ]
    code, line = refused(peepctl, "lift", network)
    assert (code, "peepctl slow-downs lists them" in line) == (1, True)
    assert "refusals lift" in line


def test_users_who_are_logged_in_are_named(bare: Peepctl) -> None:
    assert bare.output("who") == "linus\nunix\n"
    assert json.loads(bare.output("who", "--json")) == {"users": ["linus", "unix"]}


def test_several_sessions_of_a_user_are_closed_only_when_that_is_said(
    gateway: BackgroundGateway, peepctl: Peepctl
) -> None:
    for number in (1, 2, 3):
        gateway.open_session(f"pop3-{number}", "alice")
    assert refused(peepctl, "kick", "alice") == (1, "alice has 3 sessions: --yes closes them all")
    assert len(gateway.open_sessions()) == 3
    assert len(peepctl.output("kick", "alice", "--yes").splitlines()) == 3
    assert gateway.open_sessions() == []


@pytest.mark.parametrize(
    ("command", "extension"),
    [
        (("sessions",), "s?"),
        (("kick", "linus"), "s?"),
        (("slow-downs",), "g?"),
        (("move", "list"), "mv?"),
        (("lift", "linus"), "g?"),
        (("version",), "v?"),
        (("users", "password", "unix"), "p="),
    ],
)
def test_command_that_needs_an_extension_says_which(
    bare: Peepctl, command: tuple[str, ...], extension: str
) -> None:
    assert refused(bare, *command, given="secret\n") == (
        1,
        f"this server does not have the extension {extension}, which this command needs",
    )


# The protocol itself


def test_capabilities_are_told_without_a_password(gateway: BackgroundGateway, tmp_path: Path) -> None:
    peepctl = Peepctl(tmp_path, PEEPCTL_PORT=str(gateway.address[1]))
    told = json.loads(peepctl.output("capabilities", "--json"))
    assert told["authentication"] == ["a"]
    assert told["integers"]["t="] == {"min": 0, "max": 86400}
    assert set(told["extensions"]) == {row.commencement for row in COMMANDS if row.is_extension}
    assert "1 to 1000000" in peepctl.output("capabilities")


def test_version_is_the_servers(peepctl: Peepctl) -> None:
    assert peepctl.output("version") == f"{VERSION}\n"
    assert json.loads(peepctl.output("version", "--json")) == {"version": VERSION}


def test_raw_lines_and_replies_are_as_they_are(bare: Peepctl) -> None:
    assert bare.output("raw", "t?", "u?", "u+ x y") == "+300\n+2\nlinus\nunix\n+\n"
    assert bare.output("raw", given="c?\nm?\n") == "+15\n+/home/mail\n"


def test_negative_raw_reply_shows_in_the_exit_code(bare: Peepctl) -> None:
    done = bare.run("raw", "nope", "t?")
    assert (done.code, done.stdout, done.stderr) == (1, "-0\n+300\n", "")
    done = bare.run("raw", "--no-login", "t?")
    assert (done.code, done.stdout) == (1, "-0\n")


def test_shell_without_a_terminal_takes_lines_and_explains(bare: Peepctl) -> None:
    done = bare.run("shell", given="t?\nu- nobody\nq\nt?\n")
    assert done.stdout.splitlines() == [
        "+300   seconds (5 min)",
        "-4   there is no user of that name",
        "+   the session is over",
    ]
    assert done.code == 1


def test_words_of_a_server_do_not_steer_the_terminal(tmp_path: Path) -> None:
    with canned_server(b"+\r\n", b"+1\r\n\x1b[2Jevil\r\n", b"+\r\n") as port:
        peepctl = Peepctl(tmp_path, PEEPCTL_PORT=str(port), PEEPCTL_PASSWORD="x")
        assert peepctl.output("users", "list") == "\\x1b[2Jevil\n"


# Where to connect


def test_administrator_of_a_local_peep_is_found(gateway: BackgroundGateway, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "admins").write_text(f"{ADMINISTRATOR}:{PASSWORD}\n")
    peepctl = Peepctl(tmp_path, PEEP_PORT=str(gateway.address[1]))
    assert peepctl.output("get", "timeout").strip().isdecimal()


def test_options_may_stand_before_and_behind_the_command(gateway: BackgroundGateway, tmp_path: Path) -> None:
    peepctl = Peepctl(tmp_path, PEEPCTL_PASSWORD=PASSWORD)
    port = str(gateway.address[1])
    before = peepctl.output("--port", port, "--user", ADMINISTRATOR, "users", "list")
    assert before == peepctl.output("users", "list", "--port", port, "--user", ADMINISTRATOR)
    assert before == peepctl.output("--port", "1", "users", "list", "--port", port, "--user", ADMINISTRATOR)


def test_settings_file_is_read_and_one_that_others_can_read_is_refused(
    gateway: BackgroundGateway, tmp_path: Path
) -> None:
    file = tmp_path / ".config" / "peep" / "peepctl.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'port = {gateway.address[1]}\nuser = "{ADMINISTRATOR}"\npassword = "{PASSWORD}"\n')
    file.chmod(0o600)
    peepctl = Peepctl(tmp_path)
    assert peepctl.output("get", "timeout").strip().isdecimal()
    file.chmod(0o640)
    assert refused(peepctl, "get", "timeout") == (
        2,
        f"{file} contains a password and others can read it: chmod 600 {file}",
    )


def test_nobody_there_says_where_it_was_tried(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    code, line = refused(Peepctl(tmp_path, PEEPCTL_PASSWORD="x"), "stats", "--port", str(port))
    assert code == 3
    assert line.startswith(f"cannot connect to 127.0.0.1 port {port}: connection refused. ")
    assert "--host" in line


def test_wrong_password_says_where_it_is_from(bare: Peepctl) -> None:
    code, line = refused(bare, "stats", PEEPCTL_PASSWORD="wrong")
    assert code == 4
    assert f"for {BOB} at " in line
    assert "the password is from PEEPCTL_PASSWORD" in line
    assert "wrong." not in line


@pytest.mark.parametrize(("option", "value"), [("--port", "{}"), ("--http", "http://127.0.0.1:{}")])
def test_password_that_is_found_in_the_folder_is_not_sent_to_another_port(
    tmp_path: Path, option: str, value: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "admins").write_text("admin:secret\n")
    command = "audit" if option == "--http" else "stats"
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        address = value.format(stranger.getsockname()[1])
        code, line = refused(Peepctl(tmp_path), command, "--timeout", "1", option, address)
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.accept()
    assert code == 2
    assert line.startswith(
        f"no password for admin at {'' if option == '--http' else '127.0.0.1:'}{address}: "
    )
    assert "is sent to 127.0.0.1:2110, 127.0.0.1:2995, http://127.0.0.1:8110 alone" in line
    assert "give --user (or PEEPCTL_USER) and PEEPCTL_PASSWORD_FILE (or PEEPCTL_PASSWORD)" in line


def test_missing_password_without_a_terminal_says_how_to_give_one(tmp_path: Path) -> None:
    code, line = refused(Peepctl(tmp_path), "stats")
    assert (code, "PEEPCTL_PASSWORD_FILE" in line) == (2, True)


def test_server_without_its_store_says_so(tmp_path: Path) -> None:
    with canned_server(b"+\r\n", b"+1\r\na\r\n", b"-8\r\n", b"+\r\n") as port:
        peepctl = Peepctl(tmp_path, PEEPCTL_PORT=str(port), PEEPCTL_PASSWORD="x")
        assert refused(peepctl, "stats") == (
            1,
            "the server answers -8: it cannot reach Redis; try again in a moment",
        )


def test_other_protocols_are_told_as_such(tmp_path: Path) -> None:
    with canned_server(b"+OK POP3 ready\r\n", stays=True) as port:
        code, line = refused(Peepctl(tmp_path, PEEPCTL_PORT=str(port), PEEPCTL_PASSWORD="x"), "who")
    assert (code, "does not speak PEEP" in line) == (3, True)


# TLS


async def test_certificate_has_to_be_trusted_unless_that_is_given_up(
    gateway: BackgroundGateway, tmp_path: Path
) -> None:
    authority = Authority()
    ca_file = authority.ca_file(tmp_path)
    async with tls_relay(authority, tmp_path, gateway.address) as (_, port):
        peepctl = Peepctl(
            tmp_path, PEEPCTL_PORT=str(port), PEEPCTL_USER=ADMINISTRATOR, PEEPCTL_PASSWORD=PASSWORD
        )
        code, line = await asyncio.to_thread(refused, peepctl, "get", "timeout", "--tls")
        assert (code, "--ca-file" in line, "certificate is not trusted" in line) == (3, True, True)
        trusting = await asyncio.to_thread(peepctl.output, "get", "timeout", "--ca-file", str(ca_file))
        careless = await asyncio.to_thread(peepctl.output, "get", "timeout", "--insecure")
        assert trusting == careless
        code, line = await asyncio.to_thread(refused, peepctl, "get", "timeout", "--no-tls")
        assert code == 3


def test_file_without_certificates_is_named(tmp_path: Path) -> None:
    peepctl = Peepctl(tmp_path, PEEPCTL_PASSWORD="x")
    (tmp_path / "empty.pem").touch()
    for name in ("empty.pem", "none.pem"):
        code, line = refused(peepctl, "who", "--ca-file", name)
        assert (code, line.startswith(f"--ca-file {name}: ")) == (2, True)


# Help and completion


def test_help_tells_the_exit_codes_and_every_command_its_options(tmp_path: Path) -> None:
    peepctl = Peepctl(tmp_path)
    text = peepctl.output("--help")
    assert "4  wrong administrator name or password" in text
    assert "PEEPCTL_PASSWORD_FILE" in text
    for command in (("stats",), ("users", "add"), ("top",), ("raw",)):
        assert "--ca-file" in peepctl.output(*command, "--help")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown_for_the_shell_that_is_named(tmp_path: Path, shell: str) -> None:
    assert f"complete_{shell}" in Peepctl(tmp_path).output("--show-completion", shell)


def test_names_of_users_and_sessions_complete(gateway: BackgroundGateway, peepctl: Peepctl) -> None:
    gateway.open_session("pop3-9", "zoe")

    def completed(*words: str) -> list[str]:
        line = " ".join(("peepctl", *words))
        return peepctl.run(
            _PEEPCTL_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words))
        ).stdout.split()

    assert completed("kick", "z") == ["zoe"]
    assert completed("--port", "1", "kick", "z") == []
    assert completed("kick", "pop3") == ["pop3-9"]
    assert completed("set", "time") == ["timeout"]
    peepctl.output("kick", "zoe")


def test_completion_without_a_server_offers_nothing_and_asks_nobody(tmp_path: Path) -> None:
    done = Peepctl(tmp_path).run(
        _PEEPCTL_COMPLETE="complete_bash", COMP_WORDS="peepctl users remove a", COMP_CWORD="3"
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.timeout(45)
def test_a_server_that_takes_a_connection_and_never_answers_is_given_up_in_the_time_that_is_set(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        login = {"PEEPCTL_USER": "root", "PEEPCTL_PASSWORD": "secret", "PEEPCTL_TIMEOUT": "1"}
        peepctl = Peepctl(tmp_path, PEEPCTL_HOST=address, PEEPCTL_HTTP=f"http://{address}", **login)
        over_peep, over_http = peepctl.run("stats"), peepctl.run("audit", "--timeout", "2")
    assert (over_peep.code, f"{address} is silent" in over_peep.stderr) == (3, True)
    assert (over_http.code, f"http://{address}: timed out" in over_http.stderr) == (3, True)
