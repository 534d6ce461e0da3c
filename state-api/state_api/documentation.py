"""The OpenAPI document, and `/docs`: the same as one page for people, without files from other hosts."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse

from state_api.documentation_examples import example, forms
from state_api.errors import NAMED_KINDS, PROBLEM_MEDIA_TYPE

DESCRIPTION = """\
Shows and changes the same settings, users and counters as PEEP, for tools and dashboards.
Everything under `/v1` needs an administrator's name and password (HTTP Basic, the ones of PEEP) or an API
token (Bearer), with the role that the request demands: `read`, `helpdesk`, which includes `read`, or `all`.
Every error is `application/problem+json` (RFC 9457), also for a body over 64 KiB, an unknown path or a method
that a path does not have (413, 404, 405). Answers carry `X-Request-ID`, as the
logs do; a request may bring its own: up to 64 letters, digits, dots, dashes and underscores. JSON answers to
GET carry an `ETag`: a client that sends it as `If-None-Match` gets 304 while nothing has changed. An unknown
query parameter is an error (422), which names the known ones."""

TAGS = [
    {"name": "settings", "description": "What operators change while the server runs."},
    {"name": "users", "description": "POP3 users and their passwords."},
    {"name": "refusals", "description": "Suspended users, banned and exempt networks."},
    {"name": "administrators", "description": "Who may do what: administrators, their roles, API tokens."},
    {
        "name": "monitoring",
        "description": "Counters, sessions, who is logged in, and what happens, over all POP3 instances.",
    },
    {"name": "audit", "description": "What administrators have done: who, when, and how."},
    {"name": "health", "description": "For supervisors and load balancers; without a password."},
]

_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; background: #8882; padding: .1em .3em; }
h3 { margin: 2rem 0 .3rem; } dt { font-weight: 600; } dd { margin: 0 0 .4rem 1.5rem; }
:root { color-scheme: light dark; }"""

_UNUSED_SCHEMAS = ("HTTPValidationError", "ValidationError")
"""The framework's own: it adds them to whatever takes a parameter, also where any value is right."""

_REQUEST_ID_HEADER = {
    "X-Request-ID": {
        "description": "The request's own, where it brought one; as in the logs.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    }
}

_ENTITY_TAG_HEADER = {"description": "For `If-None-Match`.", "schema": {"type": "string"}}

_TOKEN_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "peep_...",
    "description": "An API token.",
}

router = APIRouter()


class DocumentedApi(FastAPI):
    """A FastAPI application whose document gives errors the media type that they have."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            for path, method, operation in _operations(document):
                operation["responses"] = dict(_responses(operation["responses"]))
                if method == "GET" and path.startswith("/v1/"):
                    _document_tags(operation["responses"])
                if role := demanded_role(operation):
                    operation["security"].append({"token": [role]})
            document["components"]["securitySchemes"]["token"] = _TOKEN_SCHEME
            for name in _UNUSED_SCHEMAS:
                document["components"]["schemas"].pop(name, None)
        return super().openapi()


@router.get("/docs", include_in_schema=False)
async def show_documentation(request: Request) -> HTMLResponse:
    """Return the document as one plain page."""
    page = "\n".join(_page(request.app.openapi()))
    return HTMLResponse(
        page,
        headers={
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        },
    )


def demanded_role(operation: dict[str, Any]) -> str:
    """Return the role that an operation of the document demands; empty where anybody may ask."""
    # OpenAPI 3.1, 4.8.30: for other schemes than OAuth the list names roles.
    return str(operation["security"][0]["administrator"][0]) if "security" in operation else ""


def _responses(responses: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for status, response in responses.items():
        headers = {**_REQUEST_ID_HEADER, **response.get("headers", {})}
        if status < "400":
            yield status, {**response, "headers": headers}
            continue
        content = response["content"]["application/json"]
        if content["schema"]["$ref"].rpartition("/")[2] not in _UNUSED_SCHEMAS:
            yield status, {**response, "headers": headers, "content": {PROBLEM_MEDIA_TYPE: content}}


def _document_tags(responses: dict[str, dict[str, Any]]) -> None:
    answer = responses["200"]
    if "application/json" in answer["content"]:
        answer["headers"] = {"ETag": _ENTITY_TAG_HEADER, **answer["headers"]}
        headers = {"ETag": _ENTITY_TAG_HEADER, **_REQUEST_ID_HEADER}
        responses["304"] = {"description": "The client has it: `If-None-Match`.", "headers": headers}


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method.upper(), operation


def _page(document: dict[str, Any]) -> Iterator[str]:
    info = document["info"]
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(info['title'])}</title>"
    yield f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>"
    yield f"<h1>{html.escape(info['title'])} {html.escape(info['version'])}</h1>"
    yield f"<p>{_prose(info['description'])}</p>"
    yield "<pre>curl -u admin http://127.0.0.1:8110/v1/counters</pre>"
    yield "<p>For programs: <a href=/openapi.json>openapi.json</a></p><h2>Requests</h2>"
    schemas = document["components"]["schemas"]
    for path, method, operation in _operations(document):
        yield from _operation(path, method, operation, schemas)
    yield "<h2>What they hold</h2>"
    for name, schema in schemas.items():
        yield f"<h3 id='{name}'>{name}</h3><p>{_prose(schema.get('description', ''))}</p>"
        yield from _fields(schema)
    yield "<h2>Kinds of errors</h2><dl>"
    for kind in NAMED_KINDS:
        yield f"<dt id='{kind.name}'>{kind.status} {kind.title}<dd>{_prose(kind.detail)}"
    yield "</dl></html>"


def _operation(path: str, method: str, operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    yield f"<h3 id='{operation['operationId']}'><code>{method} {path}</code></h3>"
    yield f"<p>{_prose(operation['summary'])}. {_prose(operation.get('description', ''))}</p><dl>"
    if role := demanded_role(operation):
        yield f"<dt>Role<dd><code>{role}</code>"
    for parameter in operation.get("parameters", ()):
        described = parameter.get("description") or parameter["schema"].get("description", "")
        yield f"<dt><code>{parameter['name']}</code> ({parameter['in']})<dd>{_prose(described)}"
    if "requestBody" in operation:
        yield f"<dt>Body<dd>{_content(operation['requestBody'])}"
        yield from _examples(operation["requestBody"], schemas)
    for status, response in sorted(operation["responses"].items()):
        yield f"<dt>{status}<dd>{_prose(response['description'])} {_content(response)}"
        yield from _headers(response)
        if status < "300":
            yield from _examples(response, schemas)
    yield "</dl>"


def _headers(response: dict[str, Any]) -> Iterator[str]:
    for name, header in response["headers"].items():
        if name not in _REQUEST_ID_HEADER:
            yield f"<dd><code>{name}</code>: {_prose(header['description'])}"


def _examples(holder: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    for form in forms(holder.get("content", {}).get("application/json", {}).get("schema", {})):
        if form:
            text = json.dumps(example(form, schemas), indent=2, ensure_ascii=False)
            yield f"<dd><pre>{html.escape(text)}</pre>"


def _content(holder: dict[str, Any]) -> str:
    streams = [content["example"] for content in holder.get("content", {}).values() if "example" in content]
    if streams:
        return "".join(f"<pre>{html.escape(stream)}</pre>" for stream in streams)
    schemas = (content.get("schema", {}) for content in holder.get("content", {}).values())
    forms = (form for schema in schemas for form in schema.get("oneOf", [schema]))
    names = [form["$ref"].rpartition("/")[2] for form in forms if "$ref" in form]
    return " or ".join(f"<a href='#{name}'>{name}</a>" for name in names)


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    yield "<dl>"
    for name, field in schema.get("properties", {}).items():
        bounds = [
            f"{word} {field[word]}"
            for word in ("minimum", "maximum", "minLength", "maxLength")
            if word in field
        ]
        notes = ", ".join([field.get("type", ""), *bounds]).strip(", ")
        yield f"<dt><code>{name}</code> {notes}<dd>{_prose(field.get('description', ''))}"
    yield "</dl>"


def _prose(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
