"""The filter and the jail in deploy/fail2ban, tried by Debian's fail2ban on the service's own log."""

import base64
import configparser
import subprocess
from pathlib import Path

from support.clients import require
from support.pop3_process import Pop3Client, Pop3Process

FOLDER = Path(__file__).parents[2] / "deploy" / "fail2ban"
FILTER = FOLDER / "filter.d" / "peep-pop3.conf"


def connect(service: Pop3Process, address: str) -> Pop3Client:
    family, other = ("TCP6", "2001:db8::1") if ":" in address else ("TCP4", "198.51.100.1")
    return Pop3Client(service.address, header=f"PROXY {family} {address} {other} 4 110\r\n".encode())


def guess(service: Pop3Process, address: str, username: str) -> None:
    """Send a wrong password from an address."""
    with connect(service, address) as client:
        response = base64.b64encode(f"\0{username}\0hunter2".encode()).decode()
        assert client.ask(f"AUTH PLAIN {response}").startswith(b"-ERR [AUTH]")


def tried(log: Path, *options: str) -> str:
    """Return what fail2ban says of the filter and a log."""
    command = ["fail2ban-regex", *options, str(log), str(FILTER)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_filter_finds_the_address_of_every_new_wrong_password_and_nobody_elses(
    redis_url: str, tmp_path: Path
) -> None:
    require("fail2ban-regex")
    service_behind_a_proxy = Pop3Process(
        redis_url, tmp_path, PEEP_PROXY_PROTOCOL="1", PEEP_PROXY_TRUSTED="127.0.0.1"
    )
    with service_behind_a_proxy as service:
        username = service.add_user(b"Subject: x\n\nx\n")
        guess(service, "192.0.2.7", username)
        guess(service, "192.0.2.7", username)  # a stale password
        guess(service, "2001:db8:0:7::9", "nobody")
        guess(service, "192.0.2.8", '","reason":"unknown_user","address":"203.0.113.1"')
        guess(service, "192.0.2.9", '{"address":"203.0.113.1","reason":"unknown_user"')
        with connect(service, "192.0.2.6") as client:
            client.log_in(username).quit()
    found = tried(service.log, "--out", "ip")
    assert found.split() == ["192.0.2.7", "2001:db8:0:7::9", "192.0.2.8", "192.0.2.9"]
    assert " 4 matched" in tried(service.log)


def test_jail_uses_the_filter_and_says_what_fail2ban_needs() -> None:
    jail = configparser.ConfigParser(interpolation=None)
    jail.read(FOLDER / "jail.d" / "peep-pop3.conf")
    assert jail.sections() == [FILTER.stem]
    assert jail[FILTER.stem]["filter"] == FILTER.stem
    assert {"port", "logpath", "maxretry", "findtime", "bantime"} <= set(jail[FILTER.stem])
