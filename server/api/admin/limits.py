"""Limits as the admin API takes them."""

from typing import Annotated

from pydantic import ConfigDict, Field

from server.api.validation import Body
from server.core import Limits

Count = Annotated[int, Field(ge=0, lt=2**31)]


class LimitsBody(Body):
    """null is without limit; in a change, what is not there stays as it is."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent_requests: Count | None = None

    def all(self) -> Limits:
        return Limits(**self.model_dump())

    def named(self) -> dict[str, int | None]:
        """Only the limits that the client named."""
        return self.model_dump(exclude_unset=True)
