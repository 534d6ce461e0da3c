"""What POP3 clients see of suspensions, bans and exemptions, while they are set and lifted."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from state_store.credentials.attempts import RefusalReason
from state_store.records import Counters
from state_store.refusals import NewRefusal, RefusalKind, refusal_id
from state_store.repository import obedience
from state_store.repository.refusals import RefusalsSet
from state_store.repository.user_records import STRANGERS
from state_store.user_notes import Origin
from support.actors import OPERATOR
from support.certificates import Authority
from support.pop3_process import PASSWORD, SECONDS, Pop3Client, Pop3Process, Start, wait_until
from support.scram_dialogue import encoded, scram

MESSAGE = b"Subject: one\n\nbody\n"
SUSPENDED = b"-ERR [AUTH] the bill is not paid\r\n"
BANNED = b"-ERR [SYS/PERM] too many guesses\r\n"
WRONG = b"-ERR [AUTH] wrong user name or password\r\n"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let services obey late: it is the machine that is busy."""
    monkeypatch.setattr(obedience, "OBEYED_SECONDS", SECONDS)


@pytest.fixture
def impatience(_patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for long for services that stand still."""
    monkeypatch.setattr(obedience, "OBEYED_SECONDS", 1.0)


@pytest.fixture
def start(redis_url: str, tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def made(name: str = "one", **settings: Any) -> Pop3Process:
            folder = tmp_path / name
            folder.mkdir()
            return stack.enter_context(
                Pop3Process(
                    redis_url, folder, **{"PEEP_MAIL_DIR": str(tmp_path / "one" / "mail"), **settings}
                )
            )

        yield made


def suspend(service: Pop3Process, username: str) -> RefusalsSet:
    new = NewRefusal(RefusalKind.SUSPEND, username, "the bill is not paid")
    return service._runner.run(service.repository.refuse([new], by=OPERATOR))


def ban(service: Pop3Process, *networks: str, kind: RefusalKind = RefusalKind.BAN) -> RefusalsSet:
    new = [NewRefusal(kind, network, "too many guesses") for network in networks]
    return service._runner.run(service.repository.refuse(new, by=OPERATOR))


def lift(service: Pop3Process, kind: RefusalKind, subject: str) -> None:
    service._runner.run(service.repository.lift_refusal(refusal_id(kind, subject), by=OPERATOR))


def log_in(client: Pop3Client, username: str, password: str = PASSWORD) -> bytes:
    assert client.ask(f"USER {username}").startswith(b"+OK")
    return client.ask(f"PASS {password}")


def test_only_a_right_password_is_told_of_a_suspension_in_whatever_way_it_comes(start: Start) -> None:
    service = start()
    username = service.add_user(MESSAGE)
    with service.log_in(username) as client:  # the password is remembered
        client.quit()
    assert suspend(service, username).is_obeyed
    plain = encoded(f"\0{username}\0{PASSWORD}")
    with service.connect() as client:
        assert log_in(client, username, "a wrong one") == WRONG
        assert log_in(client, "nobody-of-this-name", PASSWORD) == WRONG
        assert log_in(client, username) == SUSPENDED
        assert log_in(client, username) == SUSPENDED
        assert client.ask(f"AUTH PLAIN {plain}") == SUSPENDED
        assert scram(client, username, "a wrong one") == WRONG
        assert scram(client, username, PASSWORD) == SUSPENDED
        assert log_in(client, username, "a wrong one") == WRONG, "the same wrong one again"
    wait_until(lambda: service.refused_logins()["suspended"] == 4, "all four are counted")
    reasons = [entry["reason"] for entry in service.logged("login refused")]
    assert reasons.count("suspended") == 4
    assert len(service.files(username)) == 1
    lift(service, RefusalKind.SUSPEND, username)
    with service.connect() as client:
        assert log_in(client, username) == b"+OK 1 message (22 octets)\r\n"


def test_right_password_of_a_suspended_user_is_no_wrong_answer_and_ends_no_session(start: Start) -> None:
    service = start()
    username = service.add_user()
    suspend(service, username)
    with service.connect() as client:
        for _ in range(25):
            assert log_in(client, username) == SUSPENDED
        assert client.ask("CAPA").startswith(b"+OK")
    with service.connect() as client:
        assert log_in(client, "somebody", "wrong") == WRONG, "nobody of this network has to wait"


def test_sessions_of_a_suspended_user_end_at_all_services_with_the_reason_and_remove_nothing(
    start: Start,
) -> None:
    one, other = start("one"), start("other")
    alice, bob = one.add_user(MESSAGE, name="alice"), one.add_user(MESSAGE, name="bob")
    with (
        one.log_in(alice) as at_one,
        other.log_in(bob) as at_other,
        other.connect() as guessing,
    ):
        assert at_one.ask("DELE 1").startswith(b"+OK")
        new = [NewRefusal(RefusalKind.SUSPEND, name, "the bill is not paid") for name in (alice, bob)]
        assert one._runner.run(one.repository.refuse(new, by=OPERATOR)).is_obeyed
        assert at_one.rest() == SUSPENDED
        assert at_other.rest() == SUSPENDED
        assert guessing.ask("CAPA").startswith(b"+OK")
    assert len(one.files(alice)) == 1
    wait_until(lambda: one.logged_in_users() == [], "both maildrops are free")

    def suspended_at(service: Pop3Process) -> int:
        return [entry["ending"] for entry in service.logged("session ended")].count("suspended")

    wait_until(lambda: (suspended_at(one), suspended_at(other)) == (1, 1), "each has ended one")


def test_banned_network_loses_its_sessions_at_all_services_and_gets_no_greeting(start: Start) -> None:
    one, other = start("one"), start("other")
    username = one.add_user(MESSAGE)
    with (
        Pop3Client(one.address, source="127.0.0.9") as waiting,
        Pop3Client(other.address, source="127.0.0.10").log_in(username) as logged_in,
        one.connect() as elsewhere,
    ):
        octets = logged_in.octets_read
        one.expect_counters(Counters(octets, 0, 0, 3, 1, 3, 1))
        assert ban(one, "127.0.0.8/29").is_obeyed
        for banned in (waiting, logged_in):
            assert banned.rest() == BANNED
            banned.close()  # else the server gives it some seconds for that
        assert elsewhere.ask_lines("CAPA")
        settled = Counters(octets + elsewhere.octets_read, 0, 0, 1, 0, 3, 1)
        one.expect_counters(settled)
        for service in (one, other):
            with Pop3Client(service.address, source="127.0.0.15") as late:
                assert late.greeting + late.rest() == BANNED
        one.expect_counters(settled)
        ban(one, "127.0.0.15", kind=RefusalKind.EXEMPT)
        with Pop3Client(one.address, source="127.0.0.15") as exempt:
            assert exempt.greeting.startswith(b"+OK")
    (entry,) = one.expect_logged("connection refused", 1)
    assert (entry["address"], entry["reason"]) == ("127.0.0.15", "banned")
    wait_until(lambda: one.refused_logins()["banned"] == 2, "both are counted")
    wait_until(lambda: [each.count for each in one.user_record(STRANGERS).refused] == [2], "and recorded")
    (recorded,) = one.user_record(STRANGERS).refused
    # In sum: nobody's address is kept for it.
    assert (recorded.reason, recorded.count, recorded.origin) == (RefusalReason.BANNED, 2, Origin(""))
    lift(one, RefusalKind.BAN, "127.0.0.8/29")
    with Pop3Client(other.address, source="127.0.0.9") as again:
        assert again.greeting.startswith(b"+OK")


def test_ban_is_of_the_address_that_a_proxy_tells_and_is_told_inside_tls(
    start: Start, tmp_path: Path
) -> None:
    authority = Authority()
    certificate, key = authority.issue(tmp_path)
    service = start(
        PEEP_PROXY_PROTOCOL="1",
        PEEP_PROXY_TRUSTED="127.0.0.1",
        PEEP_TLS_CERT_FILE=str(certificate),
        PEEP_TLS_KEY_FILE=str(key),
    )
    ban(service, "198.51.100.0/24", "2001:db8::/32")
    header = "PROXY {} {} {} 40000 110\r\n"
    for family, address, own in (
        ("TCP4", "198.51.100.7", "192.0.2.1"),
        ("TCP6", "2001:db8::7", "2001:db9::1"),
    ):
        with Pop3Client(service.address, header=header.format(family, address, own).encode()) as client:
            assert client.greeting + client.rest() == BANNED
    with Pop3Client(
        service.tls_address,
        tls=authority.client_context(),
        header=header.format("TCP4", "198.51.100.7", "192.0.2.1").encode(),
    ) as client:
        assert client.greeting + client.rest() == BANNED
    with Pop3Client(
        service.address, header=header.format("TCP4", "198.51.101.7", "192.0.2.1").encode()
    ) as client:
        assert client.greeting.startswith(b"+OK")


def test_exempt_network_is_never_slowed_down(start: Start) -> None:
    service = start()
    username = service.add_user()
    ban(service, "127.0.0.0/8", kind=RefusalKind.EXEMPT)
    for _ in range(5):
        with service.connect() as client:
            for number in range(9):
                assert log_in(client, username, f"guess {number}") == WRONG
    assert service._runner.run(service.repository.slow_downs()) == []


@pytest.mark.usefixtures("impatience")
def test_service_that_stood_still_meanwhile_closes_the_sessions_when_it_goes_on(start: Start) -> None:
    one, other = start("one"), start("other")
    alice = one.add_user(MESSAGE, name="alice")
    with other.log_in(alice) as client, Pop3Client(other.address, source="127.0.0.9") as stranger:
        other.process.send_signal(signal.SIGSTOP)
        try:
            assert not suspend(one, alice).is_obeyed
            assert not ban(one, "127.0.0.9").is_obeyed
            with one.connect() as elsewhere:
                assert log_in(elsewhere, alice) == SUSPENDED
        finally:
            other.process.send_signal(signal.SIGCONT)
        assert client.rest() == SUSPENDED
        assert stranger.rest() == BANNED


@pytest.mark.usefixtures("impatience")
def test_suspension_holds_whoever_dies_right_after_it(start: Start) -> None:
    one, other = start("one"), start("other")
    alice = one.add_user(MESSAGE, name="alice")
    with one.log_in(alice):
        one.process.send_signal(signal.SIGSTOP)
        suspend(other, alice)
        one.kill()
        with other.connect() as client:
            assert log_in(client, alice) == SUSPENDED
        one.end_lease_of_the_dead()
        lift(other, RefusalKind.SUSPEND, alice)
    third = start("third")
    with third.log_in(alice) as client:
        assert client.quit().startswith(b"+OK")
