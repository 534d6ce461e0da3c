"""What whole POP3 processes keep of users: why each login was refused, and every octet once."""

import base64
from pathlib import Path

from state_store.credentials.attempts import RefusalReason
from state_store.repository.user_records import STRANGERS
from state_store.user_records import Refused, UserRecord
from support.certificates import Authority
from support.pop3_process import PASSWORD, Pop3Client, Pop3Process, Start, wait_until

SHORT = b"Subject: short\n\nHello\n"


def refused(service: Pop3Process, username: str, reason: RefusalReason) -> Refused:
    """Return what is known of a user's refusals for a reason, once it is."""

    def found() -> list[Refused]:
        return [one for one in service.user_record(username).refused if one.reason is reason]

    wait_until(lambda: bool(found()), f"{username}'s {reason.value} is recorded")
    return found()[0]


def try_to_log_in(service: Pop3Process, username: str, password: str = PASSWORD) -> bytes:
    with service.connect() as client:
        client.ask(f"USER {username}")
        return client.ask(f"PASS {password}")


def test_each_refusal_says_why_from_where_and_how(start: Start) -> None:
    service = start(PEEP_LOGIN_DELAY="3600")
    alice, bob = service.add_user(SHORT), service.add_user(SHORT)
    assert try_to_log_in(service, alice, "hunter2").startswith(b"-ERR [AUTH]")
    wrong = refused(service, alice, RefusalReason.WRONG_PASSWORD)
    assert (wrong.count, *wrong.origin) == (1, "127.0.0.1", "", "USER")
    try_to_log_in(service, alice, "hunter2")
    assert refused(service, alice, RefusalReason.REPEATED).count == 1
    with service.connect() as client:
        guess = base64.b64encode(f"\0{alice}\0hunter3".encode()).decode()
        assert client.ask(f"AUTH PLAIN {guess}").startswith(b"-ERR [AUTH]")
    wait_until(lambda: refused(service, alice, wrong.reason).count == 2, "the second is counted")
    assert refused(service, alice, wrong.reason).origin.mechanism == "PLAIN"

    with service.log_in(alice) as holder:
        wait_until(lambda: service.user_record(alice).last_login is not None, "the login is recorded")
        found = service.user_record(alice)
        assert found.last_login is not None
        assert (found.last_login.messages, found.last_login.octets) == (1, 25)
        assert {one.reason: one.count for one in found.refused} == {
            RefusalReason.WRONG_PASSWORD: 0,
            RefusalReason.REPEATED: 0,
        }
        session = holder.greeting.split()[-1].decode()
        assert try_to_log_in(service, alice).startswith(b"-ERR [IN-USE] another session has")
        detail = refused(service, alice, RefusalReason.IN_USE).detail
        assert detail.startswith("held by 127.0.0.1 since 20")
        assert detail.endswith(f"(session {session})")
    wait_until(lambda: service.logged_in_users() == [], "the maildrop is free")
    assert try_to_log_in(service, alice).startswith(b"-ERR [LOGIN-DELAY]")
    assert refused(service, alice, RefusalReason.TOO_SOON).count == 1

    (service.mail / bob / "new").rename(service.mail / bob / "gone")
    (service.mail / bob / "new").write_text("no folder")
    assert try_to_log_in(service, bob).startswith(b"-ERR [SYS/")
    assert refused(service, bob, RefusalReason.MAILDROP_UNREADABLE).detail
    assert service.user_record(bob).last_login is None


def test_a_login_that_needs_tls_is_recorded_under_the_name_that_it_gave(start: Start, tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = authority.issue(tmp_path)
    service = start(PEEP_REQUIRE_TLS="1", PEEP_TLS_CERT_FILE=str(certificate), PEEP_TLS_KEY_FILE=str(key))
    alice = service.add_user(SHORT)
    with service.connect() as client:
        assert client.ask(f"USER {alice}").startswith(b"-ERR no passwords in the clear")
        assert client.ask("AUTH PLAIN").startswith(b"-ERR no passwords in the clear")
        assert client.ask("USER nobody").startswith(b"-ERR no passwords in the clear")
    assert refused(service, alice, RefusalReason.TLS_WANTED).origin == ("127.0.0.1", "", "USER")
    wait_until(lambda: service.refused_logins() == {"TLS wanted": 3}, "all are counted")
    shown = [(entry["user"], entry["reason"]) for entry in service.expect_logged("login refused", 3)]
    assert shown == [(alice, "TLS wanted"), ("", "TLS wanted"), ("nobody", "TLS wanted")]
    with service.connect(tls=authority.client_context()) as client:
        client.log_in(alice).quit()
    wait_until(lambda: service.user_record(alice).last_login is not None, "the login is recorded")
    login = service.user_record(alice).last_login
    assert login is not None
    assert login.origin == ("127.0.0.1", "TLSv1.3", "USER")


def test_connections_over_a_limit_are_counted_in_sum(start: Start) -> None:
    service = start()
    service.set_max_connections(1)
    with service.connect():
        for _ in range(3):
            with service.connect() as client:
                assert client.greeting.startswith(b"-ERR [SYS/TEMP]")
    assert refused(service, STRANGERS, RefusalReason.CONNECTION_LIMIT).origin == ("", "", "")
    wait_until(lambda: service.refused_logins() == {"connection limit": 3}, "all are counted")


def test_traffic_of_users_adds_up_to_the_counters(start: Start) -> None:
    service = start(workers=2)
    users = [service.add_user(SHORT, SHORT) for _ in range(4)]

    def fetch(username: str) -> Pop3Client:
        client = service.log_in(username)
        for number in (1, 2):
            client.ask_lines(f"RETR {number}")
        return client

    for _ in range(3):
        for username in users:
            with fetch(username) as client:
                client.quit()
    with service.connect() as client:
        client.ask("NOOP")
    with fetch(users[0]):  # a session that goes on

        def records() -> list[UserRecord]:
            return [service.user_record(name) for name in (*users, STRANGERS)]

        def adds_up() -> bool:
            # Not the day's, which may be over just now.
            found, counters = [one.week for one in records()], service.counters()
            octets, messages = sum(one.octets for one in found), sum(one.messages for one in found)
            return (octets, messages) == (counters.retrieved_bytes, counters.retrieved_emails)

        wait_until(lambda: service.counters().retrieved_emails == 26, "all is counted")
        wait_until(adds_up, "the users' traffic is what the counters say")
        week = [one.week for one in records()]
        assert [one.messages for one in week] == [8, 6, 6, 6, 0]
        assert week[-1].octets > 0
        assert [one.month for one in records()] == week


def test_nothing_is_kept_of_users_where_that_is_switched_off(start: Start) -> None:
    service = start(PEEP_LOGIN_RECORDS="0")
    alice = service.add_user(SHORT)
    try_to_log_in(service, alice, "hunter2")
    service.log_in(alice).quit()
    wait_until(lambda: service.counters().historical_logins == 1, "the login is counted")
    assert service.user_record(alice) == UserRecord()
