"""Setting an account's tokens, several at once."""

import asyncio

import pytest

from tests.api.asksage.conftest import Town, said

pytestmark = pytest.mark.anyio


async def _payer(town: Town) -> tuple[int, str]:
    await town.administration.create_account("payer", email="p@example.org")
    account = await town.administration.accounts.account_of("p@example.org")
    assert account is not None
    [user] = await said(town.admin, "/user/admin-get-all-users-with-tokens", {"email": "p@example.org"})
    return user["id"], account.id


async def test_several_who_set_the_same_at_once_set_it_once(town: Town) -> None:
    number, account = await _payer(town)
    for route, tokens in (("admin-update-user-tokens", 7000), ("admin-update-user-train-tokens", 9000)):
        body = {"id": number, "tokens": tokens}
        told = await asyncio.gather(*(said(town.admin, f"/user/{route}", body) for _ in range(8)))
        assert told == ["OK"] * 8
        assert (await town.administration.ledger.balance(account)).balance == tokens / 1000


async def test_of_several_who_set_it_differently_at_once_one_is_the_last(town: Town) -> None:
    number, account = await _payer(town)
    bodies = [{"id": number, "tokens": tokens} for tokens in (1000, 5000, 3000)]
    told = await asyncio.gather(*(said(town.admin, "/user/admin-update-user-tokens", body) for body in bodies))
    assert told == ["OK"] * 3
    assert (await town.administration.ledger.balance(account)).balance in (1, 5, 3)
    assert await town.administration.ledger.discrepancies() == []
