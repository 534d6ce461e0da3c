"""Hashes of other servers: recognised, limited, compared."""

import hashlib

import bcrypt
import pytest

from state_store.credentials.hashes import crypt_library, imported, schemes
from state_store.credentials.hashes.imported import (
    PLAIN,
    UnusableHash,
    imported_hash,
    kept_hash,
    spend_alike,
)
from support.foreign_hashes import PASSWORD, WEAK, ForeignHash, foreign_hashes, one_of_each_scheme

HASHES = [found for found in foreign_hashes() if found.scheme != PLAIN]
SHA512_CRYPT = next(found.text for found in HASHES if found.text.startswith("{SHA512-CRYPT}$6$"))


@pytest.mark.parametrize("made", HASHES, ids=str)
def test_hash_of_another_program_fits_its_password_and_no_other(made: ForeignHash) -> None:
    found = imported_hash(made.text, allow_weak=True)
    assert found.scheme == made.scheme
    assert found.fits(PASSWORD)
    assert not found.fits("x" + PASSWORD)
    assert not found.fits("")
    assert kept_hash(found.kept) == found


@pytest.mark.parametrize("made", one_of_each_scheme(), ids=str)
def test_weak_hash_is_taken_only_on_demand(made: ForeignHash) -> None:
    if made.scheme in WEAK:
        with pytest.raises(UnusableHash, match="--allow-weak"):
            imported_hash(made.text)
    else:
        assert imported_hash(made.text).scheme == made.scheme


def test_fixtures_have_every_scheme() -> None:
    assert {made.scheme for made in foreign_hashes()} == {*schemes.SCHEMES, PLAIN}


@pytest.mark.parametrize("made", [one for one in one_of_each_scheme() if one.scheme != PLAIN], ids=str)
def test_reason_never_quotes_the_hash(made: ForeignHash) -> None:
    damaged = made.text + "\N{BULLET}"
    with pytest.raises(UnusableHash) as error:
        imported_hash(damaged, allow_weak=True)
    assert made.text[-12:] not in str(error.value)


@pytest.mark.parametrize(
    "costly",
    [
        "$6$rounds=999999999$salt$" + "a" * 86,
        "$5$rounds=1000001$salt$" + "a" * 43,
        "$2y$31$" + "a" * 53,
        "$2b$15$" + "a" * 53,
        "$argon2id$v=19$m=8388608,t=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA",
        "$argon2i$v=19$m=65536,t=1000,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA",
        "$argon2id$v=19$m=64,t=1,p=64$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA",
        "{PBKDF2}$1$salt$99999999$" + "a" * 40,
        "$pbkdf2-sha256$20000000$c2FsdA$" + "a" * 43,
        "{SCRAM-SHA-256}" + "9" * 300 + ",c2FsdA==," + "a" * 43 + "=," + "a" * 43 + "=",
    ],
)
def test_absurd_cost_is_refused_and_never_run_from_the_store(costly: str) -> None:
    with pytest.raises(UnusableHash, match="too long to check: at most"):
        imported_hash(costly)
    text = costly.rpartition("}")[2]
    assert all(kept_hash(f"{{{scheme}}}{text}") is None for scheme in schemes.SCHEMES)


@pytest.mark.parametrize("costly", ["$y$jFT$salt$" + "a" * 43, "$pbkdf2-sha256$1000$c2FsdA$" + "a" * 86])
def test_memory_of_gigabytes_and_endless_digests_are_no_hashes(costly: str) -> None:
    with pytest.raises(UnusableHash):
        imported_hash(costly)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no password"),
        ("!", "locked"),
        ("!!", "locked"),
        ("{SHA512-CRYPT}!$6$saltsalt$" + "x" * 86, "locked"),
        ("*", "locked"),
        ("x", "elsewhere"),
        ("secret", "cannot be told"),
        ("{CRAM-MD5}00", "not known"),
        ("{SHA512-CRYPT}$5$salt$" + "a" * 43, "no hash of the scheme SHA512-CRYPT"),
        ("{SSHA}" + "A" * 27, "length is wrong"),
        ("{SHA}c2hvcnQ=", "length is wrong"),
        ("{SSHA}%%%%", "not base64"),
        ("{SSHA.hex}zz", "not hexadecimal"),
        ("{SHA512-CRYPT.b64}/w==", "not UTF-8"),
        ("{CRYPT}$6$salt$" + "a" * 600, "at most 512"),
        ("{PLAIN}a\nb", "printable"),
        ("{PLAIN}", "1 to 128 characters"),
        ("$2b$03$" + "a" * 53, "no hash of the scheme BLF-CRYPT"),
        ("$pbkdf2-sha256$1000$c2FsdA$" + "a" * 41, "no hash of the scheme PBKDF2-SHA256"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(UnusableHash, match=reason):
        imported_hash(text, allow_weak=True)


def test_bcrypt_hash_of_a_longer_password_takes_what_its_maker_did() -> None:
    long = "0123456789" * 9
    cut = bcrypt.hashpw(long[:72].encode(), bcrypt.gensalt(5)).decode()
    assert imported_hash(cut).fits(long)
    assert imported_hash(cut).fits(long[:72])
    assert not imported_hash(cut).fits(long[:71])


def test_zero_octet_does_not_end_a_password() -> None:
    assert imported_hash(SHA512_CRYPT).fits(PASSWORD)
    assert not imported_hash(SHA512_CRYPT).fits(PASSWORD + "\0junk")


@pytest.mark.parametrize(
    "made", [one for one in HASHES if "CRYPT" in one.scheme and one.scheme != "YESCRYPT"], ids=str
)
def test_hashes_are_compared_without_libxcrypt_too(
    made: ForeignHash, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crypt_library, "_crypt_rn", lambda: None)
    found = imported_hash(made.text, allow_weak=True)
    assert found.fits(PASSWORD)
    assert not found.fits("wrong")
    assert not found.fits("x" * 5000)


def test_yescrypt_without_libxcrypt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypt_library, "_crypt_rn", lambda: None)
    made = next(found for found in HASHES if found.scheme == "YESCRYPT")
    with pytest.raises(UnusableHash, match="libxcrypt"):
        imported_hash(made.text)


def test_machine_without_libxcrypt_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    crypt_library._crypt_rn.cache_clear()
    monkeypatch.setattr(crypt_library, "_NAMES", ("libcrypt.so.0", "libc.so.6"))
    try:
        assert not crypt_library.knows_yescrypt()
    finally:
        crypt_library._crypt_rn.cache_clear()


def test_rounds_are_grouped_by_powers_of_two() -> None:
    kinds = {imported_hash(f"$6$rounds={rounds}$salt${'a' * 86}").kind for rounds in (4097, 5000, 8192)} | {
        imported_hash(f"$6$salt${'a' * 86}").kind
    }
    assert kinds == {"SHA512-CRYPT,8192"}


class Runs:
    """Takes down which hashes are compared, instead of comparing them."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, _scheme: str, _password: str, text: str) -> bool:
        self.texts.append(text)
        return False

    def rounds(self) -> int:
        """Return how many rounds of SHA-512 were spent."""
        found = [text.split("$")[2] for text in self.texts if text.startswith("$6$")]
        return sum(int(words.removeprefix("rounds=")) if "rounds=" in words else 5000 for words in found)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    runs = Runs()
    monkeypatch.setattr(schemes, "fits", runs)
    return runs


@pytest.mark.parametrize("rounds", [None, 4097, 5000, 8192])
def test_refusal_spends_as_many_rounds_whatever_the_user_has(runs: Runs, rounds: int | None) -> None:
    own = None
    if rounds is not None:
        own = imported_hash(f"$6$rounds={rounds}$salt${'a' * 86}")
        own.fits("wrong")
    spend_alike("wrong", ["SHA512-CRYPT,8192"], own)
    assert runs.rounds() == 8192 + 1000


def test_refusal_spends_each_kind_once(runs: Runs) -> None:
    own = imported_hash("$2y$12$" + "a" * 53)
    own.fits("wrong")
    kinds = ["BLF-CRYPT,12", "BLF-CRYPT,10", "SSHA", "YESCRYPT,j9T", "MD5-CRYPT,1000", "ARGON2ID,65536,3,4"]
    spend_alike("wrong", kinds, own)
    spent = [text[:7] for text in runs.texts]
    assert spent == ["$2y$12$", "$2b$10$", "$y$j9T$", "$1$....", "$argon2"]


@pytest.mark.parametrize(
    "kind",
    [
        "BLF-CRYPT,31",
        "SHA512-CRYPT,999999999",
        "SHA512-CRYPT,x",
        "ARGON2ID,8388608,1,1",
        "ARGON2ID",
        "BEST,1",
        "",
    ],
)
def test_absurd_kind_in_the_store_is_not_spent(runs: Runs, kind: str) -> None:
    spend_alike("wrong", [kind], None)
    assert runs.texts == []


@pytest.mark.parametrize("made", [one for one in HASHES if schemes.SCHEMES[one.scheme].decoy], ids=str)
def test_decoy_is_a_hash_of_its_kind(made: ForeignHash) -> None:
    found = imported_hash(made.text, allow_weak=True)
    scheme, _, cost = found.kind.partition(",")
    decoy = schemes.SCHEMES[scheme].decoy
    assert decoy is not None
    assert imported._with_cost(scheme, decoy(cost)).kind == found.kind


def test_digest_with_a_long_salt_is_compared() -> None:
    salt = b"s" * 60
    text = schemes.digest_text("SSHA512", hashlib.sha512(b"secret" + salt).digest() + salt)
    assert imported_hash("{SSHA512}" + text).fits("secret")
