"""Peep's state over HTTP: the same settings, users and counters as PEEP, for tools and dashboards."""
