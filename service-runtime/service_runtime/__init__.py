"""What all services share around their own work: settings, logs, signals, supervision."""

from importlib.metadata import version

VERSION = version("peep")
