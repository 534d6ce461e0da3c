"""The Debian package on a host with systemd: installed, used with Postfix, upgraded under clients, purged."""

from collections.abc import Iterator

import pytest

from support.certificates import Authority
from support.debian_package import HOST_NAME, VERSION, DebianHost, PackageBuilder
from support.documentation import commands
from support.pop3_process import wait_until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

NEXT_VERSION = f"{VERSION}.1"
SERVICES = ("peep-pop3.service", "peep-gateway.service", "peep-state-api.service")
SOCKETS = ("peep-pop3.socket", "peep-pop3s.socket", "peep-gateway.socket", "peep-state-api.socket")
UNITS = ("peep.target", "peep-store.service", *SERVICES, *SOCKETS)
CLIENTS = 50
DELIVERY_SECONDS = 60


@pytest.fixture(scope="module")
def host(
    builder: PackageBuilder, package: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DebianHost]:
    """Give a host with the package, which was installed as docs/install.md says."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority()
    certificate, key = authority.issue(folder, HOST_NAME)
    host = DebianHost()
    try:
        host.put(
            "/root",
            {
                f"peep_{VERSION}.deb": builder.read(package),
                "fullchain.pem": certificate.read_bytes(),
                "privkey.pem": key.read_bytes(),
                "authority.pem": authority.ca_file(folder).read_bytes(),
            },
        )
        host.type_in(commands("install.md", "a Debian host"))
        yield host
    finally:
        host.remove()


def test_lintian_finds_no_error(builder: PackageBuilder, package: str) -> None:
    assert builder.type_in(f"lintian --allow-root --fail-on none --tag-display-limit 0 {package}") == ""


def test_it_asks_for_the_python_and_the_architecture_that_it_was_made_for(
    builder: PackageBuilder, package: str
) -> None:
    depends = builder.type_in(f"dpkg-deb --field {package} Depends").strip().split(", ")
    minor = int(builder.type_in("/usr/bin/python3 -c 'import sys; print(sys.version_info.minor)'"))
    assert {f"python3 (>= 3.{minor}~)", f"python3 (<< 3.{minor + 1}~)", "redis-server | valkey-server"} < set(
        depends
    )
    other = builder.changed(package, "Architecture", "s390x")
    refused = builder.result(f"dpkg --install {other}")
    assert refused.returncode != 0
    assert "package architecture (s390x) does not match system" in refused.stderr


def test_what_is_installed_serves_at_once(host: DebianHost) -> None:
    states = {unit: host.property(unit, "ActiveState") for unit in UNITS}
    assert states == dict.fromkeys(UNITS, "active")
    assert host.type_in(f"systemctl is-enabled {' '.join(UNITS)}").split() == ["enabled"] * len(UNITS)
    for service in SERVICES:
        assert host.property(service, "User") == "peep"
    # It has made itself a certificate, so no password need cross the network in the clear.
    said = "exec 3<>/dev/tcp/127.0.0.1/110; printf 'USER ann\\r\\nQUIT\\r\\n' >&3; cat <&3"
    assert "-ERR no passwords in the clear here" in host.type_in(said)
    assert "+OK" in host.type_in("curl --silent --insecure --verbose pop3s://127.0.0.1/ 2>&1 || true")


def test_secrets_are_for_root_and_the_services_alone(host: DebianHost) -> None:
    shown = host.type_in("stat --format='%n %U:%G %a' /etc/peep/* /var/mail/peep /var/lib/peep/store")
    assert dict(line.split(" ", 1) for line in shown.splitlines()) == {
        "/etc/peep/admins": "root:root 600",
        "/etc/peep/peep.env": "root:root 640",
        "/etc/peep/tls.crt": "root:root 644",
        "/etc/peep/tls.key": "root:peep 640",
        "/var/mail/peep": "peep:peep 2750",
        "/var/lib/peep/store": "peep:peep 700",
    }
    refused = host.result(
        "setpriv --reuid=nobody --regid=nogroup --clear-groups redis-cli -s /run/peep-store/store.sock ping"
    )
    assert "Permission denied" in refused.stdout + refused.stderr


def test_mail_by_postfix_is_fetched_over_port_995(host: DebianHost) -> None:
    host.type_in(commands("install.md", "a certificate on a Debian host"))
    host.type_in(commands("install.md", "mail by Postfix on a Debian host"))
    wait_until(
        lambda: bool(host.type_in("find /var/mail/peep/ann@example.org/new -type f 2>/dev/null || true")),
        "the mail is delivered",
        DELIVERY_SECONDS,
    )
    fetched = host.type_in(commands("install.md", "the first mail of a Debian host"))
    assert "\nSubject: hello\n" in fetched
    assert fetched.endswith("\n\nThe first mail.\n")


def test_upgrade_refuses_none_of_fifty_clients_and_keeps_the_settings(
    host: DebianHost, builder: PackageBuilder, package: str
) -> None:
    host.type_in(commands("install.md", "a certificate on a Debian host"))
    users = "".join(f"user{number}@example.org:secret\n" for number in range(CLIENTS))
    host.put("/root", {"users": users.encode()})
    host.type_in("chmod 600 users && peepctl users add --from users")
    host.type_in("echo 'PEEP_LOG_LEVEL=warning' >>/etc/peep/peep.env")
    later = builder.changed(package, "Version", NEXT_VERSION)
    host.put("/root", {f"peep_{NEXT_VERSION}.deb": builder.read(later)})
    processes = [host.property(service, "MainPID") for service in SERVICES]
    store = host.property("peep-store.service", "MainPID")

    with host.fetching("example.org", "secret", CLIENTS) as seen:
        host.type_in(f"apt-get install ./peep_{NEXT_VERSION}.deb")
    (fetching,) = seen
    assert fetching.faults == []
    assert fetching.sessions > 2 * CLIENTS
    assert host.type_in("dpkg-query --show --showformat='${Version}' peep") == NEXT_VERSION
    assert not set(processes) & {host.property(service, "MainPID") for service in SERVICES}
    assert host.property("peep-store.service", "MainPID") == store
    assert host.type_in("tail -n 1 /etc/peep/peep.env") == "PEEP_LOG_LEVEL=warning\n"


def test_backup_brings_users_settings_and_mail_back(host: DebianHost) -> None:
    maildir = "/var/mail/peep/back@example.org"
    mail = f"{maildir}/new/1.mail.host"
    host.type_in(
        f"install -d -o peep -g peep {maildir} {maildir}/new"
        f" && install -o peep -g peep -m 600 /dev/stdin {mail} <<<'Subject: back'"
    )
    host.type_in("printf 'secret\\n' | peepctl users add back@example.org && peepctl set timeout 700")
    kept = host.type_in(f"sha256sum /etc/peep/* {mail}")
    host.type_in(commands("backup.md", "backup on a Debian host"))
    host.type_in("peepctl users remove back@example.org --yes && peepctl set timeout 800")
    host.type_in(f"rm {mail} /etc/peep/tls.key")
    host.type_in(commands("backup.md", "restore on a Debian host"))
    assert host.type_in(f"sha256sum /etc/peep/* {mail}") == kept
    assert host.type_in("stat --format=%U:%G /etc/peep/tls.key") == "root:peep\n"
    assert host.type_in("peepctl get timeout") == "700\n"
    assert "back@example.org" in host.type_in("peepctl users list").split()
    fetched = host.type_in(
        "curl --silent --show-error --user back@example.org:secret pop3s://mail.example.org/1"
    )
    assert "Subject: back" in fetched


def test_wrong_setting_is_named_and_leaves_dpkg_in_order(host: DebianHost) -> None:
    host.type_in("cp /etc/peep/peep.env /root/right.env && echo 'PEEP_LOGIN_DELAY=soon' >>/etc/peep/peep.env")
    done = host.result("apt-get install --reinstall ./$(ls -t peep_*.deb | head -n 1)")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Peep: peep-pop3.service does not run; the reason is in: journalctl --unit peep-pop3.service" in (
        done.stdout + done.stderr
    )
    assert "PEEP_LOGIN_DELAY=soon: input should be a valid integer" in host.type_in(
        "journalctl --unit peep-pop3.service"
    )
    assert "PEEP_LOGIN_DELAY=soon" in host.result("systemctl status peep-pop3.service").stdout
    assert host.type_in("dpkg --audit") == ""
    host.type_in("mv /root/right.env /etc/peep/peep.env && systemctl restart peep-pop3.service")
    assert host.property("peep-pop3.service", "ActiveState") == "active"


def test_purge_leaves_the_mail_and_nothing_else(host: DebianHost) -> None:
    host.type_in(
        "install -d -o peep -g peep /var/mail/peep/kept/new"
        " && install -o peep -g peep -m 600 /dev/stdin /var/mail/peep/kept/new/1.mail.host <<<'Subject: kept'"
    )
    before = host.type_in(
        "find /var/mail/peep -type f ! -name '.peep-deployment*' -exec sha256sum {} + | sort"
    )
    host.type_in("apt-get purge peep")
    assert host.type_in("find /var/mail/peep -type f -exec sha256sum {} + | sort") == before != ""
    assert host.type_in("stat --format=%U:%G /var/mail/peep/kept/new/1.mail.host") == "peep:peep\n"
    others = " ".join(f"-path {path} -prune -o" for path in ("/proc", "/root", "/var/mail", "/etc/postfix"))
    assert host.type_in(f"find / -xdev {others} -iname '*peep*' -print") == ""
    assert host.type_in("systemctl list-units --all --plain --no-legend 'peep*'") == ""
    assert host.type_in("find /proc -maxdepth 1 -name '[0-9]*' -user peep") == ""
