"""The dashboard's files: what is served and how, and that vendored ones are as they were published."""

import hashlib
import re
from pathlib import Path

import pytest

from state_api.routers.dashboard import MEDIA_TYPES, assets
from support.api_client import api_client

FOLDER = Path(__file__).parents[2] / "state-api/state_api/dashboard"
VENDOR = FOLDER / "vendor"
OWN_TEXTS = [
    path for path in sorted(FOLDER.rglob("*.*")) if path.suffix in MEDIA_TYPES and "vendor" not in path.parts
]


async def test_the_page_is_served_to_anybody_under_a_strict_policy() -> None:
    async with api_client(auth=None) as client:
        response = await client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("main.js", "text/javascript; charset=utf-8"),
        ("style/tokens.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("vendor/uPlot.iife.min.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_each_kind_of_file_has_its_type(path: str, media_type: str) -> None:
    async with api_client(auth=None) as client:
        response = await client.get(f"/dashboard/{path}")
    assert response.headers["content-type"] == media_type
    assert response.content == (FOLDER / path).read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "nothing.js",
        "../errors.py",
        "%2e%2e/errors.py",
        "vendor",
        "vendor/",
        "vendor/SHA256SUMS",
        "/main.js",
    ],
)
async def test_nothing_else_is_served(path: str) -> None:
    async with api_client(auth=None) as client:
        assert (await client.get(f"/dashboard/{path}")).status_code == 404


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}'])
async def test_a_file_that_is_known_is_not_sent_again(form: str) -> None:
    async with api_client(auth=None) as client:
        etag = (await client.get("/dashboard/main.js")).headers["etag"]
        response = await client.get("/dashboard/main.js", headers={"If-None-Match": form.format(etag)})
        outdated = await client.get("/dashboard/main.js", headers={"If-None-Match": '"other"'})
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == etag
    assert outdated.status_code == 200


def test_vendored_files_are_as_they_were_published() -> None:
    lines = [line.split() for line in (VENDOR / "SHA256SUMS").read_text().splitlines()]
    sums = {name: digest for digest, name in lines}
    assert set(sums) == {path.name for path in VENDOR.iterdir()} - {"SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
    assert "MIT License" in (VENDOR / "LICENSE").read_text()


def test_every_file_of_the_folder_is_served() -> None:
    on_disk = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.suffix in MEDIA_TYPES}
    assert set(assets()) == on_disk


@pytest.mark.parametrize("path", OWN_TEXTS, ids=lambda path: path.name)
def test_no_file_of_ours_names_another_host_or_needs_a_laxer_policy(path: Path) -> None:
    text = path.read_text()
    # One is a name and one the form of an address, not a place.
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg|\[\$\{text)", text)
    assert not re.search(r"\binnerHTML\b|\beval\(|\bnew Function\b|\bstyle=|\son[a-z]+=\"", text)


@pytest.mark.parametrize(
    "path", [one for one in OWN_TEXTS if one.suffix == ".js"], ids=lambda path: path.name
)
def test_every_import_leads_to_a_file(path: Path) -> None:
    for imported in re.findall(r'from "([^"]+)"', path.read_text()):
        assert (path.parent / imported).is_file(), imported
