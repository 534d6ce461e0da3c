"""What the name of a message file says. Clients know messages by it: what is here must not change."""

import pytest

from pop3_service.maildir.unique_ids import unique_id_of, unique_id_of_namesake, unique_part


@pytest.mark.parametrize(
    ("name", "unique_id"),
    [
        ("1700000000.M1P2.host", "1700000000.M1P2.host"),
        ("1700000000.M1P2.host:2,", "1700000000.M1P2.host"),
        ("1700000000.M1P2.host:2,FS", "1700000000.M1P2.host"),
        # Sizes belong to it: clients of maildirs as they are know their messages with them.
        ("1700000000.M1P2.host,S=100,W=103:2,S", "1700000000.M1P2.host,S=100,W=103"),
        ("1700000000.M1P2.host,S=100", "1700000000.M1P2.host,S=100"),
        ("1700000000.M1P2.host,U=7:2,Sa", "1700000000.M1P2.host,U=7"),
        # File systems without colons.
        ("1700000000.M1P2.host;2,S", "1700000000.M1P2.host"),
        ("1700000000.M1P2.host;2,", "1700000000.M1P2.host"),
        ("1700000000.M1P2.host!2,FSab", "1700000000.M1P2.host"),
        ("1700000000.M1P2.host,S=100!2,S", "1700000000.M1P2.host,S=100"),
        # What only looks like it.
        ("1700000000.M1P2.host;2,S:2,S", "1700000000.M1P2.host;2,S"),
        ("1700000000.M1P2.host;2,S.x", "1700000000.M1P2.host;2,S.x"),
        ("1700000000.M1P2.host;1,S", "1700000000.M1P2.host;1,S"),
        ("1700000000.M1P2.host-2,S", "1700000000.M1P2.host-2,S"),
    ],
)
def test_unique_id_is_the_name_up_to_its_flags(name: str, unique_id: str) -> None:
    assert unique_id_of(unique_part(name.encode())) == unique_id.encode()


def test_a_name_that_cannot_be_a_unique_id_has_a_digest_that_stays() -> None:
    assert unique_id_of(b"x" * 70) == b"x" * 70
    assert unique_id_of(b"x" * 71) == b":3daaf17f3c5b4230c4cfa873079b0a55818e4db5"
    assert unique_id_of(b"a b") == b":407024d66cde17bdcf02effc1c376cb80387f3ec"
    assert unique_id_of_namesake(b"1.a", 12345) == b":a0415a2180a9995b3420acf6cdf9c41f70df1302"
