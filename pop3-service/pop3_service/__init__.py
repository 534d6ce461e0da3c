"""The POP3 service: raw TCP to Maildirs, its configuration and counters in the state store."""
