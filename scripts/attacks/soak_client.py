"""Requests of each kind that a day brings, for `soak.py`: good ones, broken ones, and clients that leave."""

import asyncio
import contextlib
import io
import itertools
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import httpx

MESSAGES = [{"role": "user", "content": "What is the capital of Japan?"}]


def silence(seconds: float = 1.0) -> bytes:
    """A WAV file of next to nothing."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"\0\1" * int(16000 * seconds))
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Names:
    """The public names of the models that are asked."""

    chat: str
    completion: str
    embedding: str
    speech: str
    transcription: str
    image: str


FAKE = Names("chat", "completion", "embedding", "speech", "transcription", "image")
REAL = Names("smollm2-135m-instruct", "smollm2-135m-instruct", "all-minilm-l6-v2", "tts-1", "whisper-1", "dall-e-2")


class Client:
    """Sends one request of each kind that a day brings. Each method returns the status, 0 for what it cut itself."""

    def __init__(self, http: httpx.AsyncClient, key: str, poor: str, names: Names) -> None:
        self._http = http
        self._key = {"Authorization": f"Bearer {key}"}
        self._poor = {"Authorization": f"Bearer {poor}"}
        self._names = names
        self._numbers = itertools.count()
        self._sound = silence()

    @property
    def kinds(self) -> dict[str, tuple[int, Callable[[], Awaitable[int]]]]:
        """By name: how often, and what."""
        return {
            "chat": (8, self.chat),
            "streamed chat": (8, self.streamed),
            "chat that hangs up": (4, self.hung_up),
            "chat read slowly": (1, self.slowly),
            "completion": (3, self.completion),
            "embeddings": (4, self.embeddings),
            "speech": (1, self.speech),
            "transcription": (1, self.transcription),
            "picture": (1, self.picture),
            "wrong body": (3, self.wrong_body),
            "wrong key": (1, self.wrong_key),
            "unknown model": (2, self.unknown_model),
            "unknown path": (2, self.unknown_path),
            "too poor": (2, self.too_poor),
            "torn upload": (1, self.torn_upload),
            "new connection": (1, self.new_connection),
        }

    async def _post(self, path: str, body: object, headers: dict[str, str] | None = None) -> int:
        return (await self._http.post(path, json=body, headers=headers or self._key)).status_code

    def _chat(self, **more: object) -> dict[str, object]:
        # Each user's text is another: nothing that is kept by text may grow with them.
        text = f"{MESSAGES[0]['content']} This is question {next(self._numbers)}."
        return {"model": self._names.chat, "messages": [{"role": "user", "content": text}], "max_tokens": 12, **more}

    async def chat(self) -> int:
        return await self._post("/v1/chat/completions", self._chat())

    async def _stream(self, most: int, pause: float = 0.0, **more: object) -> int:
        body, read = self._chat(stream=True, **more), 0
        async with self._http.stream("POST", "/v1/chat/completions", json=body, headers=self._key) as answer:
            async for _ in answer.aiter_lines():
                read += 1
                if pause:
                    await asyncio.sleep(pause)
                if read >= most:
                    return 0
            return answer.status_code

    async def streamed(self) -> int:
        return await self._stream(10**6)

    async def hung_up(self) -> int:
        return await self._stream(6, max_tokens=200)

    async def slowly(self) -> int:
        return await self._stream(40, pause=0.1, max_tokens=60)

    async def completion(self) -> int:
        return await self._post(
            "/v1/completions",
            {"model": self._names.completion, "prompt": f"Number {next(self._numbers)} is", "max_tokens": 8},
        )

    async def embeddings(self) -> int:
        texts = [f"text {next(self._numbers)}", "another"]
        return await self._post("/v1/embeddings", {"model": self._names.embedding, "input": texts})

    async def speech(self) -> int:
        body = {"model": self._names.speech, "voice": "alloy", "input": "Good morning.", "response_format": "wav"}
        return await self._post("/v1/audio/speech", body)

    async def transcription(self) -> int:
        form = {"model": self._names.transcription}
        files = {"file": ("a.wav", self._sound)}
        answer = await self._http.post("/v1/audio/transcriptions", data=form, files=files, headers=self._key)
        return answer.status_code

    async def picture(self) -> int:
        body = {"model": self._names.image, "prompt": "an apple", "size": "256x256", "response_format": "url"}
        return await self._post("/v1/images/generations", body)

    async def wrong_body(self) -> int:
        return await self._post("/v1/chat/completions", self._chat(temperature=f"hot {next(self._numbers)}"))

    async def wrong_key(self) -> int:
        key = {"Authorization": f"Bearer sk-sage-{next(self._numbers):043d}"}
        return await self._post("/v1/chat/completions", self._chat(), key)

    async def unknown_model(self) -> int:
        return await self._post("/v1/chat/completions", self._chat(model=f"model-{next(self._numbers)}"))

    async def unknown_path(self) -> int:
        return (await self._http.get(f"/v1/nothing/{next(self._numbers)}", headers=self._key)).status_code

    async def too_poor(self) -> int:
        return await self._post("/v1/chat/completions", self._chat(), self._poor)

    async def torn_upload(self) -> int:
        async def half() -> AsyncIterator[bytes]:
            yield b'{"model": "chat", "messages": ['
            raise ConnectionResetError

        with contextlib.suppress(ConnectionResetError):
            await self._http.post("/v1/chat/completions", content=half(), headers=self._key)
        return 0

    async def new_connection(self) -> int:
        async with httpx.AsyncClient(base_url=self._http.base_url, trust_env=False) as fresh:
            return (await fresh.get("/v1/models", headers=self._key)).status_code
