"""POP3 without a socket: octets and decisions in, octets and intentions out.

Reading order: `commands`, `replies`, `maildrop` (what a session sees of its mail), `session` (from command to
reply), `multiline` (messages on the wire). Nothing here waits, opens a file or reads a clock: whole
conversations are plain calls.
"""
