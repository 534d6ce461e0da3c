"""What the pages for operators tell them to type beside a `make up`, typed as it stands there."""

import json
import re
from collections.abc import Iterator

import pytest

from support.documentation import commands
from support.terminal import Terminal


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    with Terminal(tmp_path_factory.mktemp("repository")) as terminal:
        terminal.start()
        yield terminal


def test_a_user_gets_her_first_mail(terminal: Terminal) -> None:
    printed = terminal.type(commands("install.md", "a user and a message"))
    assert printed.endswith("Subject: hello\n\nThe first mail.\n")


def test_settings_change_while_it_runs(terminal: Terminal) -> None:
    printed = terminal.type(commands("configure.md", "settings while it runs"))
    assert "600" in printed
    assert printed.splitlines()[-1].endswith("300")


def test_who_did_what_is_shown_and_set_back(terminal: Terminal) -> None:
    printed = terminal.type(commands("audit.md", "who did what"))
    assert re.search(r"settings\.change +timeout_seconds +[36]00 +240", printed)
    assert re.search(r"timeout is [36]00 again \(it was 240, set by admin\)", printed)


def test_unique_ids_of_the_server_before_are_taken_over(terminal: Terminal) -> None:
    mail = terminal.folder / "data" / "mail"
    (mail / "alice" / "courierpop3dsizelist").write_text("/3 9 1234567\n1.first.host 34 7:1234567:0\n")
    (mail / "demo" / "courierpop3dsizelist").write_text("/3 1 1234567\n")
    printed = terminal.type(commands("configure.md", "unique-ids of the server before"))
    assert printed.count("alice  1 of 1 messages keep their unique-ids") == 2
    listed = terminal.type("curl --silent --show-error pop3://alice:secret@127.0.0.1:1110/ --request UIDL")
    assert listed.split() == ["1", "UID7-1234567"]


def test_users_of_another_server_move_in_and_out(terminal: Terminal) -> None:
    printed = terminal.type(commands("users.md", "users of another server"))
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("added")] == ["1", "1"]
    printed = terminal.type(commands("users.md", "users over HTTP"))
    assert [one["outcome"] for one in json.loads(printed)["results"]] == ["added", "added"]
    printed = terminal.type(commands("users.md", "users as a file"))
    assert (terminal.folder / "users-and-hashes").stat().st_mode & 0o777 == 0o600
    assert printed.splitlines()[-1] == "skipped  0"


def test_users_of_a_list_get_passwords(terminal: Terminal) -> None:
    printed = terminal.type(commands("users.md", "users of a list"))
    assert printed.splitlines()[-1] == "removed frank but not the mail"
    made = (terminal.folder / "made-passwords").read_text().splitlines()
    assert [line.partition(":")[0] for line in made] == ["erin", "frank"]


def test_fifty_users_are_added_with_the_passwords_of_a_list(terminal: Terminal) -> None:
    printed = terminal.type(commands("users.md", "fifty users"))
    assert printed.splitlines()[-1] == "50"
    url = "pop3://pupil50:secret-50@127.0.0.1:1110/"
    assert terminal.type(f"curl --silent --show-error --list-only {url} && echo fetched").split() == [
        "fetched"
    ]


def test_users_are_suspended_and_networks_banned_and_exempted(terminal: Terminal) -> None:
    printed = terminal.type(commands("refusals.md", "suspend and ban"))
    assert re.search(r"^suspend +alice +.* admin +the bill is not paid", printed, re.MULTILINE)
    assert re.search(r"^ban +2001:db8::/32 +- +admin +too many guesses", printed, re.MULTILINE)
    assert printed.splitlines()[-1] == "lifted the suspension of alice"


def test_the_cause_is_shown_when_all_were_cut_off_or_a_user_cannot_log_in(terminal: Terminal) -> None:
    printed = terminal.type(commands("troubleshooting.md", "all were cut off"))
    assert "OK: " in printed
    assert re.search(r"session.close|refusal.lift|settings.change", printed)
    terminal.type("! curl --silent --list-only pop3://alice:guessed@127.0.0.1:1110/")
    printed = terminal.type(commands("troubleshooting.md", "a user cannot log in"))
    assert "wrong password" in printed
    assert re.search(r"user.suspend +alice", printed)


def test_administrators_and_tokens_are_made_while_it_runs(terminal: Terminal) -> None:
    printed = terminal.type(commands("administrators.md", "administrators while it runs"))
    assert printed.splitlines()[-1] == "removed the administrator bob"
    printed = terminal.type(commands("administrators.md", "a token"))
    assert '"current_connections":' in printed
    assert "127.0.0.0/8" in printed
    assert printed.splitlines()[-1] == "revoked the token prometheus"


def test_numbers_are_there_for_prometheus(terminal: Terminal) -> None:
    printed = terminal.type(commands("monitoring.md", "numbers"))
    names = [line.split()[0] for line in printed.splitlines() if line.startswith("peep_")]
    assert sorted(names) == ["peep_pop3_connections", "peep_pop3_logins_total", "peep_store_up"]


def test_numbers_are_there_for_scripts(terminal: Terminal) -> None:
    printed = terminal.type(commands("monitoring.md", "numbers for scripts"))
    counters, rest = json.JSONDecoder().raw_decode(printed)
    assert "current_connections" in counters
    assert rest < len(printed)


def test_the_history_and_the_health_of_a_system_can_be_typed(terminal: Terminal) -> None:
    printed = terminal.type(commands("monitoring.md", "history"))
    assert "retrieved_bytes" in printed
    assert "OK: " in printed
    assert (terminal.folder / "year.csv").read_text().startswith("time,current_connections,")


def test_a_copy_of_a_stopped_system_is_a_whole_one(terminal: Terminal) -> None:
    terminal.type("printf 'secret\\n' | .venv/bin/peepctl users add dora")
    terminal.stop()
    terminal.type(commands("backup.md", "copy of a stopped system"))
    terminal.type("rm -r data && mv data.backup data")
    terminal.start()
    assert "dora" in terminal.type(".venv/bin/peepctl users list").split()
