"""The formats of PEEP arguments (P5, P7, P11, P12)."""

import pytest

from peep_gateway.protocol.arguments import AbsolutePath, Integer, Mistake, Text, UserName, is_word

ONE_TO_FIFTEEN = Integer("number", range(1, 16))


@pytest.mark.parametrize("octets", [b"a", b"!", b"~", b"x" * 128, b"../../etc"])
def test_printable_ascii_up_to_128_octets_is_a_word(octets: bytes) -> None:
    assert is_word(octets)


@pytest.mark.parametrize(
    "octets",
    [b"", b"x" * 129, b"a b", b" ", b"a\tb", b"a\x00", b"a\n", b"\ra", b"a\x7f", b"\xc3\xa9", b"\xff"],
)
def test_anything_else_is_no_word(octets: bytes) -> None:
    assert not is_word(octets)


@pytest.mark.parametrize(("octets", "number"), [(b"1", 1), (b"15", 15), (b"007", 7), (b"0" * 127 + b"3", 3)])
def test_decimal_digits_in_range_are_an_integer(octets: bytes, number: int) -> None:
    assert ONE_TO_FIFTEEN.parse(octets) == number


@pytest.mark.parametrize(
    "octets",
    [
        b"0",
        b"16",
        b"-0",
        b"-1",
        b"-15",
        b"4294967297",
        b"18446744073709551617",
        b"9" * 128,
        b"-" + b"9" * 127,
    ],
)
def test_integer_out_of_range_is_a_wrong_value(octets: bytes) -> None:
    assert ONE_TO_FIFTEEN.parse(octets) is Mistake.VALUE


def test_minus_zero_is_zero() -> None:
    assert Integer("number", range(0, 2)).parse(b"-0") == 0


@pytest.mark.parametrize(
    "octets",
    [
        b"+5",
        b"1e3",
        b"1_0",
        b"0x10",
        b"5.0",
        b"5,",
        b"abc",
        b"--5",
        b"5-",
        b"-",
        b"\xd9\xa5",
        b"five",
        b"5\n",
    ],
)
def test_what_only_looks_like_a_number_is_a_wrong_format(octets: bytes) -> None:
    assert ONE_TO_FIFTEEN.parse(octets) is Mistake.FORMAT


@pytest.mark.parametrize(
    "octets", [b"a", b"alice@example.org", b"a..b", b"-x", b"~root", b"a\\b", b"x" * 128]
)
def test_user_name_may_hold_any_printable_ascii_but_a_slash(octets: bytes) -> None:
    assert UserName("username").parse(octets) == octets.decode()


@pytest.mark.parametrize("octets", [b"../x", b"a/b", b"/", b".", b"..", b".hidden", b"a/../b", b"x/"])
def test_user_name_never_leads_outside_the_mail_directory(octets: bytes) -> None:
    assert UserName("username").parse(octets) is Mistake.FORMAT


def test_text_is_taken_as_it_is() -> None:
    assert Text("password").parse(b"../%s{}\\'\"") == "../%s{}\\'\""


@pytest.mark.parametrize(
    ("octets", "path"),
    [
        (b"/srv/mail", "/srv/mail"),
        (b"//srv//mail", "/srv/mail"),
        (b"/srv/./mail/.", "/srv/mail"),
        (b"/srv/mail/", "/srv/mail"),
        (b"/", "/"),
        (b"///", "/"),
        (b"/srv/..mail/...", "/srv/..mail/..."),
    ],
)
def test_absolute_path_is_normalised(octets: bytes, path: str) -> None:
    assert AbsolutePath("path").parse(octets) == path


@pytest.mark.parametrize(
    "octets", [b"srv/mail", b".", b"./mail", b"~/mail", b"/srv/../mail", b"/..", b"/srv/mail/..", b"../x"]
)
def test_relative_path_or_one_that_goes_up_is_a_wrong_value(octets: bytes) -> None:
    assert AbsolutePath("path").parse(octets) is Mistake.VALUE
