"""The administrators that a first start makes: once, and a password is shown even after a lost answer."""

from typing import Any

import pytest

from state_store.administrators import Administrator
from state_store.credentials.administrators import FIRST_ADMINISTRATOR, Administrators
from state_store.credentials.passwords import Passwords
from state_store.errors import StoreUnavailable
from state_store.records import Credential
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.cheap_passwords import cheap_passwords


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return cheap_passwords()


class ForgetfulRepository(StateRepository):
    """Loses the answer to the next change of administrators."""

    loses_answer = False

    async def replace_administrators(self, *given: Any, **named: Any) -> bool:
        done = await super().replace_administrators(*given, **named)
        if self.loses_answer:
            self.loses_answer = False
            raise StoreUnavailable("answer lost on purpose")
        return done


async def fits(passwords: Passwords, repository: StateRepository, password: str) -> bool:
    known = (await repository.administrators())[FIRST_ADMINISTRATOR].password_hash
    return await passwords.is_right("", Credential(known, known), password)


async def test_the_first_start_makes_an_administrator_and_no_later_one_does(
    repository: StateRepository, passwords: Passwords
) -> None:
    password = await Administrators(repository, passwords, {}, by=OPERATOR).install()
    assert password is not None
    assert await fits(passwords, repository, password)
    assert await Administrators(repository, passwords, {}, by=OPERATOR).install() is None
    assert await fits(passwords, repository, password)


async def test_the_password_is_shown_after_a_lost_answer(redis_url: str, passwords: Passwords) -> None:
    repository = ForgetfulRepository(redis_url)
    administrators = Administrators(repository, passwords, {}, by=OPERATOR)
    repository.loses_answer = True
    with pytest.raises(StoreUnavailable):
        await administrators.install()
    password = await administrators.install()
    assert password is not None
    assert await fits(passwords, repository, password)
    assert await administrators.install() is None
    await repository.close()


async def test_of_two_first_starts_one_makes_the_administrator(
    repository: StateRepository, passwords: Passwords
) -> None:
    front_ends = [Administrators(repository, passwords, {}, by=OPERATOR) for _ in range(2)]
    shown = [password for one in front_ends if (password := await one.install()) is not None]
    assert len(shown) == 1
    assert await fits(passwords, repository, shown[0])
    await front_ends[1].name_again()
    assert list(await repository.administrators()) == [FIRST_ADMINISTRATOR]


async def test_of_two_front_ends_that_start_at_once_the_second_keeps_the_hashes_of_the_first(
    repository: StateRepository, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"root": "secret", "jane": "hidden"}
    slow, fast = (Administrators(repository, passwords, given, by=OPERATOR) for _ in range(2))
    read = repository.administrators

    async def overtaken() -> dict[str, Administrator]:
        seen = await read()
        monkeypatch.setattr(repository, "administrators", read)
        await fast.install()
        made.update(await read())
        return seen

    made: dict[str, Administrator] = {}
    monkeypatch.setattr(repository, "administrators", overtaken)
    await slow.install()
    assert (sorted(made), await read()) == (["jane", "root"], made)
    await fast.change({"root": "changed"})
    assert sorted(await read()) == ["jane", "root"], "the slow one still names jane"
