"""`peepctl up`: `foreground` runs `system`, which starts the `embedded` store and the three services."""
