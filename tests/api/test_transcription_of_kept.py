"""POST /v1/audio/transcriptions and /translations as JSON, with the id of a kept file."""

from typing import Any

import httpx
import pytest

from server.core import Task, TranscriptionJob
from tests.api.filing import Desk, desk, migrated_file, refused, uploaded

pytestmark = pytest.mark.anyio

__all__ = ["desk", "migrated_file"]

AUDIO = b"RIFF, or so"


async def ask(client: httpx.AsyncClient, route: str = "transcriptions", **fields: Any) -> httpx.Response:
    return await client.post(f"/v1/audio/{route}", json={"model": "everything", **fields})


def heard(desk: Desk) -> TranscriptionJob:
    job = desk.fake.engines[Task.TRANSCRIPTION].jobs[-1]
    assert isinstance(job, TranscriptionJob)
    return job


@pytest.mark.parametrize("route", ["transcriptions", "translations"])
async def test_it_is_the_same_as_the_form(desk: Desk, route: str) -> None:
    file = await uploaded(desk.ada, AUDIO, "a.wav")
    fields = {"language": "en", "prompt": "Names: Ada.", "temperature": 0.5, "response_format": "verbose_json"}
    by_id = await ask(desk.ada, route, file_id=file["id"], timestamp_granularities=["word", "segment"], **fields)
    assert by_id.status_code == 200, by_id.text
    job = heard(desk)
    assert (job.audio, job.filename, job.words, job.temperature) == (AUDIO, "a.wav", True, 0.5)
    assert job.translate is (route == "translations")
    form = {**fields, "model": "everything", "timestamp_granularities[]": ["word", "segment"]}
    sent = await desk.ada.post(f"/v1/audio/{route}", data=form, files={"file": ("a.wav", AUDIO)})
    assert (sent.json(), heard(desk)) == (by_id.json(), job)


async def test_forms_and_streams_are_asked_for_as_json(desk: Desk) -> None:
    file = await uploaded(desk.ada, AUDIO, "a.wav")
    text = await ask(desk.ada, file_id=file["id"], response_format="text")
    assert text.headers["content-type"].startswith("text/plain")
    stream = await ask(desk.ada, file_id=file["id"], stream=True)
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert '"type":"transcript.text.done"' in stream.text


async def test_anothers_file_is_as_good_as_none(desk: Desk) -> None:
    file = await uploaded(desk.ada, AUDIO, "a.wav")
    for file_id in (file["id"], "file-00000000000000000000000000000000", "file-1"):
        message = refused(await ask(desk.bob, file_id=file_id), 404, "file_id", None)
        assert message == f"No such File object: {file_id}"
    assert desk.fake.engines[Task.TRANSCRIPTION].jobs == []


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "file_id", "missing_required_parameter"),
        ({"file_id": 1}, "file_id", "invalid_type"),
        ({"file_id": "file-1", "timestamp_granularities": ["word"]}, "timestamp_granularities", "invalid_value"),
        ({"file_id": "file-1", "include": ["logprobs"]}, "include", "unsupported_parameter"),
        ({"file_id": "file-1", "stream": True, "response_format": "srt"}, "response_format", "invalid_value"),
        ({"file_id": "file-1", "temperature": 2}, "temperature", "invalid_value"),
    ],
)
async def test_a_wrong_field_is_named(desk: Desk, fields: dict[str, Any], param: str, code: str) -> None:
    refused(await ask(desk.ada, **fields), 400, param, code)


async def test_a_recording_is_no_larger_than_one_that_is_sent(desk: Desk) -> None:
    desk.change(max_upload=10)
    file = await uploaded(desk.ada, AUDIO, "a.wav")
    message = refused(await ask(desk.ada, file_id=file["id"]), 413, "file_id", None)
    assert message == "Maximum content size limit (10) exceeded: the file has 11 bytes"
    assert desk.fake.services.bodies.taken == 0
