"""Open WebUI in front of the server, with nothing but its settings: its own API is called as its pages call it."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.clients.conftest import PROGRAMS, Client
from tests.e2e.live import until

START = 300.0
"""Seconds until it answers; its imports alone take a minute on two busy cores."""


def settings(client: Client) -> dict[str, str]:
    """Open WebUI's own, by environment: everything that it asks of a model, it asks of the server."""
    url, key = f"{client.server.url}/v1", client.server.key
    return {
        "DATA_DIR": str(client.folder / "data"),
        "WEBUI_AUTH": "False",
        "WEBUI_SECRET_KEY": "no secret",
        "OFFLINE_MODE": "true",
        "ENABLE_VERSION_UPDATE_CHECK": "false",
        "ANONYMIZED_TELEMETRY": "false",
        "ENABLE_OLLAMA_API": "false",
        "OPENAI_API_BASE_URL": url,
        "RAG_EMBEDDING_ENGINE": "openai",
        "RAG_EMBEDDING_MODEL": "text-embedding-3-small",
        "RAG_OPENAI_API_BASE_URL": url,
        "RAG_OPENAI_API_KEY": key,
        # The starter model writes no search queries: the question itself is searched for.
        "ENABLE_RETRIEVAL_QUERY_GENERATION": "false",
        "AUDIO_TTS_ENGINE": "openai",
        "AUDIO_TTS_OPENAI_API_BASE_URL": url,
        "AUDIO_TTS_OPENAI_API_KEY": key,
        "AUDIO_TTS_MODEL": "tts-1",
        "AUDIO_TTS_VOICE": "alloy",
        "AUDIO_STT_ENGINE": "openai",
        "AUDIO_STT_OPENAI_API_BASE_URL": url,
        "AUDIO_STT_OPENAI_API_KEY": key,
        "AUDIO_STT_MODEL": "whisper-1",
        "ENABLE_IMAGE_GENERATION": "true",
        "IMAGE_GENERATION_ENGINE": "openai",
        "IMAGE_GENERATION_MODEL": "gpt-image-1",
        "IMAGES_OPENAI_API_BASE_URL": url,
        "IMAGES_OPENAI_API_KEY": key,
    }


@contextmanager
def open_webui(client: Client) -> Iterator[str]:
    """Its address, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = client.folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [client.program("open-webui"), "serve", "--host", "127.0.0.1", "--port", str(port)],
            cwd=client.folder,
            env=client.environment | settings(client),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def answers() -> bool:
        assert process.poll() is None, log.read_text(errors="replace")[-4000:]
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health", timeout=10).is_success
        except httpx.TransportError:
            return False

    try:
        until(answers, "Open WebUI answers", within=START, every=0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.client("open-webui")
@pytest.mark.timeout(START + 600)
def test_open_webui_chats_speaks_hears_draws_and_reads_documents(client: Client) -> None:
    with open_webui(client) as url:
        client.run("python", PROGRAMS / "open_webui.py", url)
