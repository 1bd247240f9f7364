"""The base of every part of a model config."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Frozen, and unknown fields are refused: a typo in a config must not pass silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)
