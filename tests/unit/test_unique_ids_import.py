"""`unique-ids import`: what it writes, what it says, and what it refuses."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pop3_service import __main__
from pop3_service.maildir import Maildirs
from pop3_service.maildir.folder import Folder
from pop3_service.old_unique_ids import command
from pop3_service.old_unique_ids.importing import Importer
from support.maildir_files import at, ordinary_user

DOVECOT = b"3 V1795940242 N9 G0123456789abcdef0123456789abcdef\n"
COURIER = b"/3 9 1234567\n"
LONG = b"9." + b"x" * 100
OLD = 1_000_000_000


class Site:
    """A mail directory, and the import run in this process."""

    def __init__(self, mail: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.mail = mail
        self._capsys = capsys

    def user(self, name: str, *messages: str) -> Path:
        """Make a user's maildir with messages, each of as many octets as its place."""
        maildir = self.mail / name
        for folder in ("new", "cur", "tmp"):
            (maildir / folder).mkdir(parents=True)
        for number, message in enumerate(messages, 1):
            (maildir / ("cur" if ":" in message else "new") / message).write_bytes(b"a" * number + b"\n")
        return maildir

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run the import; return its exit code and what it printed."""
        code = command.main(["import", *arguments])
        return code, self._capsys.readouterr().out

    def report(self, *arguments: str) -> dict[str, Any]:
        """Run the import; return the report about the only user."""
        _, text = self.run("--json", *arguments)
        (report,) = json.loads(text)["users"]
        assert isinstance(report, dict)
        return report

    def fail(self, *arguments: str) -> str:
        """Run an import that fails for the only user; return the reason."""
        report = self.report(*arguments)
        assert (report["outcome"], report["is_well"]) == ("failed", False)
        assert not list(self.mail.rglob(".peep-unique-ids*"))
        return str(report["reason"])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    monkeypatch.setenv("PEEP_MAIL_DIR", str(tmp_path / "mail"))
    (tmp_path / "mail").mkdir()
    return Site(tmp_path / "mail", capsys)


def copy_of(maildir: Path) -> bytes:
    return (maildir / "peep-unique-ids").read_bytes()


def unique_ids(maildir: Path) -> list[bytes]:
    return [message.unique_id for message in Maildirs().scan(at(maildir)).messages]


# All is well


def test_all_users_below_the_mail_directory_are_imported_and_summed_up(site: Site) -> None:
    alice = site.user("alice", "1.a:2,S", "2.b", "3.c")
    (alice / "dovecot-uidlist").write_bytes(DOVECOT + b"1 :1.a\n2 :2.b\n7 :gone\n")
    bob = site.user("bob", "1.a:2,S")
    (bob / "courierpop3dsizelist").write_bytes(COURIER + b"1.a:2,S 3 7:5:0\n")
    site.user("carol")
    site.user(".hidden", "1.a")
    (site.mail / "lost+found").mkdir()
    (site.mail / "file").write_bytes(b"")
    code, text = site.run()
    assert code == 0
    lines = text.splitlines()
    assert lines[0] == (
        "alice  2 of 3 messages keep their unique-ids (written); 1 more follow with Peep's; 1 of the old"
        " server's messages gone; from dovecot-uidlist: %08Xu%08Xv, Dovecot's default (check it with"
        " `doveconf pop3_uidl_format`; see --uidl-format)"
    )
    assert lines[1].startswith(
        "bob  1 of 1 messages keep their unique-ids (written); from courierpop3dsizelist: "
    )
    assert lines[2] == "carol  no messages: nothing to do"
    assert lines[3:] == ["3 users: 2 written, 1 no messages; 3 of 4 messages keep their unique-ids"]
    assert copy_of(alice) == b"1.a\t000000016b0bdf92\n2.b\t000000026b0bdf92\n"
    assert unique_ids(alice) == [b"000000016b0bdf92", b"000000026b0bdf92", b"3.c"]
    assert copy_of(bob) == b"1.a\tUID7-5\n"


def test_an_import_can_be_run_again_and_dry_first(site: Site) -> None:
    alice = site.user("alice", "1.a", "2.b")
    (alice / "dovecot-uidlist").write_bytes(DOVECOT + b"1 :1.a\n2 :2.b\n")
    assert site.report("--dry-run")["outcome"] == "would be written"
    assert not (alice / "peep-unique-ids").exists()
    assert site.report()["outcome"] == "written"
    (alice / "new" / "1.a").unlink()  # by a client, over Peep
    assert site.report() == site.report("alice")
    assert site.report()["outcome"] == "already there"
    assert copy_of(alice).startswith(b"1.a\t")


def test_another_copy_is_only_replaced_when_that_is_asked_for(site: Site) -> None:
    alice = site.user("alice", "1.a")
    (alice / "dovecot-uidlist").write_bytes(DOVECOT + b"1 :1.a\n")
    site.run()
    assert "--replace" in site.fail("--uidl-format", "%v.%u")
    assert copy_of(alice) == b"1.a\t000000016b0bdf92\n"
    assert site.report("--uidl-format", "%v.%u", "--replace")["outcome"] == "written"
    assert copy_of(alice) == b"1.a\t1795940242.1\n"
    (alice / "peep-unique-ids").write_bytes(b"1.a\t1795940242.1\ngarbage\n")
    assert "--replace" in site.fail("--uidl-format", "%v.%u")


def test_maildirs_are_found_by_the_layout(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEEP_MAILDIR_LAYOUT", "{domain}/{local}/Maildir")
    for path in (
        "example.org/ann/Maildir",
        "example.org/no-maildir",
        "example.net/bob/Maildir",
        "a b/c/Maildir",
    ):
        (site.mail / path).mkdir(parents=True)
    _, text = site.run()
    assert [line.split("  ")[0] for line in text.splitlines()[:-1]] == ["bob@example.net", "ann@example.org"]


def test_names_are_the_unique_ids_in_the_order_of_mtimes(site: Site) -> None:
    alice = site.user("alice", "1.a:2,S", "2.b", LONG.decode())
    (alice / "new" / "folder").mkdir()
    for number, path in enumerate(
        [alice / "new" / "2.b", alice / "new" / LONG.decode(), alice / "cur" / "1.a:2,S"]
    ):
        os.utime(path, (number, number))
    report = site.report("--from", "names")
    assert copy_of(alice) == b"2.b\t2.b\n" + LONG + b"\t\n1.a\t1.a\n"
    assert (report["kept"], report["outside"], report["is_well"]) == (2, 1, False)
    assert unique_ids(alice)[0] == b"2.b"


def test_a_file_elsewhere_is_read_in_the_form_that_it_has(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = site.user("alice", "1.a:2,S", "2.b")
    monkeypatch.chdir(tmp_path)
    contents = {
        DOVECOT + b"1 :2.b\n": b"2.b\t000000016b0bdf92\n",
        COURIER + b"2.b 1 7:5:0\n": b"2.b\tUID7-5\n",
        b"2.b\tx\n1.a y\n": b"2.b\tx\n1.a\ty\n",
        b"1 x 4\n2 y 3\n3 z 9\n": b"2.b\tx\n1.a\ty\n",
    }
    for content, copied in contents.items():
        (tmp_path / "alice.list").write_bytes(content)
        assert site.report("--from", "{user}.list", "--replace")["outcome"] == "written"
        assert copy_of(alice) == copied


def test_an_x_uidl_in_the_header_counts_where_dovecot_used_it(site: Site) -> None:
    alice = site.user("alice", "1.a", "2.b:2,S", "3.c", "4.d")
    (alice / "new" / "1.a").write_bytes(b"Subject: a\nx-uidl:  from-before \n\nX-UIDL: body\n")
    (alice / "cur" / "2.b:2,S").write_bytes(b"Subject: b\r\n\r\nX-UIDL: body\r\n")
    (alice / "new" / "3.c").write_bytes(b"X-UIDL:\n\n")
    (alice / "new" / "4.d").unlink()
    (alice / "new" / "4.d").mkdir()  # no message, whatever it is called
    (alice / "dovecot-uidlist").write_bytes(DOVECOT + b"1 :1.a\n2 :2.b\n3 :3.c\n4 :4.d\n")
    site.report("--reuse-x-uidl", "--uidl-format", "%u")
    assert copy_of(alice) == b"1.a\tfrom-before\n2.b\t2\n3.c\t3\n"


def test_the_newer_of_two_servers_files_counts_and_that_is_said(site: Site) -> None:
    alice = site.user("alice", "1.a")
    (alice / "dovecot-uidlist").write_bytes(DOVECOT + b"1 :1.a\n")
    (alice / "courierpop3dsizelist").write_bytes(COURIER + b"1.a 1 7:5:0\n")
    assert "say --from dovecot or --from courier" in site.fail()
    os.utime(alice / "courierpop3dsizelist", (OLD, OLD))
    report = site.report("--dry-run")
    assert (report["source"], "30 days older" in report["note"]) == ("dovecot-uidlist", True)
    assert "30 days older" in site.run("--dry-run")[1]
    assert site.report("--from", "courier", "--dry-run")["source"] == "courierpop3dsizelist"
    (alice / "courierimapuiddb").write_bytes(b"1 5 9\n")
    (alice / "dovecot-uidlist").unlink()
    report = site.report("--from", "auto")
    assert (report["source"], "nobody seems to use POP3" in report["note"]) == ("courierpop3dsizelist", True)


def test_a_server_that_announced_nothing_leaves_nothing_to_write(site: Site) -> None:
    alice = site.user("alice", "1.a")
    (alice / "dovecot-uidlist").write_bytes(DOVECOT)
    code, text = site.run()
    assert code == 0
    assert text.startswith("alice  none of 1 messages was announced")
    assert not (alice / "peep-unique-ids").exists()


# Not all is well


def test_messages_that_lose_their_unique_id_are_counted_and_keep_their_place(site: Site) -> None:
    alice = site.user("alice", "1.a", "2.b", "3.c", "4.d", "5.e")
    ours = b":0123456789012345678901234567890123456789"
    lines = [b"5.e\tsp ace", b"4.d\tsame", b"3.c\tsame", b"2.b\t" + ours, b"1.a\tgood"]
    (site.mail / "list").write_bytes(b"".join(line + b"\n" for line in lines))
    code, text = site.run("--from", str(site.mail / "list"), "alice")
    assert code == 1
    assert text.startswith("alice  2 of 5 messages keep their unique-ids (written); 2 GET PEEP'S: RFC 1939")
    assert "1 GET PEEP'S: another message has the old unique-id" in text
    assert "LOOK AT 1" in text
    assert copy_of(alice) == b"5.e\t\n4.d\tsame\n3.c\t\n2.b\t\n1.a\tgood\n"
    assert unique_ids(alice) == [b"5.e", b"same", b"3.c", b"2.b", b"good"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("dovecot-uidlist", b"", "dovecot-uidlist: it is empty"),
        ("dovecot-uidlist", DOVECOT + b"1 :1.a\nrubbish\n", "dovecot-uidlist: line 3 is no record"),
        ("dovecot-uidlist", DOVECOT + b"1 :../../bob/cur/1.a\n", "dovecot-uidlist: line 2 is no record"),
        ("courierpop3dsizelist", b"\x89PNG\r\n\n", "courierpop3dsizelist: line 1 is no record"),
        ("dovecot-uidlist", DOVECOT + b"1 :9.z\n", "none of its messages is recognised in this maildir"),
    ],
)
def test_a_damaged_file_is_reported_with_its_line_and_nothing_is_written(
    name: str, content: bytes, reason: str, site: Site
) -> None:
    alice = site.user("alice", "1.a")
    (alice / name).write_bytes(content)
    assert reason in site.fail()
    assert sorted(path.name for path in alice.iterdir()) == sorted(["cur", "new", "tmp", name])
    assert (alice / name).read_bytes() == content


def a_link(path: Path) -> None:
    path.with_name("target").write_bytes(DOVECOT + b"1 :1.a\n")
    path.symlink_to("target")


@pytest.mark.parametrize("put", [os.mkfifo, Path.mkdir, a_link])
def test_what_is_in_place_of_the_old_servers_file_is_not_read(
    put: Callable[[Path], None], site: Site
) -> None:
    path = site.user("alice", "1.a") / "dovecot-uidlist"
    put(path)
    assert site.fail("alice").startswith("dovecot-uidlist: ")
    assert not path.with_name("peep-unique-ids").exists()


def test_maildirs_that_cannot_be_imported_are_told_apart(site: Site) -> None:
    assert site.fail("nobody") == "there is no such maildir"
    site.user("alice", "1.a")
    assert "--from names is for servers whose unique-ids are the files' names" in site.fail()
    assert site.fail("--from", "/nowhere", "alice") == "/nowhere is not there"
    assert site.fail("../alice") == "not a user name that may become a folder"
    (site.mail / "bob").symlink_to("alice")
    assert "symbolic link" in site.fail("bob")


def test_a_maildir_that_cannot_be_written_to_is_reported(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with ordinary_user() as maildir:
        (maildir / "new" / "1.a").write_bytes(b"a\n")
        monkeypatch.setenv("PEEP_MAIL_DIR", str(maildir.parent))
        maildir.chmod(0o500)
        report = site.report("--from", "names", maildir.name)
    assert (report["outcome"], report["reason"]) == ("failed", "Permission denied")


def test_a_maildir_that_changes_all_the_time_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = site.user("alice", "1.a")
    real_names = Folder.names

    def list_then_deliver(folder: Folder) -> list[bytes]:
        names = real_names(folder)
        count = len(list((alice / "new").iterdir()))
        (alice / "new" / f"{count}.more").write_bytes(b"")
        os.utime(alice / "new", (count, count))
        return names

    monkeypatch.setattr(Folder, "names", list_then_deliver)
    assert "keeps changing" in site.fail("--from", "names")


# The command line


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["export"],
        ["import", "--uidl-format", "%q"],
        ["import", "--from", "/some/list"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], site: Site) -> None:
    site.user("alice", "1.a")
    site.user("bob", "1.a")
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2


def test_wrong_settings_end_with_2(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEEP_MAILDIR_LAYOUT", "nobody")
    assert site.run()[0] == 2
    monkeypatch.delenv("PEEP_MAILDIR_LAYOUT")
    monkeypatch.setenv("PEEP_MAIL_DIR", "/nowhere")
    assert site.run()[0] == 2


def test_no_user_at_all_is_not_well(site: Site) -> None:
    look = "look at PEEP_MAIL_DIR and PEEP_MAILDIR_LAYOUT"
    assert site.run() == (1, f"0 users: none found: {look}; 0 of 0 messages keep their unique-ids\n")


def test_folders_of_another_layout_are_no_maildirs(site: Site) -> None:
    (site.mail / "example.org" / "alice" / "cur").mkdir(parents=True)
    code, text = site.run()
    assert code == 1
    assert "example.org  NOTHING WRITTEN: it has neither new nor cur: look at PEEP_MAIL_DIR and" in text


def test_an_interrupted_import_says_that_it_can_be_run_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(importer: Importer, username: str) -> NoReturn:
        raise KeyboardInterrupt

    site.user("alice", "1.a")
    monkeypatch.setattr(Importer, "run", interrupt)
    assert command.main(["import"]) == 130
    assert "run the import again" in capsys.readouterr().err


def test_on_a_terminal_progress_is_shown(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.user("alice")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("sys.argv", ["pop3_service", "unique-ids", "import"])
    assert __main__.main() == 0
    assert "1 of 1 users" in capsys.readouterr().err
