"""Models and settings, as operators see them."""

from typing import Literal

from server.api.answers.base import Answer, Listing
from server.api.answers.models import Amount, Loading, Memory
from server.api.answers.models import State as LoadedState

State = LoadedState | Literal["not_installed"]


class ConfiguredModel(Answer):
    """A configured model by its own name. names: the public names that it serves. tasks: its main one first.

    reason: why it failed. refusal: why the last load was given up although nothing is wrong with the model. load: eager
    models are loaded at start, lazy ones by their first request. running: requests that its engine works on, of
    `places` at once; waiting: those that wait for it. context: tokens, once known. missing: files without which it
    can't be served, and `fetch` the command that brings them. price: credits a unit.
    """

    id: str
    engine: str
    tasks: list[str]
    description: str
    names: list[str]
    price: dict[str, str]
    state: State
    reason: str | None
    refusal: str | None
    load: Literal["eager", "lazy"]
    loading: Loading | None
    running: int
    waiting: int
    places: int
    context: int | None
    memory: Memory
    missing: list[str]
    fetch: str | None


class Books(Answer):
    """Bytes. budget: what all may hold together. held: in the books, by model, with `front end` for the rest; reported:
    by the machine."""

    budget: Amount
    held: dict[str, Amount]
    reported: dict[str, Amount]


class ConfiguredModels(Listing[ConfiguredModel]):
    memory: Books


class PassedCheck(Answer):
    """A part of a probe that came through."""

    task: str
    asked: str
    answered: str


class Probed(Answer):
    """passed: whether all of it came through. reason: what was asked and came where it did not."""

    model: str
    passed: bool
    reason: str | None
    seconds: float
    checks: list[PassedCheck]


class Setting(Answer):
    """name: of its environment variable. value, default: as they are written there; empty where nothing is set.

    source: where the value in force comes from. secret: whether a part of it is not shown.
    """

    name: str
    value: str
    default: str
    source: Literal["flag", "environment", "file", "default"]
    secret: bool
    description: str


class SettingsInForce(Listing[Setting]):
    pass
