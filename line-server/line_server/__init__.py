"""TCP services that speak CRLF lines: listener, line buffer, back-pressure, drain. No protocol in it."""
