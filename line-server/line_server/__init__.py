"""TCP services that speak CRLF lines: listener, line buffer, back-pressure, deadlines, drain. No protocol in it."""
