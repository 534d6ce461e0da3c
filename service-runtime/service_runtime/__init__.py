"""What every program of Peep needs around its own work: settings, logs, signals, readiness."""

from importlib.metadata import version

VERSION = version("peep")
