"""SCRAM-SHA-256 (RFC 5802, RFC 7677): what the client should say, and what it should not."""

import base64
import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scramp import ScramClient, ScramException, ScramMechanism  # type: ignore[import-untyped]
from scramp.utils import saslprep  # type: ignore[import-untyped]

from pop3_service.protocol.commands import is_user_name
from state_store.credentials import scram
from state_store.credentials.opaque_string import UnusablePassword, opaque_string
from state_store.credentials.scram import (
    ITERATIONS,
    MAX_MESSAGE_CHARACTERS,
    ClientFirst,
    ScramExchange,
    ScramMalformed,
    ScramRefused,
    new_verifier,
)
from state_store.records import Credential

SECRET = "the deployment's secret"

# RFC 7677, section 3.
RFC_FIRST = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
RFC_SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
RFC_NONCE = f"rOprNGfwEbeRWgbNEkqO{RFC_SERVER_NONCE}"
RFC_SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="
RFC_PROOF = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
RFC_FINAL = f"c=biws,r={RFC_NONCE},p={RFC_PROOF}"


def made_verifier(password: str, salt: bytes | None = None, iterations: int = 4096) -> str:
    """Return a verifier as the library makes it, in the text form of RFC 5803."""
    made = ScramMechanism("SCRAM-SHA-256").make_auth_info(password, iterations, salt)
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in made[:3])
    return f"SCRAM-SHA-256${iterations}:{salt_text}${stored_text}:{server_text}"


def begun(first: str, verifier: str = "", nonce: str | None = None) -> ScramExchange:
    return ScramExchange(ClientFirst.parse(first), Credential("$argon2id$", "v1", verifier), SECRET, nonce)


def rfc_exchange() -> ScramExchange:
    return begun(RFC_FIRST, made_verifier("pencil", base64.b64decode(RFC_SALT)), RFC_SERVER_NONCE)


def attribute(message: str, name: str) -> str:
    return next(part[2:] for part in message.split(",") if part.startswith(f"{name}="))


def client_for(password: str, username: str = "alice") -> ScramClient:
    return ScramClient(["SCRAM-SHA-256"], username, password)


def talk(client: ScramClient, verifier: str, alter: Callable[[str], str] = str) -> str:
    """Lead the dialogue to its end, with the client's last message altered."""
    exchange = begun(client.get_client_first(), verifier)
    client.set_server_first(exchange.challenge)
    server_final = exchange.finish(alter(client.get_client_final()))
    client.set_server_final(server_final)
    return server_final


PENCIL = made_verifier("pencil")


# RFC 7677's example


def test_the_example_of_rfc_7677_goes_as_it_is_written() -> None:
    exchange = rfc_exchange()
    assert exchange.username == "user"
    assert exchange.challenge == f"r={RFC_NONCE},s={RFC_SALT},i=4096"
    assert exchange.finish(RFC_FINAL) == "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.mark.parametrize(
    "final",
    [
        RFC_FINAL.replace("biws", "eSws"),  # y,,
        RFC_FINAL.replace("biws", base64.b64encode(b"n,a=user,").decode()),
        RFC_FINAL.replace("biws", "not base64!"),
        RFC_FINAL.replace("rOpr", "ROpr"),
        RFC_FINAL.replace(RFC_SERVER_NONCE, ""),
        RFC_FINAL.replace(",p=", "x,p="),
        RFC_FINAL.replace(",p=", ",x=new,p="),
        RFC_FINAL.replace("dHzb", "dHzc"),
        RFC_FINAL.replace(RFC_PROOF, base64.b64encode(bytes(32)).decode()),
        RFC_FINAL.replace(RFC_PROOF, base64.b64encode(bytes(31)).decode()),
        RFC_FINAL.replace(RFC_PROOF, ""),
        f"c=biws,r={RFC_NONCE}",
        f"p={RFC_PROOF},c=biws,r={RFC_NONCE}",
        f"{RFC_FINAL},p={RFC_PROOF}",
        f"{RFC_FINAL}\0",
        RFC_FINAL.replace(",p=", ",x=\ud800,p="),
        RFC_FINAL.replace(",p=", f",x={'x' * MAX_MESSAGE_CHARACTERS},p="),
        "",
        "*",
    ],
)
def test_a_last_message_that_was_tampered_with_is_refused(final: str) -> None:
    exchange = rfc_exchange()
    with pytest.raises(ScramRefused):
        exchange.finish(final)


def test_a_dialogue_ends_once() -> None:
    exchange = rfc_exchange()
    exchange.finish(RFC_FINAL)
    with pytest.raises(ScramRefused):
        exchange.finish(RFC_FINAL)


def test_a_refused_dialogue_cannot_be_tried_again() -> None:
    exchange = rfc_exchange()
    with pytest.raises(ScramRefused):
        exchange.finish(RFC_FINAL.replace("dHzb", "dHzc"))
    with pytest.raises(ScramRefused):
        exchange.finish(RFC_FINAL)


def test_the_last_message_of_one_dialogue_does_not_fit_another() -> None:
    verifier = made_verifier("pencil", base64.b64decode(RFC_SALT))
    exchange = begun(RFC_FIRST, verifier)
    assert exchange.challenge != rfc_exchange().challenge
    with pytest.raises(ScramRefused):
        exchange.finish(RFC_FINAL)
    replayed = RFC_FINAL.replace(RFC_NONCE, attribute(exchange.challenge, "r"))
    with pytest.raises(ScramRefused):
        begun(RFC_FIRST, verifier).finish(replayed)


# Dialogues with a client


def test_a_client_with_the_password_is_let_in_and_knows_that_the_server_knew_it() -> None:
    assert talk(client_for("pencil"), PENCIL).startswith("v=")


def test_a_client_with_a_wrong_password_is_refused() -> None:
    for wrong in ("Pencil", "pencil ", "x"):
        with pytest.raises(ScramRefused):
            talk(client_for(wrong), PENCIL)


def test_the_version_is_that_of_the_credential_whose_verifier_is_used() -> None:
    exchange = ScramExchange(ClientFirst.parse(RFC_FIRST), Credential("hash", "v7", PENCIL), SECRET)
    assert exchange.credential_version == "v7"


@pytest.mark.parametrize("flag", ["n", "y"])
@pytest.mark.parametrize("authorization", ["", "a=user"])
def test_a_client_may_name_itself_twice_and_need_not_bind_to_a_channel(flag: str, authorization: str) -> None:
    header = f"{flag},{authorization},"
    client = client_for("pencil", "user")
    exchange = begun(header + client.get_client_first().removeprefix("n,,"), PENCIL)
    client.set_server_first(exchange.challenge)
    client.gs2_header.make_cbind_input = lambda _: header.encode()
    client.set_server_final(exchange.finish(client.get_client_final()))


def test_an_authorization_identity_that_is_left_out_at_the_end_is_refused() -> None:
    client = client_for("pencil", "user")
    exchange = begun("n,a=user," + client.get_client_first().removeprefix("n,,"), PENCIL)
    client.set_server_first(exchange.challenge)
    with pytest.raises(ScramRefused):
        exchange.finish(client.get_client_final())


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("a,b", "a=2Cb"),
        ("a=b", "a=3Db"),
        ("=2C", "=3D2C"),
        ("al.ice+x@mail.example", "al.ice+x@mail.example"),
    ],
)
def test_a_name_is_unescaped(name: str, escaped: str) -> None:
    assert ClientFirst.parse(f"n,a={escaped},n={escaped},r=x").username == name


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128))
def test_every_name_that_a_user_can_have_arrives_as_it_is(name: str) -> None:
    escaped = name.replace("=", "=3D").replace(",", "=2C")
    assert ClientFirst.parse(f"n,a={escaped},n={escaped},r=fyko+d2lbbFgONRv9qkxdawL").username == name


# First messages that begin nothing


@pytest.mark.parametrize(
    "first",
    [
        "",
        "n",
        "n,,",
        "n,n=user,r=x",
        "n,,n=user",
        "n,,r=x,n=user",
        "n,,n=,r=x",
        "n,,n=user,r=",
        "n,,n=user,r=a b",
        "n,,n=user,r=\u00fc",
        "n,,n=us=er,r=x",
        "n,,n=us=2cer,r=x",
        "n,,n=us\0er,r=x",
        "n,,n=us\ud800er,r=x",
        "n,,m=must,n=user,r=x",
        "n,,n=user,r=x,m=must",
        "n,,n=user,r=x,r=y",
        "n,,n=user,n=root,r=x",
        "n,,n=user,r=x,p=AAAA",
        "n,,n=user,r=x,",
        "n,a=,n=user,r=x",
        "n,a=root,n=user,r=x",
        "n,a=User,n=user,r=x",
        "n,b=user,n=user,r=x",
        "n,a=us=er,n=us=3Der,r=x",
        "N,,n=user,r=x",
        "x,,n=user,r=x",
        "p=tls-exporter,,n=user,r=x",
        "p=tls-server-end-point,,n=user,r=x",
        "p=unheard-of,,n=user,r=x",
        f"n,,n={'x' * MAX_MESSAGE_CHARACTERS},r=x",
    ],
)
def test_a_malformed_first_message_is_told_apart_without_being_repeated(first: str) -> None:
    with pytest.raises(ScramMalformed) as caught:
        ClientFirst.parse(first)
    assert str(caught.value)
    assert "user" not in str(caught.value).replace("user name", "")


@pytest.mark.parametrize("name", ["Grüße", "用户", "x\U0001f600", "a\u05d0b", "ü\x85"])
@pytest.mark.parametrize("authorization", ["", "a={0}"])
def test_a_name_beyond_ascii_is_one_that_nobody_has_and_not_malformed(name: str, authorization: str) -> None:
    exchange = ScramExchange(
        ClientFirst.parse(f"n,{authorization.format(name)},n={name},r=abc"), None, SECRET
    )
    assert exchange.challenge.startswith("r=abc")
    assert is_user_name(exchange.username.encode()) is (name in ("Grüße", "用户"))
    with pytest.raises(ScramRefused):
        exchange.finish(f"c=biws,r={attribute(exchange.challenge, 'r')},p={RFC_PROOF}")


def test_names_that_cannot_be_prepared_have_salts_of_their_own() -> None:
    salts = [
        attribute(ScramExchange(ClientFirst.parse(f"n,,n={name},r=abc"), None, SECRET).challenge, "s")
        for name in ("x\U0001f600", "y\U0001f600", "x\U0001f600")
    ]
    assert salts[0] == salts[2] != salts[1]


def test_extensions_that_are_not_mandatory_are_passed_over() -> None:
    client = client_for("pencil", "user")
    exchange = begun(client.get_client_first() + ",x=new", PENCIL)
    client.client_first_bare += ",x=new"
    client.set_server_first(exchange.challenge)
    client.set_server_final(exchange.finish(client.get_client_final()))


MESSAGES = st.one_of(
    st.text(),
    st.lists(st.sampled_from(["n", "y", "", "a=user", "n=user", "r=x", "p=AA==", "c=biws", "m=1", "="])).map(
        ",".join
    ),
    st.text(alphabet="nyarpc=,\0\ud800\u00fc23CD"),
)


@given(MESSAGES)
def test_no_first_message_does_worse_than_being_malformed(first: str) -> None:
    try:
        exchange = begun(first, PENCIL)
    except ScramMalformed:
        return
    assert attribute(exchange.challenge, "s") == PENCIL.split(":")[1].split("$")[0]


@given(MESSAGES)
def test_no_last_message_does_worse_or_better_than_being_refused(final: str) -> None:
    with pytest.raises(ScramRefused):
        begun(RFC_FIRST, PENCIL, RFC_SERVER_NONCE).finish(final)


# Names without a verifier


def unknown(name: str, secret: str = SECRET) -> ScramExchange:
    return ScramExchange(ClientFirst.parse(f"n,,n={name},r=x"), None, secret)


def salt_of(exchange: ScramExchange) -> str:
    return attribute(exchange.challenge, "s")


def test_an_unknown_user_has_the_same_salt_each_time_and_another_one_than_others() -> None:
    assert salt_of(unknown("nobody")) == salt_of(unknown("nobody"))
    assert salt_of(unknown("nobody")) != salt_of(unknown("somebody"))
    assert salt_of(unknown("nobody")) != salt_of(unknown("nobody", "another deployment's"))


def test_an_unknown_users_challenge_looks_like_a_users() -> None:
    known = begun("n,,n=alice,r=x", new_verifier("pencil")).challenge
    made_up = unknown("alice").challenge
    assert [part[:2] for part in made_up.split(",")] == [part[:2] for part in known.split(",")]
    assert len(made_up) == len(known)
    assert attribute(made_up, "i") == attribute(known, "i") == str(ITERATIONS)


def test_an_unknown_user_is_refused_at_the_end_and_not_before() -> None:
    client = client_for("pencil", "nobody")
    exchange = ScramExchange(ClientFirst.parse(client.get_client_first()), None, SECRET)
    client.set_server_first(exchange.challenge)
    with pytest.raises(ScramRefused):
        exchange.finish(client.get_client_final())


@pytest.mark.parametrize(
    "verifier",
    [
        "",
        "no verifier at all",
        PENCIL.replace("SHA-256", "SHA-1"),
        PENCIL.replace("4096", "4095"),
        PENCIL.replace("4096", "9" * 5000),
        PENCIL + "x",
        PENCIL[:-4],
        PENCIL.replace("$4096:", "$4096:="),
    ],
)
def test_a_user_without_a_usable_verifier_is_answered_like_an_unknown_one(verifier: str) -> None:
    client = client_for("pencil")
    exchange = begun(client.get_client_first(), verifier)
    assert exchange.credential_version == ""
    assert salt_of(exchange) == salt_of(unknown("alice"))
    client.set_server_first(exchange.challenge)
    with pytest.raises(ScramRefused):
        exchange.finish(client.get_client_final())


def test_even_a_right_proof_for_a_made_up_verifier_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scram, "_made_up_verifier", lambda _secret, _name, _shapes: PENCIL)
    with pytest.raises(ScramRefused):
        talk(client_for("pencil"), "")


# Verifiers


def test_a_verifier_is_the_librarys_for_the_same_salt() -> None:
    made = new_verifier("pencil")
    salt = base64.b64decode(made.split(":")[1].split("$")[0])
    assert made == made_verifier("pencil", salt, ITERATIONS)


def test_the_same_password_gets_another_verifier_each_time() -> None:
    assert new_verifier("pencil") != new_verifier("pencil")


@pytest.mark.parametrize(
    "password", ["p\u00fcncil", "pu\u0308ncil", "\u212bngstr\u00f6m", "a\u3000b", "\uff21"]
)
def test_a_password_beyond_ascii_is_proved_however_it_was_typed(password: str) -> None:
    verifier = new_verifier(opaque_string(password))
    assert talk(client_for(password), verifier).startswith("v=")
    assert talk(client_for(opaque_string(password)), verifier).startswith("v=")


@pytest.mark.parametrize("password", ["\U0001f600 smile", "\ufe00\ufe00", "a\u05d0b"])
def test_a_password_that_saslprep_cannot_prepare_is_taken_as_it_is(password: str) -> None:
    verifier = new_verifier(opaque_string(password))
    client = client_for("placeholder")
    client.password = password.encode()
    assert talk(client, verifier).startswith("v=")
    with pytest.raises(ScramRefused):
        talk(client_for(""), verifier)


@given(st.text(min_size=1, max_size=20))
def test_every_usable_password_proves_itself(text: str) -> None:
    try:
        password = opaque_string(text)
    except UnusablePassword:
        return
    client = client_for("placeholder")
    try:
        client.password = (saslprep(password) or password).encode()
    except ScramException:
        client.password = password.encode()
    assert talk(client, new_verifier(password)).startswith("v=")


def test_a_verifier_holds_neither_the_password_nor_what_proves_it() -> None:
    verifier = new_verifier("pencil")
    salt = base64.b64decode(verifier.split(":")[1].split("$")[0])
    salted = hashlib.pbkdf2_hmac("sha256", b"pencil", salt, ITERATIONS)
    assert "pencil" not in verifier
    assert base64.b64encode(salted).decode() not in verifier
    assert verifier not in repr(Credential("hash", "v1", verifier))
