"""What machines that watch this one are told."""

from typing import Literal

from server.api.answers.base import Answer


class Health(Answer):
    status: Literal["ok", "stopping"]


class Ready(Answer):
    """models: the state of each."""

    status: Literal["ready", "not ready", "stopping"]
    models: dict[str, str]


class Version(Answer):
    version: str
