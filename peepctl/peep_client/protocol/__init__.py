"""PEEP for clients, without sockets: requests out, octets in, replies and records out."""
