"""The command line that all services have: serve, or ask the one that runs here whether it is well."""

import argparse
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from service_runtime import VERSION, process, settings
from service_runtime.errors import StartError

_Settings = TypeVar("_Settings", bound=settings.CommonSettings)


def run(
    service: str,
    description: str,
    settings_class: type[_Settings],
    serve: Callable[[_Settings, process.Lifecycle], Coroutine[Any, Any, None]],
    check: Callable[[_Settings], tuple[bool, str]],
) -> int:
    """Do what the command line says and return the process's exit code.

    `check` returns whether the service is well, and a line that says so; the exit code is then 0 or 1.
    """
    if _parser(service, description, settings_class).parse_args().action == "serve":
        return process.run(service, settings_class, serve)
    try:
        is_healthy, line = check(settings.load(settings_class))
    except StartError as error:
        is_healthy, line = False, str(error)
    print(f"{service}: {line}")
    return 0 if is_healthy else 1


def _parser(
    service: str, description: str, settings_class: type[settings.CommonSettings]
) -> argparse.ArgumentParser:
    variables = [
        f"  {settings.variable(name)}: {field.description}"
        for name, field in settings_class.model_fields.items()
    ]
    parser = argparse.ArgumentParser(
        prog=f"python -m {service.replace('-', '_')}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(["environment:", *variables]),
    )
    parser.add_argument("--version", action="version", version=f"Peep {VERSION}")
    parser.add_argument(
        "action",
        nargs="?",
        choices=("serve", "health"),
        default="serve",
        help="serve (the default), or ask whether the service on this machine is well: exit code 0 or 1",
    )
    return parser
