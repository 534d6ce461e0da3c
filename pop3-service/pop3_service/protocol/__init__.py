"""POP3 without a socket: octets and decisions in, octets and intentions out.

Reading order: `commands` (what a client may say), `replies` (what it is told), `maildrop` (what a
session sees), `session` (how the one follows from the other), `multiline` (messages on the wire).
Nothing here waits, opens a file or looks at a clock, so whole conversations run as plain calls.
"""
