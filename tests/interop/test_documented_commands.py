"""What docs/migrate.md tells an administrator to type, typed as it stands there, beside real old servers."""

import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.certificates import Authority
from support.clients import lack
from support.courier import courier_session, is_unpacked
from support.documentation import PAGES, commands
from support.dovecot import DovecotServer, is_installed
from support.mail_fetchers import Address
from support.old_mail import Announced, OldMaildir, announced
from support.peepctl_up import FREE_PORTS, Up
from support.pop3_process import Pop3Client, wait_until
from support.redis_kinds import free_ports
from support.terminal import Terminal, replaced

pytestmark = pytest.mark.timeout(180)

ALICE, BOB = "alice@example.org", "bob@example.org"
PASSWORDS = {ALICE: "hers-1", BOB: "his-2"}
"""What the old servers have as hashes."""

# Without it every command warns that this is lower than what others may need.
LIMIT = "service auth {\n  client_limit = 2000\n}"

MESSAGES = 7
Said = dict[str, list[Announced]]
UIDL_FORMAT = "%08Xu%08Xv"


def hashed(password: str) -> str:
    """Return the hash that Dovecot makes of a password."""
    command = ("doveadm", "pw", "-s", "SHA512-CRYPT", "-p", password)
    return subprocess.check_output(command, text=True, timeout=60).strip()


def listed(address: Address, username: str, tls: ssl.SSLContext | None = None) -> list[Announced]:
    """Return what a user's client sees."""
    with Pop3Client(address, tls=tls).log_in(username, PASSWORDS[username]) as client:
        return announced(client.ask_lines("UIDL"), client.ask_lines("LIST"))


def address_of(up: Up, name: str = "pop3") -> Address:
    """Return where a service of `make up` listens."""
    host, _, port = up.lines[name].rpartition(":")
    return host, int(port)


def write_known(site: "DovecotSite") -> None:
    """Write the passwords that an administrator knows."""
    known = site.terminal.folder / "known"
    known.touch(0o600)
    known.write_text("".join(f"{name}:{password}\n" for name, password in PASSWORDS.items()))


def block(path: str) -> str:
    """Return the file of this path that the page tells to write."""
    text = (PAGES / "migrate.md").read_text(encoding="utf-8")
    blocks: dict[str, str] = dict(re.findall(r"^```\n# (/\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    return blocks[path]


class DovecotSite:
    """Two users of a Dovecot, who have fetched their mail and kept it there, and a terminal beside it."""

    def __init__(self, dovecot: DovecotServer, terminal: Terminal) -> None:
        self.dovecot = dovecot
        self.terminal = terminal
        self.hidden_port = free_ports(1)[0]
        terminal.places |= {
            "/etc/dovecot": str(dovecot.folder),
            "/var/mail/vhosts": str(dovecot.mail),
            "127.0.0.1:110": f"127.0.0.1:{dovecot.address[1]}",
            "127.0.0.1:10110": f"127.0.0.1:{self.hidden_port}",
            "port = 10110": f"port = {self.hidden_port}",
            "pop3s://old.example.org": f"pop3://127.0.0.1:{dovecot.address[1]}",
        }

    def deliver(self) -> None:
        """Let each user get mail, fetch it, and lose some."""
        domain = self.dovecot.mail / "example.org"
        domain.mkdir()
        self.dovecot.hand_over(domain)
        for seed, username in enumerate(PASSWORDS):
            maildir = OldMaildir(domain / username.partition("@")[0], seed, self.dovecot.hand_over)
            for _ in range(2):
                maildir.deliver(MESSAGES)
                listed(self.dovecot.address, username)
                maildir.change(3)
                maildir.remove(1)

    def said(self) -> Said:
        """Return what Dovecot tells its users."""
        return {name: listed(self.dovecot.address, name) for name in PASSWORDS}

    def type(self, script: str) -> str:
        """Type commands of the page, with its settings loaded."""
        loaded = ""
        if (self.terminal.folder / "peep.env").exists():
            loaded = commands("migrate.md", "settings loaded")
        return self.terminal.type(loaded + script)

    def start(self, **others: str) -> None:
        """Start Peep with the settings of the page's file, on free ports."""
        lines = (self.terminal.folder / "peep.env").read_text().splitlines()
        self.terminal.start(**dict(line.split("=", 1) for line in lines) | FREE_PORTS | others)

    def configure(self, path: str) -> None:
        """Write a file of Dovecot's configuration that the page shows."""
        text = replaced(block(path), self.terminal.places)
        Path(replaced(path, self.terminal.places)).write_text(text)


@contextmanager
def dovecot_site(folder: Path, *settings: str) -> Iterator[DovecotSite]:
    """Give a Dovecot whose users are in a passwd-file."""
    if not is_installed():
        lack("Dovecot 2.3 with dovecot-pop3d")
    if os.geteuid() != 0:
        lack("the right to act as root")
    dovecot = DovecotServer(UIDL_FORMAT, maildir="%d/%n")
    users = dovecot.folder / "users"
    users.write_text("".join(f"{name}:{hashed(password)}\n" for name, password in PASSWORDS.items()))
    passwords = f"passdb {{\n  driver = passwd-file\n  args = {users}\n}}"
    (dovecot.folder / "conf.d" / "10-users.conf").write_text("\n".join([passwords, LIMIT, *settings, ""]))
    with dovecot, Terminal(folder, dovecot.environment) as terminal:
        yield DovecotSite(dovecot, terminal)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DovecotSite]:
    with dovecot_site(tmp_path / "peep") as site:
        site.deliver()
        yield site


def test_a_rehearsal_proves_for_all_users_that_clients_will_notice_nothing(site: DovecotSite) -> None:
    assert f"pop3_uidl_format = {UIDL_FORMAT}" in site.type(commands("migrate.md", "settings of Dovecot"))
    site.type(commands("migrate.md", "settings"))
    before = site.said()
    assert "2 users: 2 written" in site.type(commands("migrate.md", "rehearsal of unique-ids"))
    site.start(PEEP_MAIL_DIR=str(site.terminal.folder / "rehearsal"))
    assert re.search(r"added +2\n", site.type(commands("migrate.md", "rehearsal of users")))
    assert re.search(r"added +2\n", site.type(commands("migrate.md", "one password for all")))
    secret = (site.terminal.folder / "proof").read_text().split()[0].partition(":")[2]
    wait_until(lambda: site.dovecot.takes(ALICE, secret), "Dovecot takes the password for all")
    printed = site.type(commands("migrate.md", "rehearsal of the comparison"))
    assert printed.count("the same, in the same order\n") == 2
    assert "2 of 2 users have the same mail on both servers" in printed
    site.terminal.stop()
    site.type(commands("migrate.md", "end of the rehearsal"))
    wait_until(lambda: not site.dovecot.takes(ALICE, secret), "Dovecot takes it no more")
    assert sorted(path.name for path in site.terminal.folder.iterdir()) == [
        ".venv",
        "errors",
        "home",
        "peep.env",
    ]
    assert site.said() == before
    assert not list(site.dovecot.mail.rglob("*peep*"))


def test_the_site_changes_over_and_goes_back(site: DovecotSite, tmp_path: Path) -> None:
    site.type(commands("migrate.md", "settings"))
    before = site.said()
    with Pop3Client(site.dovecot.address).log_in(ALICE, PASSWORDS[ALICE]) as client:
        site.configure("/etc/dovecot/conf.d/99-peep-moving.conf")
        site.type(commands("migrate.md", "old server on another port"))
        assert re.search(f"^{ALICE} .*pop3", site.terminal.type("doveadm who 2>&1"), re.MULTILINE)
        site.terminal.type(f"doveadm kick {ALICE} 2>&1")
        client.rest()
    wait_until(lambda: site.dovecot.takes(ALICE, PASSWORDS[ALICE], site.hidden_port), "Dovecot is elsewhere")
    assert not site.dovecot.takes(ALICE, PASSWORDS[ALICE])
    assert "2 users: 2 written" in site.type(commands("migrate.md", "unique-ids"))
    site.start()
    assert re.search(r"added +2\n", printed := site.type(commands("migrate.md", "users")))
    assert printed.splitlines()[-1].strip() == "2"
    write_known(site)
    assert "2 of 2 users have the same mail" in site.type(commands("migrate.md", "comparison"))

    authority = Authority()
    site.terminal.stop()
    certificate, key = authority.issue(tmp_path, "localhost")
    site.terminal.places |= {
        "/etc/ssl/mail/fullchain.pem": str(certificate),
        "/etc/ssl/mail/privkey.pem": str(key),
    }
    site.type(commands("migrate.md", "public ports"))
    site.start(PEEP_POP3_HOST="127.0.0.1", PEEP_POP3S_PORT="0", PEEP_TLS_PORT="0")
    assert site.terminal.up is not None
    where, tls = address_of(site.terminal.up, "pop3s"), authority.client_context()
    assert {name: listed(where, name, tls) for name in PASSWORDS} == before
    assert re.search(r"logins so far +[1-9]", site.type(commands("migrate.md", "watch")))
    assert json.loads(site.type(commands("migrate.md", "hashes left")))["imported"] == 0
    with Pop3Client(where, tls=tls).log_in(ALICE, PASSWORDS[ALICE]) as client:
        assert client.ask("DELE 1").startswith(b"+OK")
        assert client.quit().startswith(b"+OK")
    see_that_it_goes_back(site, before | {ALICE: before[ALICE][1:]})


def see_that_it_goes_back(site: DovecotSite, before: Said) -> None:
    """Change a password, go back, and see that clients notice nothing and the new password is taken."""
    site.terminal.type(f"printf 'a-new-one\\n' | .venv/bin/peepctl users password {BOB}")
    site.type(commands("migrate.md", "back"))
    site.terminal.stop()
    wait_until(lambda: site.dovecot.takes(ALICE, PASSWORDS[ALICE]), "Dovecot has its port again")
    assert not site.dovecot.takes(BOB, "a-new-one")
    site.terminal.type(f"install -m 640 -g dovecot peep-users {site.dovecot.folder}/peep-users")
    site.configure("/etc/dovecot/conf.d/09-peep-passwords.conf")
    site.type(commands("migrate.md", "old server on another port"))  # it is the same command
    wait_until(lambda: site.dovecot.takes(BOB, "a-new-one"), "Dovecot takes Peep's list of users")
    assert site.said() == before
    assert len(list(site.dovecot.mail.rglob("peep-unique-ids"))) == 2


def test_users_come_from_anything_that_speaks_pop3(site: DovecotSite) -> None:
    before = site.said()
    write_known(site)
    old = site.terminal.places["pop3s://old.example.org"]
    site.terminal.start(PEEP_MOVE_FROM=old, PEEP_MAILDIR_LAYOUT="{domain}/{local}", PEEP_DEMO="0")
    printed = site.type(commands("migrate.md", "move"))
    assert "2 users moved" in printed
    assert "2 of 2 users have the same mail on both servers" in printed
    assert site.said() == before


def test_mail_that_is_no_maildir_becomes_one_with_its_unique_ids(tmp_path: Path) -> None:
    with dovecot_site(tmp_path / "peep", "mail_location = mdbox:~/mdbox") as site:
        for username in PASSWORDS:
            for number in range(MESSAGES):
                site.terminal.type(f"printf 'Subject: {number}\n\ntext\n' | doveadm save -u {username}")
        before = site.said()
        domain = site.dovecot.mail / "example.org"
        domain.mkdir()
        site.dovecot.hand_over(domain)
        site.type(commands("migrate.md", "mail into Maildirs"))
        site.type(commands("migrate.md", "settings"))
        assert "2 users: 2 written" in site.type(commands("migrate.md", "unique-ids"))
        site.start()
        site.type(commands("migrate.md", "users"))
        assert site.terminal.up is not None
        where = address_of(site.terminal.up)
        assert {name: listed(where, name) for name in PASSWORDS} == before


def test_a_site_on_courier_changes_over(tmp_path: Path) -> None:
    if not is_unpacked():
        lack("Courier (make courier)")
    with Terminal(tmp_path / "peep") as terminal:
        mail = tmp_path / "mail"
        (mail / "example.org").mkdir(parents=True)
        maildir = OldMaildir(mail / "example.org" / "alice", seed=1)
        maildir.deliver(MESSAGES)
        before = courier_session(maildir.path)
        userdb = f"{ALICE}\tuid=1000|gid=1000|home=/home/vmail|systempw={crypted(PASSWORDS[ALICE])}|mail=/x\n"
        (tmp_path / "userdb").write_text(userdb)
        terminal.places["/etc/courier"] = str(tmp_path)
        script = commands("migrate.md", "users and unique-ids of Courier")
        assert seen_after(terminal, mail, "{domain}/{local}", script) == before


def test_a_site_on_vpopmail_changes_over(tmp_path: Path) -> None:
    with Terminal(tmp_path / "peep") as terminal:
        mail = tmp_path / "domains"
        (mail / "example.org" / "alice").mkdir(parents=True)
        maildir = OldMaildir(mail / "example.org" / "alice" / "Maildir", seed=2)
        maildir.deliver(MESSAGES)
        line = f"alice:{crypted(PASSWORDS[ALICE])}:1:0:alice:{maildir.path.parent}:NOQUOTA\n"
        (mail / "example.org" / "vpasswd").write_text(line)
        terminal.places["/home/vpopmail/domains"] = str(mail)
        script = commands("migrate.md", "users and unique-ids of vpopmail")
        found = seen_after(terminal, mail, "{domain}/{local}/Maildir", script)
        files = sorted(maildir.files(), key=lambda file: file.stat().st_mtime)
        names = [file.name.partition(":")[0] for file in files]
        assert [each.unique_id.decode() for each in found] == names


def test_a_site_on_docker_mailserver_changes_over(tmp_path: Path) -> None:
    with dovecot_site(tmp_path / "peep") as site:
        site.deliver()
        before = site.said()[ALICE]
        config = site.terminal.folder / "docker-data" / "dms" / "config"
        config.mkdir(parents=True)
        accounts = "".join(f"{name}|{hashed(password)}\n" for name, password in PASSWORDS.items())
        (config / "postfix-accounts.cf").write_text(accounts)
        mail = config.parent / "mail-data"
        shutil.copytree(site.dovecot.mail, mail)
        script = commands("migrate.md", "users and unique-ids of docker-mailserver")
        assert seen_after(site.terminal, mail, "{domain}/{local}", script) == before


def crypted(password: str) -> str:
    """Return a weak hash, as old servers have them."""
    return subprocess.check_output(("openssl", "passwd", "-1", password), text=True, timeout=60).strip()


def seen_after(terminal: Terminal, mail: Path, layout: str, script: str) -> list[Announced]:
    """Type commands of the page where Peep serves this mail; return what Alice's client then sees."""
    settings = {"PEEP_MAIL_DIR": str(mail), "PEEP_MAILDIR_LAYOUT": layout}
    up = terminal.start(**settings)
    exported = "".join(f"export {key}='{value}'\n" for key, value in settings.items())
    printed = terminal.type(exported + script)
    assert re.search(r"added +[12]\n", printed)
    assert "LOOK AT" not in printed
    return listed(address_of(up), ALICE)
