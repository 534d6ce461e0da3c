"""`peepctl shell`: `words` explains replies, `completing` completes what is typed, `dialogue` runs it."""
