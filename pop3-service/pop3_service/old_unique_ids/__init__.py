"""`unique-ids import`: copies the unique-ids that another server gave its messages into the maildirs."""
