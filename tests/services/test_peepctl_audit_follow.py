"""`peepctl audit --follow` in a terminal, beside a running state-api that is also killed meanwhile."""

from pathlib import Path

from support.api_process import ADMINISTRATOR
from support.api_service import ApiService
from support.peepctl_program import Peepctl, ended


def test_what_comes_is_shown_as_it_comes_whatever_happens_to_the_server(
    redis_url: str, tmp_path: Path
) -> None:
    with ApiService(redis_url, tmp_path) as api:
        name, password = ADMINISTRATOR
        peepctl = Peepctl(tmp_path, PEEPCTL_HTTP=api.url, PEEPCTL_USER=name, PEEPCTL_PASSWORD=password)
        api.add_user("before")
        terminal = peepctl.terminal("audit", "--follow", "--action", "user", size=(24, 200))
        terminal.expect("WHO +DOOR")
        terminal.expect(r"user\.add +before")
        api.add_user("meanwhile")
        terminal.expect(r"user\.add +meanwhile")
        api.kill()
        api.start()
        api.add_user("afterwards")
        terminal.expect(r"user\.add +afterwards")
        terminal.sendintr()
        assert ended(terminal) == 0
