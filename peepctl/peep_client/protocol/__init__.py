"""PEEP as a client sees it, without sockets: requests out, octets in, replies and records out."""
