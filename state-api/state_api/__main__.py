"""`peep-state-api` (`python -m state_api`): serve HTTP; with `health` check whether it is ready."""

import sys

from state_api import health


def main() -> int:
    """Carry out the command line, and return the process's exit code."""
    if sys.argv[1:] == ["health"]:
        return health.main()
    # Imported only here: a check runs every few seconds, and needs nothing of the service.
    from service_runtime.quick_imports import quick_imports

    # structlog looks for rich, to show variables in tracebacks; FastAPI for Pydantic 1, to refuse its models.
    with quick_imports("rich", "pydantic.v1"):
        import warnings

        from pydantic import BaseModel
        from pydantic.warnings import UnsupportedFieldAttributeWarning

        # FastAPI mutes this one while it declares the fields; in the log it would be lines that are no JSON.
        warnings.filterwarnings("ignore", category=UnsupportedFieldAttributeWarning)
        # A model is built when it is first used: the 40 of OpenAPI when somebody reads the document.
        BaseModel.model_config = {"defer_build": True}
        from state_api import service

        BaseModel.model_config = {}

    return service.main()


if __name__ == "__main__":
    sys.exit(main())
