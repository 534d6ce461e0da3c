"""Who acts in tests that are not about that."""

from state_store.audit import Actor, Door

OPERATOR = Actor("operator", Door.MACHINE, "host.example")
