"""/user/get-token-with-api-key: a key for a token that ends by itself."""

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from server.accounts.keys.tokens import Exchanged
from server.api.answers.asksage import TokenAnswer
from server.api.asksage import body as bodies
from server.api.asksage.dialect import answered
from server.api.context import record_of
from server.api.deps import ServicesDep
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.services import Services
from server.api.validation import Body
from server.errors import AccountClosed, NotAuthenticated

router = APIRouter(route_class=PlainRoute)
"""Needs no key but the one in its body."""

MOST_BYTES = 64 * 1024


class ExchangeBody(Body):
    """email: the account's own, where it has one; any other, or none, is taken otherwise."""

    email: str | None = None
    api_key: str = Field(min_length=1)


@router.post("/get-token-with-api-key")
@documented(
    body=ExchangeBody,
    form=ExchangeBody,
    answer=TokenAnswer,
    examples={"a key": {"email": "ann@example.com", "api_key": "sk-sage-…"}},
)
async def get_token(request: Request, services: ServicesDep) -> Response:
    """A token in exchange for a key: it is good wherever the key is, for 24 hours or as long as the key is."""
    body = (await bodies.read(request, ExchangeBody, limit=MOST_BYTES)).body
    if services.settings.auth == "off":  # every token is as good as none
        return _token(body.api_key)
    client = record_of(request.scope).client
    try:
        exchanged = await services.accounts.exchange(body.api_key, body.email)
    except AccountClosed:
        await services.failed_keys.failed(client)
        raise
    await _note(services, exchanged, client)
    if exchanged.token is None:
        await services.failed_keys.failed(client)
        raise NotAuthenticated("The e-mail address or the API key is wrong.", code="invalid_credentials")
    return _token(exchanged.token)


async def _note(services: Services, exchanged: Exchanged, client: str | None) -> None:
    """For the account's list of logins. Who brings no key that is known has no account to be noted for."""
    if services.knowledge is not None and exchanged.account_id is not None:
        await services.knowledge.users.logged_in(exchanged.account_id, client, exchanged.token is not None)


def _token(token: str) -> Response:
    return answered({"response": {"access_token": token}, "status": "200"})
