"""`peepctl top`: `history` counts, `screen` draws, `keys` reads the keyboard, `watching` runs all of it."""
