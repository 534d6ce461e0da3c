import asyncio
import contextlib
import datetime as dt
import os
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from structlog.testing import capture_logs

from service_runtime import certificate as certificate_module
from service_runtime import certificates
from service_runtime.certificates import CertificateFiles
from service_runtime.errors import StartError
from support.certificates import Authority
from support.maildir_files import ordinary_user

DAY = 86_400.0
BROKEN = "-----BEGIN {0}-----\nAAAA\n-----END {0}-----\n"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def load(certificate: Path, key: Path | None) -> CertificateFiles:
    return CertificateFiles(str(certificate), None if key is None else str(key))


def refusal(certificate: Path, key: Path | None) -> str:
    with pytest.raises(StartError) as caught:
        load(certificate, key)
    return str(caught.value)


def written(path: Path, *parts: str | bytes) -> Path:
    path.write_bytes(b"".join(part.encode() if isinstance(part, str) else part for part in parts))
    return path


def shaken_hands(
    serving: ssl.SSLContext, connecting: ssl.SSLContext, name: str = "localhost"
) -> ssl.SSLObject:
    """Return the client's side of a TLS connection through memory, certificate and name verified."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    client = connecting.wrap_bio(to_client, to_server, server_hostname=name)
    for side in (client, server) * 3:
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return client


def refuses(serving: ssl.SSLContext, suites: str) -> bool:
    """Tell whether a client of TLS 1.2 with only these suites is refused."""
    connecting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    connecting.check_hostname = False
    connecting.verify_mode = ssl.CERT_NONE
    connecting.maximum_version = ssl.TLSVersion.TLSv1_2
    connecting.set_ciphers(suites)
    try:
        return shaken_hands(serving, connecting).cipher() is None
    except ssl.SSLError as error:
        return error.reason == "NO_SHARED_CIPHER"


@pytest.mark.parametrize("key_type", [trustme.KeyType.RSA, trustme.KeyType.ECDSA])
def test_tls_1_2_offers_no_suite_with_cbc(tmp_path: Path, key_type: trustme.KeyType) -> None:
    leaf = trustme.CA().issue_cert("localhost", key_type=key_type)
    both = written(tmp_path / "both.pem", leaf.private_key_and_cert_chain_pem.bytes())
    serving = load(both, None).context()
    offered = [suite["name"] for suite in serving.get_ciphers()]
    assert all("GCM" in name or "CHACHA20" in name for name in offered)
    assert refuses(serving, "ECDHE+AES:DHE+AES:AES:!AESGCM:!AESCCM")
    assert not refuses(serving, "ECDHE+AESGCM")
    assert not refuses(serving, "ECDHE+CHACHA20")


def names(files: CertificateFiles, authority: Authority) -> list[str]:
    """Return the names in the certificate that a client which checks nothing but its signer is shown."""
    connecting = authority.client_context()
    connecting.check_hostname = False
    shown = shaken_hands(files.context(), connecting).getpeercert()
    assert shown is not None
    return [str(entry[1]) for entry in shown["subjectAltName"]]


# At the start


def test_a_client_that_trusts_the_authority_connects(tmp_path: Path, authority: Authority) -> None:
    files = load(*authority.issue(tmp_path))
    for name in ("localhost", "127.0.0.1", "::1"):
        assert shaken_hands(files.context(), authority.client_context(), name).version() == "TLSv1.3"


def test_a_client_that_trusts_another_authority_does_not_connect(
    tmp_path: Path, authority: Authority
) -> None:
    files = load(*authority.issue(tmp_path))
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken_hands(files.context(), Authority().client_context())


def test_certificate_and_key_may_share_a_file(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue(tmp_path, "mail.example.org")
    both = written(tmp_path / "both.pem", key.read_bytes(), certificate.read_bytes())
    assert names(load(both, None), authority) == ["mail.example.org"]


def test_tls_1_2_is_the_oldest_version_and_renegotiation_is_off(tmp_path: Path, authority: Authority) -> None:
    context = load(*authority.issue(tmp_path)).context()
    old = authority.client_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shaken_hands(context, old).version() == "TLSv1.2"
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    for option in (ssl.OP_NO_RENEGOTIATION, ssl.OP_NO_COMPRESSION, ssl.OP_IGNORE_UNEXPECTED_EOF):
        assert context.options & option


def test_a_missing_file_is_named_with_its_variable(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue(tmp_path)
    absent = tmp_path / "absent.pem"
    assert refusal(absent, key) == f"PEEP_TLS_CERT_FILE: cannot read {absent}: No such file or directory"
    assert (
        refusal(certificate, absent) == f"PEEP_TLS_KEY_FILE: cannot read {absent}: No such file or directory"
    )


def test_an_unreadable_file_is_named_with_its_variable(authority: Authority) -> None:
    with ordinary_user() as folder:
        certificate, key = authority.issue(folder)
        key.chmod(0)
        assert refusal(certificate, key) == f"PEEP_TLS_KEY_FILE: cannot read {key}: Permission denied"


def test_what_the_system_says_of_a_file_that_it_cannot_open_is_passed_on(
    tmp_path: Path, authority: Authority
) -> None:
    certificate, _ = authority.issue(tmp_path)
    loop = tmp_path / "loop.pem"
    loop.symlink_to(loop)
    line = refusal(certificate, loop)
    assert line == f"PEEP_TLS_KEY_FILE: cannot read {loop}: Too many levels of symbolic links"


def test_what_is_no_regular_file_is_refused_and_never_waited_for(
    tmp_path: Path, authority: Authority
) -> None:
    certificate, key = authority.issue(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    assert refusal(tmp_path / "fifo", key).startswith(f"PEEP_TLS_CERT_FILE: {tmp_path}/fifo is not a regular")
    assert refusal(certificate, tmp_path) == f"PEEP_TLS_KEY_FILE: {tmp_path} is not a regular file"


def test_a_file_named_by_mistake_is_not_read_whole(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue(tmp_path)
    with certificate.open("r+b") as file:
        file.truncate(certificate_module.LARGEST_FILE_OCTETS + 1)
    assert refusal(certificate, key).startswith(f"PEEP_TLS_CERT_FILE: {certificate} has over 1048576 octets")


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("", "is not a PEM file"),
        ("\x30\x82\x01\x00", "is not a PEM file"),
        (BROKEN.format("PRIVATE KEY"), "there is no certificate in"),
        (BROKEN.format("CERTIFICATE"), "a certificate in"),
        (BROKEN.format("CERTIFICATE"), "is damaged"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "is damaged"),
    ],
)
def test_a_wrong_certificate_file_is_told_in_one_plain_line(
    tmp_path: Path, authority: Authority, content: str, wrong: str
) -> None:
    certificate, key = authority.issue(tmp_path)
    line = refusal(written(certificate, content), key)
    assert line.startswith("PEEP_TLS_CERT_FILE: ")
    assert wrong in line
    assert str(certificate) in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("secret", "is not a PEM file"),
        (BROKEN.format("CERTIFICATE"), "there is no private key in"),
        (BROKEN.format("PRIVATE KEY"), "the private key in"),
        (BROKEN.format("RSA PRIVATE KEY"), "is damaged"),
    ],
)
def test_a_wrong_key_file_is_told_in_one_plain_line(
    tmp_path: Path, authority: Authority, content: str, wrong: str
) -> None:
    certificate, key = authority.issue(tmp_path)
    line = refusal(certificate, written(key, content))
    assert line.startswith("PEEP_TLS_KEY_FILE: ")
    assert wrong in line
    assert str(key) in line
    assert line.isprintable()
    assert "AAAA" not in line
    assert "secret" not in line


def test_a_damaged_certificate_later_in_the_chain_is_refused(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue(tmp_path)
    written(certificate, certificate.read_bytes(), BROKEN.format("CERTIFICATE"))
    assert refusal(certificate, key) == f"PEEP_TLS_CERT_FILE: a certificate in {certificate} is damaged"


def test_a_missing_key_in_a_shared_file_is_told_with_the_other_variable(
    tmp_path: Path, authority: Authority
) -> None:
    certificate, _ = authority.issue(tmp_path)
    assert refusal(certificate, None) == (
        f"PEEP_TLS_CERT_FILE: there is no private key in {certificate}; "
        "PEEP_TLS_KEY_FILE can name another file"
    )


@pytest.mark.parametrize("key_type", list(trustme.KeyType))
def test_a_key_of_another_certificate_is_refused(
    tmp_path: Path, authority: Authority, key_type: trustme.KeyType
) -> None:
    certificate, _ = authority.issue(tmp_path)
    other = trustme.CA().issue_cert("localhost", key_type=key_type)
    key = written(tmp_path / "other.pem", other.private_key_pem.bytes())
    assert refusal(certificate, key) == (
        f"PEEP_TLS_KEY_FILE: the private key in {key} "
        f"does not belong to the first certificate in {certificate}"
    )


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
def test_an_encrypted_key_is_refused_without_asking_for_its_passphrase(
    tmp_path: Path, authority: Authority, form: serialization.PrivateFormat
) -> None:
    certificate, key = authority.issue(tmp_path)
    readable = serialization.load_pem_private_key(key.read_bytes(), None)
    encrypted = readable.private_bytes(
        serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"passphrase")
    )
    assert refusal(certificate, written(key, encrypted)) == (
        f"PEEP_TLS_KEY_FILE: the private key in {key} is encrypted; it must be kept without a passphrase"
    )


def self_signed(
    folder: Path,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    begins: dt.datetime | None = None,
    ends: dt.datetime | None = None,
) -> Path:
    """Write a certificate that the key has signed for itself, and the key, into one file."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    begins = begins or dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(begins).not_valid_after(ends or begins + dt.timedelta(30))
    signed = builder.sign(key, hashes.SHA256())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return written(folder / "both.pem", signed.public_bytes(serialization.Encoding.PEM), pem)


def test_a_certificate_signed_by_itself_is_served_without_a_word(tmp_path: Path) -> None:
    with capture_logs() as events:
        load(self_signed(tmp_path, ec.generate_private_key(ec.SECP256R1())), None)
    assert events == []


def test_a_key_that_no_tls_client_can_use_is_refused_at_the_start(tmp_path: Path) -> None:
    both = self_signed(tmp_path, ec.generate_private_key(ec.SECP256K1()))
    line = refusal(both, None)
    assert line.startswith(f"PEEP_TLS_CERT_FILE: no client could connect with the certificate in {both}")


def test_a_key_too_short_for_tls_is_refused_at_the_start(tmp_path: Path) -> None:
    both = self_signed(tmp_path, rsa.generate_private_key(65537, 1024))  # noqa: S505 - that is the point
    assert refusal(both, None).endswith("is refused: ee key too small")


def test_an_expired_certificate_is_served_with_a_warning(tmp_path: Path, authority: Authority) -> None:
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    certificate, key = authority.issue(tmp_path, not_after=yesterday)
    with capture_logs() as events:
        files = load(certificate, key)
    (event,) = events
    assert str(event.pop("not_after")).endswith(" GMT")
    assert event == {"event": "certificate has expired", "log_level": "warning", "file": str(certificate)}
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shaken_hands(files.context(), authority.client_context())


def test_a_good_certificate_is_loaded_without_a_word(tmp_path: Path, authority: Authority) -> None:
    with capture_logs() as events:
        load(*authority.issue(tmp_path))
    assert events == []


# While it runs


class Looks:
    """Stands in for the clock between two looks at the files: they happen when the test says so."""

    def __init__(self) -> None:
        self._due = asyncio.Semaphore(0)
        self._is_over = asyncio.Semaphore(0)

    async def paused(self, _seconds: float) -> None:
        self._is_over.release()
        await self._due.acquire()

    async def look(self, times: int) -> None:
        """Let the watcher look so many times, and return when it has done what it saw fit."""
        for _ in range(times):
            self._due.release()
            await asyncio.wait_for(self._is_over.acquire(), 20)


@contextlib.asynccontextmanager
async def watching(files: CertificateFiles) -> AsyncIterator[Looks]:
    looks = Looks()
    task = asyncio.create_task(files.watch(looks.paused))
    await asyncio.wait_for(looks._is_over.acquire(), 20)
    try:
        yield looks
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_changed_files_are_served_after_two_looks_that_agree(
    tmp_path: Path, authority: Authority
) -> None:
    files = load(*authority.issue(tmp_path, "old.example.org"))
    async with watching(files) as looks:
        with capture_logs() as events:
            certificate, _ = authority.issue(tmp_path, "new.example.org")
            await looks.look(1)
            assert names(files, authority) == ["old.example.org"]
            await looks.look(1)
            assert names(files, authority) == ["new.example.org"]
            await looks.look(3)
    (event,) = events
    issued = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert int(str(event.pop("serial")), 16) == issued.serial_number
    assert str(event.pop("not_after")).endswith(" GMT")
    assert event == {
        "event": "certificate changed",
        "log_level": "info",
        "file": str(certificate),
        "names": ["new.example.org"],
    }


async def test_untouched_files_are_not_loaded_again(tmp_path: Path, authority: Authority) -> None:
    files = load(*authority.issue(tmp_path))
    context = files.context()
    async with watching(files) as looks:
        await looks.look(4)
    assert files.context() is context


async def test_a_key_that_comes_one_look_after_its_certificate_is_waited_for(
    tmp_path: Path, authority: Authority
) -> None:
    certificate, key = authority.issue(tmp_path, "old.example.org")
    old_key = key.read_bytes()
    files = load(certificate, key)
    async with watching(files) as looks:
        with capture_logs() as events:
            authority.issue(tmp_path, "new.example.org")
            new_key = key.read_bytes()
            written(key, old_key)
            await looks.look(1)
            written(key, new_key)
            await looks.look(1)
            assert events == []
            await looks.look(1)
    assert [event["event"] for event in events] == ["certificate changed"]
    assert names(files, authority) == ["new.example.org"]


async def test_a_broken_change_keeps_the_old_certificate_and_is_logged_once(
    tmp_path: Path, authority: Authority
) -> None:
    certificate, key = authority.issue(tmp_path, "old.example.org")
    files = load(certificate, key)
    async with watching(files) as looks:
        with capture_logs() as events:
            written(key, BROKEN.format("PRIVATE KEY"))
            await looks.look(5)
            assert names(files, authority) == ["old.example.org"]
            assert events == [
                {
                    "event": "new certificate refused",
                    "log_level": "error",
                    "reason": f"PEEP_TLS_KEY_FILE: the private key in {key} is damaged",
                }
            ]
            certificate.unlink()
            await looks.look(5)
            assert [event["event"] for event in events] == ["new certificate refused"] * 2
            assert "No such file" in events[1]["reason"]
            authority.issue(tmp_path, "new.example.org")
            await looks.look(2)
    assert events[2]["event"] == "certificate changed"
    assert names(files, authority) == ["new.example.org"]


async def test_files_behind_a_symbolic_link_that_moves_are_taken_up(
    tmp_path: Path, authority: Authority
) -> None:
    # This is how Kubernetes mounts a Secret, and how it replaces one.
    for version in ("first", "second"):
        (tmp_path / version).mkdir()
        authority.issue(tmp_path / version, f"{version}.example.org")
    (tmp_path / "..data").symlink_to("first")
    for name in ("certificate.pem", "key.pem"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    files = load(tmp_path / "certificate.pem", tmp_path / "key.pem")
    assert names(files, authority) == ["first.example.org"]
    async with watching(files) as looks:
        (tmp_path / "..next").symlink_to("second")
        (tmp_path / "..next").replace(tmp_path / "..data")
        await looks.look(2)
    assert names(files, authority) == ["second.example.org"]


async def test_a_refused_file_that_becomes_readable_by_its_mode_alone_is_taken_up(
    tmp_path: Path, authority: Authority
) -> None:
    certificate, key = authority.issue(tmp_path)
    files = load(certificate, key)
    context = files.context()
    async with watching(files) as looks:
        before = certificate.stat().st_ctime_ns
        deadline = time.monotonic() + 20
        # The file system's clock may tick only every few milliseconds.
        while certificate.stat().st_ctime_ns == before and time.monotonic() < deadline:
            certificate.chmod(0o640)
        await looks.look(2)
    assert files.context() is not context


async def test_a_connection_keeps_the_certificate_that_it_began_with(
    tmp_path: Path, authority: Authority
) -> None:
    files = load(*authority.issue(tmp_path, "localhost"))
    begun = files.context()
    async with watching(files) as looks:
        authority.issue(tmp_path, "localhost")
        await looks.look(2)
    assert files.context() is not begun
    assert shaken_hands(begun, authority.client_context()).version() == "TLSv1.3"


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def self_signed_for(folder: Path, begins: float, ends: float) -> tuple[Path, int]:
    """Write a certificate, with its key, that is valid between two times; return its file and its number."""
    both = self_signed(
        folder,
        ec.generate_private_key(ec.SECP256R1()),
        dt.datetime.fromtimestamp(begins, dt.UTC),
        dt.datetime.fromtimestamp(ends, dt.UTC),
    )
    return both, x509.load_pem_x509_certificate(both.read_bytes()).serial_number


def serial(files: CertificateFiles) -> int:
    """Return the number of the certificate that a client is shown."""
    connecting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    connecting.check_hostname = False
    connecting.verify_mode = ssl.CERT_NONE
    shown = shaken_hands(files.context(), connecting).getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


@pytest.mark.parametrize(
    ("begins", "ends", "reason"),
    [
        (-90 * DAY, -DAY, "certificate has expired"),
        (DAY, 90 * DAY, "certificate is not yet valid"),
    ],
)
async def test_what_is_not_valid_never_takes_the_place_of_a_valid_certificate(
    tmp_path: Path, begins: float, ends: float, reason: str
) -> None:
    now = Time()
    both, good = self_signed_for(tmp_path, now() - DAY, now() + 60 * DAY)
    files = CertificateFiles(str(both), None, clock=now)
    async with watching(files) as looks:
        with capture_logs() as events:
            self_signed_for(tmp_path, now() + begins, now() + ends)
            await looks.look(5)
    assert events == [
        {"event": "new certificate refused", "log_level": "error", "reason": reason, "file": str(both)}
    ]
    assert serial(files) == good
    assert files.expires_at == pytest.approx(now() + 60 * DAY, abs=2)


async def test_a_certificate_that_came_too_early_is_taken_up_when_it_is_valid(tmp_path: Path) -> None:
    now = Time()
    both, old = self_signed_for(tmp_path, now() - DAY, now() + 60 * DAY)
    files = CertificateFiles(str(both), None, clock=now)
    async with watching(files) as looks:
        _, new = self_signed_for(tmp_path, now() + DAY, now() + 90 * DAY)
        await looks.look(3)
        assert serial(files) == old
        now.now += DAY + 1
        await looks.look(1)
        assert serial(files) == new


async def test_what_is_not_valid_may_take_the_place_of_what_is_not_either(tmp_path: Path) -> None:
    now = Time()
    both, _ = self_signed_for(tmp_path, now() - 90 * DAY, now() - 2 * DAY)
    files = CertificateFiles(str(both), None, clock=now)
    async with watching(files) as looks:
        with capture_logs() as events:
            _, new = self_signed_for(tmp_path, now() - 90 * DAY, now() - DAY)
            await looks.look(2)
    assert [event["event"] for event in events] == ["certificate changed", "certificate has expired"]
    assert serial(files) == new


async def test_the_end_is_told_once_a_day_from_two_weeks_before(tmp_path: Path) -> None:
    now = Time()
    both, _ = self_signed_for(tmp_path, now() - DAY, now() + 15 * DAY + 60)
    with capture_logs() as events:
        files = CertificateFiles(str(both), None, clock=now)
        async with watching(files) as looks:
            for _ in range(17 * 4):
                await looks.look(1)
                now.now += DAY / 4
    words = [event["event"] for event in events]
    assert words == ["certificate expires soon"] * 14 + ["certificate has expired"] * 2
    assert {event["log_level"] for event in events} == {"warning"}


async def test_one_process_of_a_service_speaks_for_all(tmp_path: Path) -> None:
    now = Time()
    both, _ = self_signed_for(tmp_path, now() - DAY, now() + DAY)
    with capture_logs() as events:
        files = CertificateFiles(str(both), None, is_logging=False, clock=now)
        async with watching(files) as looks:
            now.now += 2 * DAY
            await looks.look(2)
    assert {event["log_level"] for event in events} == {"debug"}


async def test_who_asks_has_the_files_read_at_once(tmp_path: Path, authority: Authority) -> None:
    files = load(*authority.issue(tmp_path, "old.example.org"))
    authority.issue(tmp_path, "new.example.org")
    with capture_logs() as events:
        await files.reload()
    assert [event["event"] for event in events] == ["certificate changed"]
    assert names(files, authority) == ["new.example.org"]


async def test_a_bug_in_the_reading_of_a_new_certificate_does_not_end_the_process(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = load(*authority.issue(tmp_path, "old.example.org"))
    async with watching(files) as looks:
        with monkeypatch.context() as patch, capture_logs() as events:
            patch.setattr(certificate_module, "_described", lambda *_: 1 // 0)
            authority.issue(tmp_path, "new.example.org")
            await looks.look(3)
        assert [event["event"] for event in events] == ["bug while the certificate was read"]
        assert names(files, authority) == ["old.example.org"]
        authority.issue(tmp_path, "new.example.org")
        await looks.look(2)
    assert names(files, authority) == ["new.example.org"]


async def test_a_process_that_replaces_another_starts_with_a_key_that_cannot_be_used(
    tmp_path: Path, authority: Authority
) -> None:
    certificate, key = authority.issue(tmp_path)
    good = key.read_bytes()
    written(key, BROKEN.format("PRIVATE KEY"))
    with capture_logs() as events:
        files = CertificateFiles(str(certificate), str(key), must_load=False)
    assert [event["event"] for event in events] == ["no TLS until the certificate is mended"]
    assert events[0]["reason"] == f"PEEP_TLS_KEY_FILE: the private key in {key} is damaged"
    assert files.expires_at == 0
    with pytest.raises(ssl.SSLError):
        shaken_hands(files.context(), authority.client_context())
    async with watching(files) as looks:
        written(key, good)
        await looks.look(2)
    assert shaken_hands(files.context(), authority.client_context()).version() == "TLSv1.3"


@pytest.mark.parametrize(("bits", "is_told"), [(2048, False), (2560, True)])
def test_what_a_handshake_costs_with_a_long_rsa_key_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int, is_told: bool
) -> None:
    assert certificates.LONGEST_RSA_KEY_BITS == 4096
    monkeypatch.setattr(certificates, "LONGEST_RSA_KEY_BITS", 2048)  # longer ones take seconds to make
    with capture_logs() as events:
        load(self_signed(tmp_path, rsa.generate_private_key(65537, bits)), None)
    assert [event["event"] for event in events] == [
        "the certificate's RSA key is so long that handshakes are slow"
    ] * is_told
    for event in events:
        assert event["bits"] == bits
        product = float(event["handshake_milliseconds"]) * float(event["handshakes_per_core_and_second"])
        assert product == pytest.approx(1000, rel=0.2)


async def test_the_watcher_keeps_its_own_time(tmp_path: Path, authority: Authority) -> None:
    files = load(*authority.issue(tmp_path, "old.example.org"))
    task = asyncio.create_task(files.watch(lambda _: asyncio.sleep(0.01)))
    authority.issue(tmp_path, "new.example.org")
    deadline = time.monotonic() + 20
    while names(files, authority) == ["old.example.org"]:
        assert time.monotonic() < deadline
        assert not task.done()
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(files, authority) == ["new.example.org"]
