"""`peepctl shell`: `words` explains replies, `completing` completes commands, `dialogue` runs the loop."""
