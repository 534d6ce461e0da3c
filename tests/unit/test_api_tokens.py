"""The text of API tokens, and where and when one serves."""

import re

import pytest

from state_store.administrators import ApiToken, Role
from state_store.credentials.api_tokens import is_token, new_token, token_digest


def test_tokens_differ_and_scanners_of_secrets_can_tell_them() -> None:
    tokens = {new_token() for _ in range(200)}
    assert len(tokens) == len({token_digest(token) for token in tokens}) == 200
    assert all(re.fullmatch(r"peep_[0-9A-Za-z]{49}", token) and is_token(token) for token in tokens)


def test_one_wrong_character_anywhere_shows() -> None:
    token = new_token()
    for place, character in enumerate(token):
        wrong = token[:place] + ("x" if character != "x" else "y") + token[place + 1 :]
        assert not is_token(wrong), place
    for wrong in ("", "peep_", token[:-1], token + "0", f"{token}\n", token.upper(), token.replace("_", "-")):
        assert not is_token(wrong)


def test_the_checksum_is_that_of_the_documentation() -> None:
    """CRC-32 in base 62 (0-9A-Za-z) of all that stands before it: scanners may rely on it."""
    assert is_token("peep_" + "0" * 43 + "1J6xnC")


@pytest.mark.parametrize(
    ("networks", "address", "refusal"),
    [
        ((), "192.0.2.1", ""),
        ((), "unknown", ""),
        (("192.0.2.0/24",), "192.0.2.1", ""),
        (("192.0.2.0/24",), "::ffff:192.0.2.1", ""),
        (("192.0.2.0/24", "2001:db8::/32"), "2001:db8::5%eth0", ""),
        (("192.0.2.7",), "192.0.2.7", ""),
        (("192.0.2.0/24",), "198.51.100.1", "not for this network"),
        (("0.0.0.0/0",), "2001:db8::1", "not for this network"),
        (("192.0.2.0/24",), "unknown", "not for this network"),
    ],
)
def test_a_token_serves_its_networks_alone(networks: tuple[str, ...], address: str, refusal: str) -> None:
    assert ApiToken("t", Role.READ, networks).refusal(address, 100.0) == refusal


@pytest.mark.parametrize(
    ("ends_at", "refusal"), [(0.0, ""), (100.1, ""), (100.0, "has ended"), (99.0, "has ended")]
)
def test_a_token_serves_until_its_end(ends_at: float, refusal: str) -> None:
    assert ApiToken("t", Role.READ, ends_at=ends_at).refusal("192.0.2.1", 100.0) == refusal


def test_each_role_includes_those_before_it() -> None:
    covered = {role: [one for one in Role if role.covers(one)] for role in Role}
    assert covered == {
        Role.READ: [Role.READ],
        Role.HELPDESK: [Role.READ, Role.HELPDESK],
        Role.ALL: [Role.READ, Role.HELPDESK, Role.ALL],
    }
