"""The dashboard in a browser on another machine, by plain http and nginx: no `Sec-Fetch-Site` comes."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from support.dashboard import NAME_OF_LOOPBACK, Dashboard
from support.http_proxies import DEFAULTS, DOCUMENTED, nginx
from support.peep_services import Peep


@pytest.mark.parametrize("server", [DEFAULTS, DOCUMENTED["nginx"]], ids=["defaults", "documented"])
def test_sign_in_works_by_the_documented_nginx_and_says_what_others_lack(
    peep: Peep, browser: Browser, tmp_path: Path, server: str
) -> None:
    api_port = int(peep.api.url.rpartition(":")[2])
    with nginx(server, api_port, tmp_path) as port:
        dashboard = Dashboard(browser, f"http://{NAME_OF_LOOPBACK}:{port}")
        if server is DOCUMENTED["nginx"]:
            dashboard.enter("Users")
        else:
            dashboard.sign_in()
            expect(dashboard.page.locator("#sign-in")).to_contain_text("proxy_set_header Host $http_host;")
        dashboard.page.close()
        # Not `check`: the browser complains of a header that it heeds over https only.
