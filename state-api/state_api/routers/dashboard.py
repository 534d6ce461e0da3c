"""`/`: the dashboard's page, and the files that it loads from `/dashboard`. Neither needs a password."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Only these are served. The machine's own table may have other types for scripts."""

_HEADERS = {
    # Requested again each time, mostly to be answered 304: so all files of a page are of one version.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the dashboard."""

    content: bytes
    media_type: str
    etag: str


@router.get("/")
async def show_dashboard(request: Request) -> Response:
    """Return the page."""
    return _answer(request, "index.html")


@router.get("/dashboard/{path:path}")
async def show_asset(request: Request, path: str) -> Response:
    """Return a script, a style sheet or a picture of the page."""
    return _answer(request, path)


@cache
def assets() -> Mapping[str, Asset]:
    """Return every file that is served, by its path below the folder `dashboard`."""
    return dict(_assets(files("state_api") / "dashboard", ""))


def _assets(folder: Traversable, prefix: str) -> Iterator[tuple[str, Asset]]:
    for entry in folder.iterdir():
        name, suffix = prefix + entry.name, "." + entry.name.rpartition(".")[2]
        if entry.is_dir():
            yield from _assets(entry, name + "/")
        elif suffix in MEDIA_TYPES:
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            yield name, Asset(content, MEDIA_TYPES[suffix], etag)


def _answer(request: Request, path: str) -> Response:
    asset = assets().get(path)
    if asset is None:
        raise HTTPException(404)
    headers = {**_HEADERS, "ETag": asset.etag}
    known = request.headers.get("If-None-Match", "")
    if asset.etag in (one.strip().removeprefix("W/") for one in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(asset.content, headers=headers, media_type=asset.media_type)
