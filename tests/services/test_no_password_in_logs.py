"""No password that anybody sends is in anything that a service writes, also at debug level."""

import base64
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from support.pop3_process import SECONDS, wait_until

ADMINISTRATOR = "admin-pw-hhGQ1"
GIVEN_OVER_PEEP = "given-pw-Kq8Zt"
GIVEN_OVER_HTTP = "given-pw-Rm4Wv"
WRONG = "wrong-pw-Yx7Lb"
MALFORMED = "broken-pw-Np2Jd"
PASSWORDS = (ADMINISTRATOR, GIVEN_OVER_PEEP, GIVEN_OVER_HTTP, WRONG, MALFORMED)


@contextmanager
def running(program: str, redis_url: str, folder: Path) -> Iterator[tuple[int, Path]]:
    """Run a program with debug logs; give its port and the file of all that it writes."""
    log = folder / f"{program}.log"
    settings = {
        "PEEP_REDIS_URL": redis_url,
        "PEEP_ADMINS": f"root:{ADMINISTRATOR}",
        "PEEP_MAIL_DIR": str(folder),
        "PEEP_POP3_PORT": "0",
        "PEEP_PORT": "0",
        "PEEP_HTTP_PORT": "0",
        "PEEP_POP3_WORKERS": "1",
        "PEEP_LOG_LEVEL": "debug",
        "PEEP_LOG_FORMAT": "json",
        "PEEP_DRAIN_SECONDS": "0",
    }
    given = {name: value for name, value in os.environ.items() if not name.startswith("PEEP_")}
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", program], env={**given, **settings}, stdout=file, stderr=file
        ) as process,
    ):
        try:
            ready = re.compile(r'127\.0\.0\.1:(\d+)".*"event": "ready"')
            wait_until(lambda: ready.search(log.read_text()) is not None, f"{program} is ready")
            found = ready.search(log.read_text())
            assert found is not None
            yield int(found[1]), log
        finally:
            process.terminate()
            process.wait(SECONDS)


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
            stack.enter_context(running(program, redis_url, tmp_path))
            for program in ("peep_gateway", "state_api", "pop3_service")
        )
        use_peep(gateway[0])
        use_http(api[0])
        use_pop3(pop3[0])
    written = {log.name: log.read_text() for _, log in (gateway, api, pop3)}
    assert len(written) == 3
    assert "session ended" in written["pop3_service.log"]
    found = [(name, password) for name, text in written.items() for password in PASSWORDS if password in text]
    assert found == []
