"""`peepctl top`: `history` keeps the counters, `screen` draws, `watching` runs the loop."""
