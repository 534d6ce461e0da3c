"""Everything that Peep keeps: the only code that talks to Redis."""
