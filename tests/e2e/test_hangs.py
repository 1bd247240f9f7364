"""Processes of the live server that are stopped where they are: found, told, ended and replaced."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openai import OpenAI

from tests.e2e.conftest import FOX, STORY
from tests.e2e.live import CHAT, EAR, VOICE, LiveServer, lives, until
from tests.e2e.test_faults import ENDLESS, TOKYO, chat_stream, greedy, speech_stream


def hung(events: list[Any]) -> bool:
    """Whether a stream ended with the error of an engine that hung."""
    codes = [(event.get("error") or {}).get("code") for event in events if isinstance(event, dict)]
    return "engine_hung" in codes


def test_what_is_stopped_is_ended_and_replaced(server: LiveServer, sdk: OpenAI) -> None:
    server.wait_ready()
    core, computing, voice, ear = server.core(), server.core_worker(), server.worker(VOICE), server.worker(EAR)
    with ThreadPoolExecutor(2) as pool:
        chat = chat_stream(pool, server, **ENDLESS).wait_begun()
        speech = speech_stream(pool, server, STORY * 9).wait_begun()
        computing.suspend()
        voice.suspend()
        assert hung(chat.ended())
        assert hung(speech.ended())
    assert greedy(sdk) == TOKYO
    assert len(sdk.audio.speech.create(model="tts-1", voice="alloy", input=FOX).content) > 10_000
    until(lambda: not any(lives(one) for one in (core, computing, voice)), "what was stopped is gone", within=10)
    assert server.worker(EAR).pid == ear.pid
    (told,) = server.lines(f"worker {VOICE} hangs")
    assert f"process {voice.pid} is stopped. Killing it, with process ids {voice.pid}" in told
    (told,) = server.lines(f"model {CHAT} hangs")
    assert f"process {computing.pid} is stopped. Killing it, with process ids {core.pid}, {computing.pid}" in told
    server.wait_ready()
