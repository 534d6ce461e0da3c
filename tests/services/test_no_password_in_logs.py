"""No password that anybody sends is in anything that a service writes, also at debug level."""

import base64
import socket
from contextlib import ExitStack
from pathlib import Path

import httpx

from support.peep_program import port_of, program
from support.pop3_process import SECONDS

ADMINISTRATOR = "admin-pw-hhGQ1"
GIVEN_OVER_PEEP = "given-pw-Kq8Zt"
GIVEN_OVER_HTTP = "given-pw-Rm4Wv"
WRONG = "wrong-pw-Yx7Lb"
MALFORMED = "broken-pw-Np2Jd"
PASSWORDS = (ADMINISTRATOR, GIVEN_OVER_PEEP, GIVEN_OVER_HTTP, WRONG, MALFORMED)


def running(name: str, redis_url: str, folder: Path, stack: ExitStack) -> tuple[int, Path]:
    """Run a program with debug logs; return its port and the file of all that it writes."""
    log = folder / f"{name}.log"
    settings = {"PEEP_ADMINS": f"root:{ADMINISTRATOR}", "PEEP_LOG_LEVEL": "debug", "PEEP_POP3_WORKERS": "1"}
    stack.enter_context(program(name, log, redis_url, **settings))
    return port_of(name, log), log


def exchange(port: int, source: str, *lines: str) -> list[str]:
    """Send lines and our end of stream; return all lines of the answer."""
    with socket.create_connection(("127.0.0.1", port), SECONDS, (source, 0)) as client:
        client.sendall("".join(f"{line}\r\n" for line in lines).encode())
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    return answer.decode().splitlines()


def use_peep(port: int) -> None:
    login = f"a root {ADMINISTRATOR}"
    assert exchange(port, "127.0.0.1", login, f"u+ alice {GIVEN_OVER_PEEP}") == ["+", "+"]
    malformed = [f"a {MALFORMED}", f"A root {MALFORMED}", f"a  root {MALFORMED}", f"u+ bob {MALFORMED}"]
    assert exchange(port, "127.0.0.2", f"a root {WRONG}", *malformed) == ["-2", "-1", "-0", "-1", "-0"]
    again = [f"a root {MALFORMED}", f"u+ {MALFORMED}", f"u+ a/b {MALFORMED}", f"{MALFORMED} alice"]
    assert exchange(port, "127.0.0.1", login, *again) == ["+", "-0", "-1", "-1", "-0"]
    overlong = f"u+ alice {MALFORMED * 30}"
    assert exchange(port, "127.0.0.1", login, overlong) == ["+", "-1"]


def use_http(port: int) -> None:
    basic = base64.b64encode(f"root:{MALFORMED}".encode()).decode()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS) as client:
        right, wrong = ("root", ADMINISTRATOR), ("root", WRONG)
        bob = {"username": "bob", "password": GIVEN_OVER_HTTP}
        assert client.post("/v1/users", auth=right, json=bob).status_code == 201
        assert client.get("/v1/users", auth=wrong).status_code == 401
        for header in (f"Basic {MALFORMED}", f"Basic {basic}!", f"Bearer {MALFORMED}", f"Basic {basic} x"):
            assert client.get("/v1/users", headers={"Authorization": header}).status_code == 401
        for body in (
            {"username": "a/b", "password": MALFORMED},
            {"username": "bob", "password": [MALFORMED]},
            {"username": "bob", "password": MALFORMED * 30},
            {"password": MALFORMED},
        ):
            answer = client.post("/v1/users", auth=right, json=body)
            assert answer.status_code == 422
            assert MALFORMED not in answer.text
        answer = client.post("/v1/users", auth=right, content=f'{{"password": "{MALFORMED}"')
        assert answer.status_code == 422
        assert MALFORMED not in answer.text


def use_pop3(port: int) -> None:
    for username, password in (("alice", GIVEN_OVER_PEEP), ("bob", GIVEN_OVER_HTTP)):
        answer = exchange(
            port, "127.0.0.1", f"USER {username}", f"PASS {password}", f"PASS {password}", "QUIT"
        )
        assert [line[:4] for line in answer] == ["+OK ", "+OK ", "+OK ", "-ERR", "+OK "]
    malformed = [f"PASS {MALFORMED}", f"PAS {MALFORMED}", f"USER {MALFORMED} {MALFORMED}", MALFORMED]
    malformed += [f"APOP alice {MALFORMED}", "USER alice", f"PASS {MALFORMED * 30}", f"PASS {MALFORMED}\0"]
    answer = exchange(port, "127.0.0.3", *malformed, "USER alice", f"PASS {WRONG}", f"PASS {WRONG}", "QUIT")
    assert sum(line.startswith("-ERR") for line in answer) == 9
    assert not any(MALFORMED in line for line in answer)


def test_no_password_is_in_anything_that_the_services_write(redis_url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        gateway, api, pop3 = (
            running(name, redis_url, tmp_path, stack)
            for name in ("peep_gateway", "state_api", "pop3_service")
        )
        use_peep(gateway[0])
        use_http(api[0])
        use_pop3(pop3[0])
    written = {log.name: log.read_text() for _, log in (gateway, api, pop3)}
    assert len(written) == 3
    assert "session ended" in written["pop3_service.log"]
    found = [(name, password) for name, text in written.items() for password in PASSWORDS if password in text]
    assert found == []
