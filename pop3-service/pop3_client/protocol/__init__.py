"""POP3 from the client's side, without sockets: requests as octets, octets as replies."""
