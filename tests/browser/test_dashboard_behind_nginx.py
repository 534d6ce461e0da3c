"""The dashboard in a browser on another machine, by plain http and nginx: no `Sec-Fetch-Site` comes."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.dashboard import Dashboard, chromium
from support.http_proxies import DEFAULTS, DOCUMENTED, nginx
from support.peep_services import Peep

NAME = "peep.example.org"


@pytest.mark.parametrize("server", [DEFAULTS, DOCUMENTED["nginx"]], ids=["defaults", "documented"])
def test_sign_in_works_by_the_documented_nginx_and_says_what_others_lack(
    peep: Peep, tmp_path: Path, server: str
) -> None:
    api_port = int(peep.api.url.rpartition(":")[2])
    with (
        nginx(server, api_port, tmp_path) as port,
        chromium(f"--host-resolver-rules=MAP {NAME} 127.0.0.1") as browser,
    ):
        dashboard = Dashboard(browser, f"http://{NAME}:{port}")
        if server is DOCUMENTED["nginx"]:
            dashboard.enter("Users")
        else:
            dashboard.sign_in()
            expect(dashboard.page.locator("#sign-in")).to_contain_text("proxy_set_header Host $http_host;")
        # Not `check`: the browser complains of a header that it heeds over https only.
