"""Modules that a test executes once more, whatever was imported before."""

import importlib.util
from pathlib import Path
from types import ModuleType


def executed(file: Path) -> ModuleType:
    """Execute a file as a module of its own, which nothing else can import."""
    specification = importlib.util.spec_from_file_location(f"{file.stem}_anew", file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
