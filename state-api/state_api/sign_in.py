"""The dashboard's sign-in: a signed cookie instead of a name and password with every request.

Any replica can check what another has signed. A sign-in ends on all of them when its administrator signs out
or gets another password or role. The store keeps only the ids of those that were ended.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from itsdangerous import BadData, Signer, URLSafeTimedSerializer
from starlette.requests import Request

from state_api.errors import FOREIGN_REQUEST, HOST_REWRITTEN, Refused
from state_store.administrators import Administrator
from state_store.audit import Actor, Door
from state_store.repository import StateRepository

COOKIE = "peep_session"
CSRF_HEADER = "X-CSRF-Token"
LASTS_SECONDS = 12 * 60 * 60
"""A working day: then the page asks for the password again."""

_COOKIE_PURPOSE = "peep dashboard cookie"
_CSRF_PURPOSE = "peep dashboard csrf token"
_FINGERPRINT_PURPOSE = "peep dashboard fingerprint"
"""Each purpose has its own key, derived from the deployment's secret: no value serves another purpose."""

_SIGNING = {"key_derivation": "hmac", "digest_method": hashlib.sha256}


@dataclass(frozen=True, slots=True)
class SignIn:
    """A signed-in administrator, and the token that each change needs beside the cookie."""

    administrator: Administrator
    csrf_token: str
    sign_in_id: str


class SignIns:
    """Makes and checks the cookies. Each method may raise `StoreUnavailable`."""

    def __init__(self, store: StateRepository) -> None:
        self._store = store

    async def begin(self, administrator: Administrator) -> tuple[str, SignIn]:
        """Return a cookie for an administrator, and its sign-in."""
        secret = await self._store.remembered_secret()
        sign_in_id = secrets.token_urlsafe(12)
        fingerprint = _fingerprint(secret, administrator)
        cookie = _serializer(secret).dumps([administrator.name, fingerprint, sign_in_id])
        return cookie, SignIn(administrator, _csrf_token(secret, cookie), sign_in_id)

    async def find(self, cookie: str) -> SignIn | None:
        """Return the sign-in of a cookie; None of one that is not ours, or no longer valid."""
        secret = await self._store.remembered_secret()
        try:
            # A cookie of an earlier version holds fewer fields: it needs another sign-in.
            name, fingerprint, sign_in_id = _serializer(secret).loads(cookie, max_age=LASTS_SECONDS)
        except (BadData, ValueError):
            return None
        administrator = await self._store.administrator(name)
        if administrator is None or not hmac.compare_digest(_fingerprint(secret, administrator), fingerprint):
            return None
        if await self._store.is_ended_sign_in(sign_in_id):
            return None
        return SignIn(administrator, _csrf_token(secret, cookie), sign_in_id)

    async def end(self, sign_in: SignIn, address: str) -> None:
        """Make the cookie of this sign-in, and every copy of it, invalid."""
        by = Actor(sign_in.administrator.name, Door.DASHBOARD, address)
        await self._store.end_sign_in(sign_in.sign_in_id, LASTS_SECONDS, by=by)


def comes_from_page(request: Request) -> bool:
    """Return whether a script in a browser sent the request, rather than a program or a person.

    Its answer must not have `WWW-Authenticate: Basic`: the browser would cover the page with a dialogue of
    its own, which knows nothing of our sign-in. Browsers send Sec-Fetch-Mode only over https and to this
    machine. Elsewhere the cookie shows it, which has no Max-Age, so that it is sent after its time too; or
    the header that all requests of the page have, signed in or not.
    """
    mode = request.headers.get("Sec-Fetch-Mode", "navigate")
    return mode != "navigate" or COOKIE in request.cookies or CSRF_HEADER in request.headers


def refuse_from_elsewhere(request: Request) -> None:
    """Raise `Refused` for a request that another site's page sent, as far as the browser shows that.

    Sec-Fetch-Site decides, if there is one: browsers send it over https and to this machine. Otherwise the
    Origin's host has to be the Host of the request. The schemes may differ, as a proxy may do TLS.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site != "same-origin":
            raise Refused(FOREIGN_REQUEST)
        return
    origin = request.headers.get("Origin")
    if origin is not None and (host := _host_of(origin)) != request.headers.get("Host"):
        raise Refused(HOST_REWRITTEN if host else FOREIGN_REQUEST)


def is_csrf_token(request: Request, sign_in: SignIn) -> bool:
    """Return whether the request has the token of this sign-in."""
    given = request.headers.get(CSRF_HEADER, "")
    return hmac.compare_digest(given.encode(), sign_in.csrf_token.encode())


def came_by_https(request: Request) -> bool:
    """Return whether the browser used https, perhaps to a proxy before us, as its Origin shows."""
    return request.url.scheme == "https" or request.headers.get("Origin", "").startswith("https://")


def _host_of(origin: str) -> str:
    """Return the host and port of an `Origin`; empty of one that names none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _serializer(secret: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt=_COOKIE_PURPOSE, signer_kwargs=_SIGNING)


def _csrf_token(secret: str, cookie: str) -> str:
    signer = Signer(secret, salt=_CSRF_PURPOSE, key_derivation="hmac", digest_method=hashlib.sha256)
    return signer.get_signature(cookie).decode()


def _fingerprint(secret: str, administrator: Administrator) -> str:
    # Keyed, so that a cookie reveals nothing about the password's hash.
    key = hmac.digest(secret.encode(), _FINGERPRINT_PURPOSE.encode(), "sha256")
    return hmac.new(key, administrator.identity.encode(), hashlib.sha256).hexdigest()[:32]
