"""Query parameters that a route does not heed: what was mistyped must not look as if it was."""

from collections import Counter
from collections.abc import Iterator
from typing import get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel

from state_api.dependencies import find_proof
from state_api.errors import INVALID, MAX_FIELD_ERRORS, MAX_FIELD_NAME, Refused
from state_api.schemas import FieldError


async def refuse_unknown_parameters(request: Request) -> None:
    """Raise `Refused` with each query parameter that the route does not take, or takes once only."""
    if not request.scope["query_string"]:
        return
    known = dict(_parameters(request.scope["route"].dependant))
    times = Counter(name for name, _ in request.query_params.multi_items())
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    wrong = {name: f"is no parameter of this request: {takes}" for name in times if name not in known}
    wrong |= {
        name: "can be given only once" for name in times if times[name] > 1 and not known.get(name, True)
    }
    if not wrong:
        return
    if request.url.path.startswith("/v1/"):
        # A stranger is told so first, and the log names who was wrong.
        await find_proof(request)
    errors = [FieldError(field=name[:MAX_FIELD_NAME], message=why) for name, why in wrong.items()]
    raise Refused(INVALID, errors[:MAX_FIELD_ERRORS])


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Yield the name of each parameter, and whether it may be given several times."""
    for parameter in dependant.query_params:
        annotation = parameter.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from ((name, False) for name in annotation.model_fields)
        else:
            yield parameter.alias, any(get_origin(one) is list for one in (annotation, *get_args(annotation)))
    for dependency in dependant.dependencies:
        yield from _parameters(dependency)
