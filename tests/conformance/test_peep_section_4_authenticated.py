"""PEEP section 4: every command of the AUTHENTICATED state with each of its replies (R43 to R73)."""

import pytest

from state_store.records import Deltas, Exchange, Login
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.peep_gateway_server import Gateway, add_users, instance, pop3_instance


async def make_busy(repository: StateRepository) -> None:
    """Let one instance have four connections, two of them logged in."""
    await add_users(repository, "unix", "linus", "fulano")
    await repository.register_instance(instance())
    logins = [Login(name, f"session-{name}", f"version-of-{name}", "::1") for name in ("unix", "fulano")]
    deltas = Deltas(retrieved_bytes=2612, retrieved_emails=7, removed_emails=3, connections=23, logins=11)
    await repository.exchange(Exchange("pop3", 1, deltas, open_connections=4, logins=logins))


async def test_user_is_added_unless_the_name_is_in_use(gateway: Gateway) -> None:
    """R43, R44."""
    await add_users(gateway.repository, "linus")
    await gateway.converse(
        """
        C: u+ linus torvalds
        S: -3
        C: u+ unix torvalds
        S: +
        C: u+ unix torvalds
        S: -3
        C: u?
        S: +2
        S: linus
        S: unix
        """,
    )


async def test_user_is_deleted_if_it_exists(gateway: Gateway) -> None:
    """R45, R46."""
    await add_users(gateway.repository, "unix")
    await gateway.converse("C: u- ghost\nS: -4\nC: u- unix\nS: +\nC: u- unix\nS: -4\nC: u?\nS: +0")


async def test_deleted_name_can_be_added_again(gateway: Gateway) -> None:
    """R43, R45."""
    await gateway.converse("C: u+ unix a\nS: +\nC: u- unix\nS: +\nC: u+ unix b\nS: +")


async def test_users_are_listed_sorted_by_their_octets(gateway: Gateway) -> None:
    """R48, P13."""
    await add_users(gateway.repository, "unix", "linus", "Zoe", "a.b", "linus2")
    await gateway.converse("C: u?\nS: +5\nS: Zoe\nS: a.b\nS: linus\nS: linus2\nS: unix")


@pytest.mark.parametrize("limit", ["1", "15", "998", "1000000", "00042"])
async def test_limit_of_connections_is_set_and_shown(gateway: Gateway, limit: str) -> None:
    """R49, R54, P8."""
    await gateway.converse(f"C: c= {limit}\nS: +\nC: c?\nS: +{int(limit)}")


@pytest.mark.parametrize("limit", ["0", "-0", "-1", "-5", "1000001", "4294967301", "99999999999999999999"])
async def test_limit_out_of_range_is_refused(gateway: Gateway, limit: str) -> None:
    """R52, P7: an integer all the same, however long."""
    await gateway.converse(f"C: c= {limit}\nS: -5\nC: c= {'9' * 128}\nS: -5\nC: c?\nS: +1000")


async def test_mail_directory_is_shown_as_an_absolute_path(gateway: Gateway) -> None:
    """R55, P12."""
    await gateway.repository.announce_mail_directory("/var/mail/peep", overrides=False, by=OPERATOR)
    await gateway.converse("C: m?\nS: +/var/mail/peep")


async def test_mail_directory_is_set_when_pop3_can_use_it(gateway: Gateway) -> None:
    """R56, P12; shown in its normal form."""
    async with pop3_instance(gateway.repository):
        await gateway.converse("C: m= /srv/b\nS: +\nC: m?\nS: +/srv/b")
        await gateway.converse("C: m= //srv/./c/\nS: +\nC: m?\nS: +/srv/c")


async def test_mail_directory_that_pop3_cannot_use_is_refused(gateway: Gateway) -> None:
    """R59, P12."""
    await gateway.repository.announce_mail_directory("/srv/a", overrides=False, by=OPERATOR)
    async with pop3_instance(gateway.repository, usable=False):
        await gateway.converse("C: m= /etc/passwd\nS: -6\nC: m?\nS: +/srv/a")


@pytest.mark.parametrize("path", [".", "mail", "./mail", "~/Maildir/", "../mail", "/srv/../etc", "/.."])
async def test_path_that_is_relative_or_goes_up_is_refused(gateway: Gateway, path: str) -> None:
    """R59, P12: even when the POP3 service would take it."""
    async with pop3_instance(gateway.repository):
        await gateway.converse(f"C: m= {path}\nS: -6")


async def test_mail_directory_is_refused_when_no_pop3_instance_answers(gateway: Gateway) -> None:
    """P12."""
    await gateway.converse("C: m= /tmp\nS: -6")


@pytest.mark.parametrize("seconds", ["0", "1", "120", "86400"])
async def test_timeout_is_set_and_shown(gateway: Gateway, seconds: str) -> None:
    """R60, R62, R65, P8."""
    await gateway.converse(f"C: t= {seconds}\nS: +\nC: t?\nS: +{seconds}")


@pytest.mark.parametrize("seconds", ["-1", "86401", "4294967296", "99999999999999999999"])
async def test_timeout_out_of_range_is_refused(gateway: Gateway, seconds: str) -> None:
    """R63, P7."""
    await gateway.converse(f"C: t= {seconds}\nS: -7\nC: t?\nS: +600")


async def test_defaults_are_a_thousand_connections_and_ten_minutes(gateway: Gateway) -> None:
    """P8."""
    await gateway.converse("C: c?\nS: +1000\nC: t?\nS: +600")


async def test_counters_are_those_of_the_store(gateway: Gateway) -> None:
    """R66 to R69, R71, R72."""
    await make_busy(gateway.repository)
    await gateway.converse(
        """
        C: rb?
        S: +2612
        C: re?
        S: +7
        C: xe?
        S: +3
        C: cc?
        S: +4
        C: hc?
        S: +23
        C: hu?
        S: +11
        """,
    )


async def test_counters_start_at_zero_and_peep_counts_in_none_of_them(gateway: Gateway) -> None:
    """R69, R71, R72: the connection that asks is not POP3's."""
    assert await gateway.replies_to(b"rb?\r\nre?\r\nxe?\r\ncc?\r\ncu?\r\nhc?\r\nhu?\r\n") == b"+0\r\n" * 7


async def test_logged_in_users_are_listed_sorted_a_deleted_one_too(gateway: Gateway) -> None:
    """R70, R47, P13."""
    await make_busy(gateway.repository)
    await gateway.converse(
        "C: u- unix\nS: +\nC: cu?\nS: +2\nS: fulano\nS: unix\nC: u?\nS: +2\nS: fulano\nS: linus",
    )
