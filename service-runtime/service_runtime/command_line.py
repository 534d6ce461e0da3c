"""The command line that all services have."""

import argparse
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from service_runtime import VERSION, process, settings

_Settings = TypeVar("_Settings", bound=settings.CommonSettings)


def run(
    service: str,
    description: str,
    settings_class: type[_Settings],
    serve: Callable[[_Settings, process.Lifecycle], Coroutine[Any, Any, None]],
) -> int:
    """Do what the command line says and return the process's exit code.

    `health` alone does not come here: each package's `__main__` sees to it.
    """
    _parser(service, description, settings_class).parse_args()
    return process.run(service, settings_class, serve)


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
