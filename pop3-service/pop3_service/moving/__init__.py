"""Moves users' mail here from another POP3 server, at their first login (PEEP_MOVE_FROM)."""
