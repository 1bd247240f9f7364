"""Which other models hear and speak for a chat model: those of the public name that was asked for, or of its config."""

from collections.abc import Iterable, Iterator

from server.core import ChatJob, Sound, Task
from server.errors import InvalidRequest, ModelNotFound
from server.models.config.senses import Senses
from server.models.config.spec import ModelSpec, Price
from server.pipeline.tasks.base import Choice, Resolver


def hearer(choice: Choice, sounds: Iterable[Sound], catalog: Resolver) -> tuple[ModelSpec, Price] | None:
    """What transcribes the sounds, and what a second costs; None for a model that hears by itself.

    Raises InvalidRequest that names the first sound, where nothing here hears it.
    """
    senses = choice.spec
    assert isinstance(senses, Senses)
    if senses.audio:
        return None
    if found := _first(catalog, Task.TRANSCRIPTION, choice.model, senses.transcriber):
        return found[0], Price(audio_second=found[1].audio_second)
    raise InvalidRequest("This model does not hear sound.", param=next(iter(sounds)).param)


def most_seconds(choice: Choice) -> float:
    """Of sound in a request's messages, by the model's config."""
    assert isinstance(choice.spec, Senses)
    return choice.spec.max_audio_seconds


def speaker(choice: Choice, job: ChatJob, catalog: Resolver) -> tuple[ModelSpec, Price] | None:
    """What speaks the answer, and what a character costs; None where text alone was asked for.

    Raises InvalidRequest where nothing here can speak it.
    """
    if job.aloud is None:
        return None
    senses = choice.spec
    assert isinstance(senses, Senses)
    if found := _first(catalog, Task.SPEECH, choice.model, senses.voice):
        return found[0], Price(character=found[1].character)
    raise InvalidRequest("This model does not speak.", param="modalities", code="unsupported_value")


def _first(catalog: Resolver, task: Task, *names: str | None) -> tuple[ModelSpec, Price] | None:
    return next(_models(catalog, task, names), None)


def _models(catalog: Resolver, task: Task, names: Iterable[str | None]) -> Iterator[tuple[ModelSpec, Price]]:
    for name in names:
        if name is not None:
            try:
                yield catalog.resolve(name, task)
            except ModelNotFound:
                continue
