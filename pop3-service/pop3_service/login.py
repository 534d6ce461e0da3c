"""From a user name and a password to an open maildrop: check, lock, read."""

import asyncio
from dataclasses import dataclass

import structlog

from pop3_service.context import Pop3Context
from pop3_service.maildir import Maildir, MaildirPath, MaildirUnreadable, MovedMessages, maildir_of
from pop3_service.protocol.maildrop import MaildropContents
from pop3_service.protocol.replies import LoginRefusal
from state_store.credentials.attempts import RefusalReason
from state_store.credentials.opaque_string import UnusablePassword, opaque_string
from state_store.credentials.presence import Presence
from state_store.credentials.scram import ScramExchange
from state_store.errors import SlowedDown, StoreUnavailable
from state_store.records import Login, LoginOutcome

LOCK_PATIENCE_SECONDS = 0.25
LOCK_POLL_SECONDS = 0.02
"""A client that comes back at once may be faster than the word that its last session is over: a lock
that somebody holds is asked for again a few times before `[IN-USE]` is said."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Proof:
    """That a client knows the password of `username`'s credential of this version, shown by SCRAM."""

    username: str
    credential_version: str


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """An open maildrop: whose, where, and what it held at login. Its lock is ours."""

    username: str
    maildir: Maildir
    contents: MaildropContents
    lease: str
    """The instance id under which the lock was taken: with another one it is ours no more."""
    moved: MovedMessages


def remembered_login(
    context: Pop3Context, username: str, password: str, session_id: str, address: str
) -> Login | None:
    """Return what to lock the maildrop with, for who gives the password that was right before.

    None where nobody has logged in with it lately, and it has to be checked: `log_in` does.
    """
    version = context.passwords.recall(username, _prepared(password))
    if version is None:
        return None
    is_remembered = not context.authenticator.is_trusted(address)
    return Login(username, session_id, version, address, is_remembered, _lock_name(context, username))


def open_at_once(context: Pop3Context, login: Login) -> LoggedIn | None:
    """Return the maildrop that has just been locked, if what it holds is known without the disk.

    On None the lock is still owed: `open_maildrop` goes on.
    """
    try:
        maildir = context.maildirs.at(_path(context, login.username))
    except MaildirUnreadable:
        return None
    contents = context.maildirs.remembered(maildir)
    if contents is None or not contents.messages or maildir.lock_name != login.maildir:
        maildir.close()
        return None
    return LoggedIn(login.username, maildir, contents, context.instance.instance_id, MovedMessages())


async def log_in(
    context: Pop3Context,
    username: str,
    evidence: str | Proof,
    session_id: str,
    address: str,
    presence: Presence,
) -> LoggedIn | LoginRefusal:
    """Lock the maildrop for who gives a right password, or a proof of it, and list it.

    Whoever gets `LoggedIn` owes the lock's release.
    """
    try:
        if isinstance(evidence, Proof):
            locked = await _lock_on_proof(context, evidence, session_id, address)
        else:
            locked = await _lock_on_password(
                context, username, _prepared(evidence), session_id, address, presence
            )
    except StoreUnavailable:
        return LoginRefusal.STORE_UNAVAILABLE
    return await open_maildrop(context, locked) if isinstance(locked, Login) else locked


async def prove(
    context: Pop3Context,
    exchange: ScramExchange,
    message: str,
    session_id: str,
    address: str,
    presence: Presence,
) -> tuple[Proof, str] | LoginRefusal:
    """Return what a client's last SCRAM message proves, with the server's own last message."""
    try:
        proved = await context.authenticator.finish_scram(exchange, message, address, presence)
    except StoreUnavailable:
        return LoginRefusal.STORE_UNAVAILABLE
    except SlowedDown:
        proved = RefusalReason.SLOWED_DOWN
    if isinstance(proved, RefusalReason):
        return refuse(context, exchange.username, session_id, address, proved)
    last_message, version = proved
    return Proof(exchange.username, version), last_message


def refuse(
    context: Pop3Context, username: str, session_id: str, address: str, reason: RefusalReason
) -> LoginRefusal:
    """Log and count a password that is not taken, and return how that is said."""
    # The address first: whatever a client gives as its name comes after it.
    log.warning("password refused", address=address, reason=reason.value, session=session_id, user=username)
    context.instance.count_refusal(reason)
    is_unchecked = reason is RefusalReason.SLOWED_DOWN
    return LoginRefusal.SLOWED_DOWN if is_unchecked else LoginRefusal.WRONG_CREDENTIALS


async def open_maildrop(context: Pop3Context, login: Login) -> LoggedIn | LoginRefusal:
    """List the maildrop that has just been locked; where that fails its lock is given back."""
    maildir: Maildir | None = None
    try:
        lease = context.instance.instance_id
        maildir = context.maildirs.at(_path(context, login.username))
        contents = await _locked_contents(context, maildir, login)
        if isinstance(contents, MaildropContents):
            return LoggedIn(login.username, maildir, contents, lease, MovedMessages())
        refusal = contents
    except MaildirUnreadable as error:
        log.warning("maildrop unreadable", session=login.session_id, user=login.username, reason=str(error))
        refusal = LoginRefusal.MAILDROP_AWAY if error.is_temporary else LoginRefusal.MAILDROP_UNREADABLE
    except StoreUnavailable:
        refusal = LoginRefusal.STORE_UNAVAILABLE
    except BaseException:
        _give_up(context, maildir, login)
        raise
    _give_up(context, maildir, login)
    return refusal


def _give_up(context: Pop3Context, maildir: Maildir | None, login: Login) -> None:
    context.instance.withdraw_login(login.username, login.session_id)
    if maildir is not None:
        maildir.close()


def _path(context: Pop3Context, username: str) -> MaildirPath:
    return maildir_of(context.instance.settings.mail_directory, username, context.layout)


def _lock_name(context: Pop3Context, username: str) -> str:
    try:
        return context.maildirs.lock_name(_path(context, username))
    except MaildirUnreadable:
        return ""


def _prepared(password: str) -> str:
    # One that could never be set fits no user: it is checked as it is, and costs what a wrong one costs.
    try:
        return opaque_string(password)
    except UnusablePassword:
        return password


async def _lock_on_password(
    context: Pop3Context,
    username: str,
    password: str,
    session_id: str,
    address: str,
    presence: Presence,
) -> Login | LoginRefusal:
    while True:
        try:
            version = await context.authenticator.check_user(username, password, address, presence)
        except SlowedDown:
            version = RefusalReason.SLOWED_DOWN
        if isinstance(version, RefusalReason):
            return refuse(context, username, session_id, address, version)
        login = Login(username, session_id, version, address, maildir=_lock_name(context, username))
        outcome = await _lock(context, login)
        if outcome is LoginOutcome.OPENED:
            return login
        if outcome in _REFUSALS:
            return _REFUSALS[outcome]
        # The password has been changed since it was checked: check it once more, against what the store
        # says now.
        context.passwords.forget(username)


async def _lock_on_proof(
    context: Pop3Context, proof: Proof, session_id: str, address: str
) -> Login | LoginRefusal:
    maildir = _lock_name(context, proof.username)
    login = Login(proof.username, session_id, proof.credential_version, address, maildir=maildir)
    outcome = await _lock(context, login)
    if outcome is LoginOutcome.OPENED:
        return login
    # What is no refusal here can only be that the password has been changed since it was proved.
    return _REFUSALS.get(outcome, LoginRefusal.WRONG_CREDENTIALS)


_REFUSALS = {
    LoginOutcome.IN_USE: LoginRefusal.IN_USE,
    LoginOutcome.TOO_SOON: LoginRefusal.TOO_SOON,
}


async def _lock(context: Pop3Context, login: Login) -> LoginOutcome:
    loop = asyncio.get_running_loop()
    patience_ends = loop.time() + LOCK_PATIENCE_SECONDS
    while True:
        outcome = await context.instance.lock_maildrop(login)
        if outcome is not LoginOutcome.IN_USE or loop.time() > patience_ends:
            return outcome
        await asyncio.sleep(LOCK_POLL_SECONDS)


async def _locked_contents(
    context: Pop3Context, maildir: Maildir, login: Login
) -> MaildropContents | LoginRefusal:
    """Return what `maildir` holds, once it is locked under all of its names; `login` has locked one."""
    contents = await context.listings.contents_if_locked(maildir, login.maildir)
    if contents is None:
        # The process did not know which maildir it is. It is held open: no other can take its place.
        outcome = await _lock(context, login._replace(maildir=maildir.lock_name, is_remembered=False))
        if outcome is not LoginOutcome.OPENED:
            return _REFUSALS.get(outcome, LoginRefusal.WRONG_CREDENTIALS)
        contents = await context.listings.contents(maildir)
    left_out = context.maildirs.unreadable_messages(maildir)
    if left_out:
        log.warning("messages left out: they cannot be read", session=login.session_id, messages=left_out)
    return contents
