"""What machines that watch this one are told."""

from typing import Literal

from pydantic import Field

from server.api.answers.base import Answer


class Health(Answer):
    status: Literal["ok"]


class Ready(Answer):
    """models: the state of each. outages: what else is down, `database` or `limits`; absent while nothing is."""

    status: Literal["ready", "not ready"]
    models: dict[str, str]
    outages: dict[str, str] = Field(default_factory=dict)


class Version(Answer):
    version: str
