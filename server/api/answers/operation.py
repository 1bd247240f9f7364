"""What machines that watch this one are told."""

from typing import Literal

from server.api.answers.base import Answer


class Health(Answer):
    status: Literal["ok"]


class Ready(Answer):
    """models: the state of each."""

    status: Literal["ready", "not ready"]
    models: dict[str, str]


class Version(Answer):
    version: str
