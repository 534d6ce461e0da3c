"""SCRAM-SHA-256 over POP3, as a careful client does it."""

import base64

from scramp import ScramClient  # type: ignore[import-untyped]

from support.pop3_process import Pop3Client


def encoded(text: str) -> str:
    """Return text in base64."""
    return base64.b64encode(text.encode()).decode()


def scram(client: Pop3Client, username: str, password: str, *, says_at_once: bool = True) -> bytes:
    """Log in by SCRAM-SHA-256 as a careful client does, and return the final reply."""
    dialogue = ScramClient(["SCRAM-SHA-256"], username, password)
    first = encoded(dialogue.get_client_first())
    if says_at_once:
        answer = client.ask(f"AUTH SCRAM-SHA-256 {first}")
    else:
        assert client.ask("AUTH SCRAM-SHA-256") == b"+ \r\n"
        answer = client.ask(first)
    assert answer.startswith(b"+ "), answer
    dialogue.set_server_first(base64.b64decode(answer[2:]).decode())
    answer = client.ask(encoded(dialogue.get_client_final()))
    if answer.startswith(b"-ERR"):
        return answer
    dialogue.set_server_final(base64.b64decode(answer[2:]).decode())
    return client.ask("")
