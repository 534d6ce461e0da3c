"""The pages in docs/delivery name for each address the maildir in which Peep looks."""

import re

import pytest

from service_runtime.maildir_layout import MaildirLayout
from support.mail_servers import LAYOUTS, MAIL_DIRECTORY, ON_THE_PAGES, PAGES, SERVERS, configuration


def table_of(server: str, layout: str) -> dict[str, str]:
    """Return where a page says that each address's maildir lies."""
    files = configuration(PAGES / f"{server}.md", layout)
    if server == "dovecot":
        options = dict(re.findall(r"(\S+) = (\S+)", files["/etc/dovecot/conf.d/99-peep.conf"]))
        location = options["mail_location"].removeprefix("maildir:").replace("~", options["mail_home"])
        rows = [row.partition(":")[0] for row in files["/etc/dovecot/peep-users"].splitlines()]
        return {row: dovecots(location, row).removeprefix(f"{MAIL_DIRECTORY}/") for row in rows}
    (table,) = (text for path, text in files.items() if path.endswith("/peep-mailboxes"))
    return dict(re.split(r":? +", row.removesuffix("/"), maxsplit=1) for row in table.splitlines())


def dovecots(location: str, address: str) -> str:
    local, _, domain = address.rpartition("@")
    return location.replace("%u", address).replace("%d", domain).replace("%n", local)


def test_there_is_a_page_for_each_server() -> None:
    assert sorted(page.stem for page in PAGES.glob("*.md")) == sorted(SERVERS)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("server", SERVERS)
def test_page_puts_each_address_where_peep_looks(server: str, layout: str) -> None:
    where = MaildirLayout(layout)
    assert table_of(server, layout) == {address: where.folder_of(address) for address in ON_THE_PAGES}
