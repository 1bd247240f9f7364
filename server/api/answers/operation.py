"""What machines that watch this one are told."""

from typing import Literal

from pydantic import Field

from server.api.answers.base import Answer


class Health(Answer):
    status: Literal["ok", "stopping"]


class Ready(Answer):
    """models: the state of each. outages: what else is down, `database` or `limits`; absent while nothing is."""

    status: Literal["ready", "not ready", "stopping"]
    models: dict[str, str]
    outages: dict[str, str] = Field(default_factory=dict)


class Version(Answer):
    version: str
