"""Query parameters that a route does not know: what was mistyped must not look as if it was heeded."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel

from state_api.dependencies import find_proof
from state_api.errors import INVALID, MAX_FIELD_ERRORS, MAX_FIELD_NAME, Refused
from state_api.schemas import FieldError


async def refuse_unknown_parameters(request: Request) -> None:
    """Raise `Refused` with each query parameter that the route of the request does not take."""
    if not request.scope["query_string"]:
        return
    known = list(dict.fromkeys(_parameters(request.scope["route"].dependant)))
    if not (unknown := [name for name in request.query_params if name not in known]):
        return
    if request.url.path.startswith("/v1/"):
        # A stranger is told so first, and the log names who was wrong.
        await find_proof(request)
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    message = f"is no parameter of this request: {takes}"
    raise Refused(
        INVALID,
        [FieldError(field=name[:MAX_FIELD_NAME], message=message) for name in unknown[:MAX_FIELD_ERRORS]],
    )


def _parameters(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        annotation = parameter.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from annotation.model_fields
        else:
            yield parameter.alias
    for dependency in dependant.dependencies:
        yield from _parameters(dependency)
