"""What other servers' files say about their unique-ids, and which files are refused."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import pop3_service.old_unique_ids.old_list
from pop3_service.old_unique_ids.courier import courier_list, is_courier
from pop3_service.old_unique_ids.dovecot import dovecot_list, is_dovecot
from pop3_service.old_unique_ids.old_list import OldList, OldMessage, Unusable, read_whole
from pop3_service.old_unique_ids.plain_list import is_numbered, named_list, names_list, numbered_list
from pop3_service.old_unique_ids.uidl_format import Facts, UidlFormat, UnknownFormat

FACTS = Facts(uidvalidity=0x6B0BDF92, uid=3, filename=b"1.M1.Host,S=10", guid=b"GuId")


def pairs(old: OldList) -> list[tuple[bytes, bytes]]:
    return [(message.part, message.unique_id) for message in old.messages]


def present(*names: bytes) -> dict[bytes, bytes]:
    return {name.partition(b":")[0]: name for name in names}


# Dovecot's formats


@pytest.mark.parametrize(
    ("text", "unique_id"),
    [
        ("%08Xu%08Xv", "000000036b0bdf92"),
        ("%{uid | hex(8)}%{uidvalidity | hex(8)}", "000000036b0bdf92"),
        ("%{uid|hex(8)}.%{ uidvalidity|hex }", "00000003.6b0bdf92"),
        ("%v.%u", "1795940242.3"),
        ("%{uidvalidity}-%{uid}", "1795940242-3"),
        ("%08Xv%08Xu", "6b0bdf9200000003"),
        ("%f", "1.M1.Host,S=10"),
        ("%g", "GuId"),
        ("%Lg%Ug", "guidGUID"),
        ("%{guid | upper | lower}", "guid"),
        ("%{guid | upper}", "GUID"),
        ("UID%u-%4v", "UID3-1795"),
        ("%04u", "0003"),
        ("100%%-%u", "100%-3"),
        ("%08X{uid}", "00000003"),
        ("%Xf", "1"),
        ("%u%Xg", "30"),
    ],
)
def test_a_format_makes_the_unique_id_that_dovecot_makes(text: str, unique_id: str) -> None:
    assert UidlFormat(text).unique_id(FACTS) == unique_id.encode()


@pytest.mark.parametrize(
    "text",
    ["", "text", "%v", "%m", "%u%", "%{md5}", "%{uid | sha1}", "%{uid | upper(8)}", "%{uid", "%-8u", "%é"],
)
def test_a_format_that_cannot_be_followed_is_refused(text: str) -> None:
    with pytest.raises(UnknownFormat):
        UidlFormat(text)


# Dovecot's list


HEADER = b"3 V1795940242 N9 G0123456789abcdef0123456789abcdef\n"


def dovecot(
    content: bytes, *names: bytes, wanted: str = "", header: Mapping[bytes, bytes] | None = None
) -> OldList:
    wanted_format = UidlFormat(wanted) if wanted else None
    return dovecot_list(content, present(*names), wanted_format, header or {})


def test_dovecots_list_is_in_the_order_of_uids_and_leaves_out_what_is_gone() -> None:
    content = HEADER + b"1 W23 :1.a\n2 :9.gone:2,S\n3 S1 W2 :0.b:2,S\n"
    old = dovecot(content, b"1.a", b"0.b:2,FS", b"5.not-announced")
    assert pairs(old) == [(b"1.a", b"000000016b0bdf92"), (b"0.b", b"000000036b0bdf92")]
    assert old.gone == 1
    assert "%08Xu%08Xv, Dovecot's default" in old.evidence


def test_messages_with_an_order_come_first() -> None:
    content = HEADER + b"1 :1.a\n2 O7 :2.b\n3 O5 :3.c\n4 O7 :4.d\n"
    old = dovecot(content, b"1.a", b"2.b", b"3.c", b"4.d", wanted="%u")
    assert pairs(old) == [(b"3.c", b"3"), (b"2.b", b"2"), (b"4.d", b"4"), (b"1.a", b"1")]
    assert old.evidence == "%u as --uidl-format says"


def test_saved_unique_ids_and_guids_count_and_an_empty_one_is_the_name() -> None:
    content = HEADER + b"1 Psaved :1.a\n2 P :2.b\n3 Gguid W1 :3.c\n4 :4.d\n"
    old = dovecot(content, b"1.a", b"2.b", b"3.c", b"4.d", wanted="%g")
    assert pairs(old) == [(b"1.a", b"saved"), (b"2.b", b"2.b"), (b"3.c", b"guid"), (b"4.d", b"4.d")]
    assert old.evidence == "2 saved by Dovecot; %g as --uidl-format says"


def test_the_format_that_saved_unique_ids_show_is_used_for_the_others() -> None:
    old = dovecot(HEADER + b"1 P1795940242.1 :1.a\n2 :2.b\n", b"1.a", b"2.b")
    assert pairs(old)[1] == (b"2.b", b"1795940242.2")
    assert old.evidence == "1 saved by Dovecot; %v.%u as these show"
    old = dovecot(HEADER + b"1 PUID7-9 :1.a\n2 :2.b\n", b"1.a", b"2.b")
    assert pairs(old)[1] == (b"2.b", b"000000026b0bdf92")
    assert dovecot(HEADER + b"1 Px :1.a\n", b"1.a").evidence == "1 saved by Dovecot"


def test_unique_ids_that_are_alike_get_numbers_as_dovecot_gives_them() -> None:
    content = HEADER + b"1 Px :1.a\n2 :2.b\n3 Px :3.c\n4 Px-2 :4.d\n"
    old = dovecot(content, b"1.a", b"2.b", b"3.c", b"4.d", header={b"2.b": b"x"})
    assert [unique_id for _, unique_id in pairs(old)] == [b"x", b"x-2", b"x-3", b"x-2-2"]
    assert old.renamed == 3


def test_of_two_records_of_one_name_the_later_holds() -> None:
    assert pairs(dovecot(HEADER + b"1 :1.a\n2 :2.b\n3 :1.a:2,S\n", b"1.a", b"2.b", wanted="%u")) == [
        (b"2.b", b"2"),
        (b"1.a", b"3"),
    ]


def test_a_last_line_without_an_end_is_not_there_yet() -> None:
    assert pairs(dovecot(HEADER + b"1 :1.a\n2 :2.", b"1.a", b"2.", wanted="%u")) == [(b"1.a", b"1")]


def test_the_first_version_of_dovecots_list_is_read() -> None:
    assert is_dovecot(b"1 1795940242 9\n3 1.a\n")
    assert pairs(dovecot(b"1 1795940242 9\n3 1.a:2,S\n", b"1.a")) == [(b"1.a", b"000000036b0bdf92")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"3 V1 N1", "cut off in its first line"),
        (b"3\n", "line 1 is no header"),
        (b"3 N5\n", "line 1 is no header"),
        (b"3 V0 N5\n", "line 1 is no header"),
        (b"3 Vx N5\n", "line 1 is no header"),
        (b"2 V1 N5\n", "line 1 is no header"),
        (b"3 V99999999999\n", "line 1 is no header"),
        (b"\0\0\0\0\n", "line 1 is no header"),
        (HEADER + b"1 :1.a\nrubbish\n", "line 3 is no record"),
        (HEADER + b"1 :../1.a\n", "line 2 is no record"),
        (HEADER + b"1 :1\0a\n", "line 2 is no record"),
        (HEADER + b"1 :\n", "line 2 is no record"),
        (HEADER + b"1 :" + b"x" * 256 + b"\n", "line 2 is no record"),
        (HEADER + b"1 :" + b"x" * 10_000_000 + b"\n", "line 2 is no record"),
        (HEADER + b"-1 :1.a\n", "line 2 is no record"),
        (HEADER + b"0 :1.a\n", "line 2 has the UID 0"),
        (HEADER + b"2 :1.a\n2 :2.b\n", "line 3 has the UID 2 after 2"),
        (HEADER + b"4294967296 :1.a\n", "line 2 has the UID 4294967296"),
        (HEADER + b"1 Ox :1.a\n", "line 2 has an order"),
        (HEADER + b"\n", "line 2 is no record"),
    ],
    ids=lambda value: repr(value[:40]),
)
def test_a_damaged_list_of_dovecots_is_refused_with_its_line(content: bytes, says: str) -> None:
    with pytest.raises(Unusable, match=says):
        dovecot(content, b"1.a")


# Courier's list


def test_couriers_list_is_in_the_order_of_names_and_skips_what_courier_skips() -> None:
    content = (
        b"/3 9 1234567\n2.b:2,S 10 7:1234567:0\n10.c 10 8:0:1\nrubbish\n1.a b'+ 10 0:0:0\n"
        b"3.d 10 9:1234567:0\n9.gone 1 2:3:0\n5.cut 1 2:3"
    )
    old = courier_list(content, present(b"10.c:2,", b"2.b", b"1.a b'+:2,S", b"3.d", b"5.cut"))
    assert pairs(old) == [
        (b"1.a b'+", b"1.a+20b+27+2B"),
        (b"2.b", b"UID7-1234567"),
        (b"3.d", b"UID9-1234567"),
        (b"10.c", b"UID8"),
    ]
    assert (old.gone, old.skipped) == (1, 1)


def test_older_versions_of_couriers_list_are_read() -> None:
    assert pairs(courier_list(b"/2 9 5\n1.a 10 7:5\n", present(b"1.a"))) == [(b"1.a", b"UID7-5")]
    old = courier_list(b"1.a 7\nrubbish\n", present(b"1.a"))
    assert pairs(old) == [(b"1.a", b"UID7")]
    assert "no header" in old.evidence


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"/3 1 2", "cut off in its first line"),
        (b"/4 1 2\n", "line 1 is no header"),
        (b"/3\n1.a 1 2:3:0\n", "line 1 is no header"),
        (b"/3 1 2\n\0\0\0\n" + b"x" * 10_000_000 + b"\n", "no other line is"),
        (b"\x89PNG\r\n\n", "no other line is"),
    ],
)
def test_a_foreign_file_is_no_list_of_couriers(content: bytes, says: str) -> None:
    with pytest.raises(Unusable, match=says):
        courier_list(content, present(b"1.a"))


# Names, and other lists


def test_unique_ids_of_qmail_are_the_names_in_the_order_of_mtimes() -> None:
    old = names_list({b"1.a": 9, b"3.c": 5, b"2.b": 5})
    assert old.messages == [OldMessage(part, part) for part in (b"2.b", b"3.c", b"1.a")]


def test_a_list_of_names_may_have_tabs_or_spaces_and_what_a_server_adds() -> None:
    content = b"+OK\r\n2.b:2,S\tone two\r\n1.a b x\r\n3.c\t\r\n\r\n9.gone y\r\n.\r\n"
    old = named_list(content, present(b"1.a b", b"2.b:2,", b"3.c"))
    assert pairs(old) == [(b"2.b", b"one two"), (b"1.a b", b"x"), (b"3.c", b"")]
    assert old.gone == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"1.a x\n\n../1.a y\n", "line 3 is not"),
        (b"1.a x\nalone\n", "line 2 is not"),
        (b"1.a x\n1.a\0 y\n", "line 2 is not"),
        (b"1.a x\n" + b"y" * 10_000_000, "line 2 is not"),
        (b"1.a x\n2.b y\n1.a:2,S z\n", "line 3 is about the same message as line 1"),
        (b"1 first\n2 second\n", "UIDL list, which does not tell"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_a_list_that_cannot_be_used_is_refused_with_its_line(content: bytes, says: str) -> None:
    with pytest.raises(Unusable, match=says):
        named_list(content, present(b"1.a"))


def test_a_list_of_numbers_is_matched_by_octets_and_by_nothing_less() -> None:
    content = b"+OK\r\n10 j 99\r\n2 b 20\r\n3 c 30\r\n4 d 30\r\n1 a 10\r\n5 e 50\r\n.\r\n"
    assert is_numbered(content)
    assert not is_numbered(b"1.a x\n")
    assert not is_numbered(b"")
    octets = [(b"1.a", 10), (b"2.b", 20), (b"3.c", 30), (b"4.d", 30), (b"5.e", 50), (b"5.f", 50)]
    old = numbered_list(content, octets)
    assert pairs(old) == [(b"1.a", b"a"), (b"2.b", b"b")]
    assert (old.gone, old.unmatched) == (1, 3)


# Which file is which, and what is no file


def test_files_are_known_by_their_first_lines() -> None:
    assert is_dovecot(HEADER)
    assert not is_dovecot(b"3 times\n")
    assert not is_dovecot(b"/3 1 2\n")
    assert is_courier(b"/3 1 2\n")
    assert not is_courier(HEADER)


def a_link(path: Path) -> None:
    path.with_name("target").write_bytes(HEADER)
    path.symlink_to("target")


@pytest.mark.parametrize(("put", "error"), [(os.mkfifo, Unusable), (Path.mkdir, Unusable), (a_link, OSError)])
def test_only_a_regular_file_is_read(
    put: Callable[[Path], None], error: type[Exception], tmp_path: Path
) -> None:
    put(tmp_path / "list")
    with pytest.raises(error):
        read_whole(str(tmp_path / "list"))


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pop3_service.old_unique_ids.old_list, "LARGEST_OCTETS", 3)
    (tmp_path / "list").write_bytes(b"1234")
    with pytest.raises(Unusable, match="over 3 octets"):
        read_whole(str(tmp_path / "list"))
