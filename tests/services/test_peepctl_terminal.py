"""`peepctl` as a person meets it: in a real terminal, with prompts, a full screen and a shell."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from support.actors import OPERATOR
from support.background_gateway import BackgroundGateway, background_gateway
from support.peep_gateway_server import ADMINISTRATOR, PASSWORD
from support.peepctl_program import Peepctl, before, ended

UP = "\x1b[A"


@pytest.fixture(scope="module")
def gateway() -> Iterator[BackgroundGateway]:
    with background_gateway() as gateway:
        yield gateway


@pytest.fixture
def peepctl(gateway: BackgroundGateway, tmp_path: Path) -> Peepctl:
    return Peepctl(
        tmp_path, PEEPCTL_PORT=str(gateway.address[1]), PEEPCTL_USER=ADMINISTRATOR, PEEPCTL_PASSWORD=PASSWORD
    )


# Passwords


def test_password_of_the_administrator_is_asked_for_and_not_shown(
    gateway: BackgroundGateway, tmp_path: Path
) -> None:
    peepctl = Peepctl(tmp_path, PEEPCTL_PORT=str(gateway.address[1]), PEEPCTL_USER=ADMINISTRATOR)
    terminal = peepctl.terminal("get", "timeout")
    terminal.expect(f"Password of {ADMINISTRATOR} at 127.0.0.1:{gateway.address[1]}: ")
    terminal.waitnoecho()
    terminal.sendline(PASSWORD)
    terminal.expect(r"(\d+)\r\n")
    assert PASSWORD not in before(terminal)
    assert ended(terminal) == 0


def test_new_password_is_asked_for_twice(gateway: BackgroundGateway, peepctl: Peepctl) -> None:
    terminal = peepctl.terminal("users", "add", "alice")
    for prompt in ("New password of alice: ", "Once more: "):
        terminal.expect_exact(prompt)
        terminal.waitnoecho()
        terminal.sendline("secret-of-alice")
    terminal.expect_exact("added alice")
    assert "secret-of-alice" not in before(terminal)
    assert ended(terminal) == 0
    assert gateway.usernames() == ["alice"]


def test_passwords_that_differ_change_nothing(gateway: BackgroundGateway, peepctl: Peepctl) -> None:
    terminal = peepctl.terminal("users", "add", "zoe")
    for prompt, typed in (("New password of zoe: ", "one"), ("Once more: ", "other")):
        terminal.expect_exact(prompt)
        terminal.waitnoecho()
        terminal.sendline(typed)
    terminal.expect_exact("the two passwords differ; nothing was changed")
    assert ended(terminal) == 2
    assert "zoe" not in gateway.usernames()


def test_interrupt_at_a_prompt_ends_it(peepctl: Peepctl) -> None:
    terminal = peepctl.terminal("users", "add", "zoe")
    terminal.expect_exact("New password of zoe: ")
    terminal.waitnoecho()
    terminal.sendintr()
    assert ended(terminal) == 130


# kick


def test_several_sessions_are_closed_when_that_is_confirmed(
    gateway: BackgroundGateway, peepctl: Peepctl
) -> None:
    for number in (1, 2):
        gateway.open_session(f"pop3-{number}", "alice")
    terminal = peepctl.terminal("kick", "alice")
    terminal.expect_exact("Close these 2 sessions of alice? [y/N]: ")
    terminal.sendline("n")
    assert ended(terminal) == 1
    assert len(gateway.open_sessions()) == 2
    terminal = peepctl.terminal("kick", "alice")
    terminal.expect_exact("[y/N]: ")
    terminal.sendline("y")
    assert ended(terminal) == 0
    assert gateway.open_sessions() == []


# Colour


def test_headings_are_bold_in_a_terminal_unless_that_is_unwanted(peepctl: Peepctl) -> None:
    terminal = peepctl.terminal("capabilities")
    terminal.expect_exact("\x1b[1mCOMMAND")
    assert ended(terminal) == 0
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        terminal = peepctl.terminal("capabilities", variables=variables)
        terminal.expect(pexpect.EOF)
        assert "COMMAND" in before(terminal)
        assert "\x1b[" not in before(terminal)
        terminal.close()


# top


def test_top_fills_the_screen_follows_its_size_and_gives_it_back(
    gateway: BackgroundGateway, peepctl: Peepctl
) -> None:
    gateway.open_session("pop3-7", "alice")
    terminal = peepctl.terminal("top", size=(24, 80))
    terminal.expect_exact("\x1b[?1049h")
    terminal.expect_exact("open connections")
    terminal.expect_exact("pop3-7")
    terminal.expect_exact("q quit")
    terminal.setwinsize(12, 40)
    # Else only what changes is drawn: the whole screen comes again because its size is another one.
    terminal.expect_exact("open connections")
    terminal.expect_exact("users logged in")
    terminal.send("n")
    terminal.send("q")
    terminal.expect_exact("\x1b[?1049l")
    assert ended(terminal) == 0
    gateway.run(gateway.repository.close_session("pop3-7", by=OPERATOR))


def test_top_ends_at_ctrl_c(peepctl: Peepctl) -> None:
    terminal = peepctl.terminal("top")
    terminal.expect_exact("q quit")
    terminal.sendintr()
    terminal.expect_exact("\x1b[?1049l")
    assert ended(terminal) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_top_gives_the_screen_back_at_a_signal(peepctl: Peepctl, number: signal.Signals) -> None:
    terminal = peepctl.terminal("top")
    terminal.expect_exact("q quit")
    terminal.kill(number)
    terminal.expect_exact("\x1b[?1049l")
    assert ended(terminal) == 0


def test_top_shows_a_lost_connection_and_makes_it_anew(tmp_path: Path) -> None:
    with background_gateway() as gateway:
        peepctl = Peepctl(
            tmp_path,
            PEEPCTL_PORT=str(gateway.address[1]),
            PEEPCTL_USER=ADMINISTRATOR,
            PEEPCTL_PASSWORD=PASSWORD,
        )
        terminal = peepctl.terminal("top", "--interval", "0.2", size=(24, 100))
        terminal.expect_exact("connected")
        gateway.go_away()
        terminal.expect_exact("NOT CONNECTED")
        terminal.expect("connection refused|closed the connection|broke off")
        gateway.come_back()
        terminal.expect_exact("Peep")
        terminal.expect_exact("connected")
        terminal.send("q")
        assert ended(terminal) == 0


def test_top_with_a_wrong_password_opens_no_screen(peepctl: Peepctl) -> None:
    terminal = peepctl.terminal("top", variables={"PEEPCTL_PASSWORD": "wrong"})
    terminal.expect_exact("wrong administrator name or password")
    assert "\x1b[?1049h" not in before(terminal)
    assert ended(terminal) == 4


# shell


def test_shell_completes_explains_and_remembers(peepctl: Peepctl) -> None:
    terminal = peepctl.terminal("shell", size=(24, 100))
    terminal.expect_exact("peep>")
    terminal.send("ca\t")
    terminal.expect_exact("p?")
    terminal.send("\r")
    terminal.expect("capabilities")
    terminal.send("t= 99999\r")
    terminal.expect_exact("out of range; the range is 0 to 86400")
    terminal.send("help t=\r")
    terminal.expect_exact("invalid command syntax")
    terminal.send("u+ carol hunter2\r")
    terminal.expect_exact("done")
    terminal.send("q\r")
    terminal.expect_exact("the session is over")
    assert ended(terminal) == 0
    again = peepctl.terminal("shell", size=(24, 100))
    again.expect_exact("peep>")
    for _ in range(3):
        again.send(UP)
    again.expect_exact("t= 99999")
    again.sendcontrol("c")
    again.sendcontrol("d")
    assert ended(again) == 0
    history = peepctl.home / ".local" / "state" / "peep" / "peepctl-history"
    assert "hunter2" not in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


def test_shell_connects_anew_after_the_connection_was_lost(tmp_path: Path) -> None:
    with background_gateway() as gateway:
        peepctl = Peepctl(
            tmp_path,
            PEEPCTL_PORT=str(gateway.address[1]),
            PEEPCTL_USER=ADMINISTRATOR,
            PEEPCTL_PASSWORD=PASSWORD,
        )
        terminal = peepctl.terminal("shell", size=(24, 100))
        terminal.expect_exact("peep>")
        gateway.go_away()
        gateway.come_back()
        terminal.send("c?\r")
        terminal.expect_exact("lost the connection")
        terminal.expect_exact("peep>")
        terminal.send("c?\r")
        terminal.expect_exact("connected again")
        terminal.expect_exact("+1000")
        terminal.send("q\r")
        assert ended(terminal) == 0
