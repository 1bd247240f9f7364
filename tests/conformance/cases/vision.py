"""Pictures and sound in chats. Parts that are no text, and answers that are spoken."""

import base64
import io

from PIL import Image

from tests.conformance.asks import completed, streamed, user
from tests.conformance.case import case
from tests.conformance.expect import equal, error, that
from tests.conformance.target import Target, data_file


def picture(width: int = 64, height: int = 64) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def seen(target: Target, url: str, **more: str) -> list[dict[str, object]]:
    return [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url, **more}}]


@case("OpenAI", needs="vision")
def image_part(target: Target) -> None:
    """A picture as a data URI is read, with each documented `detail`; it counts as prompt tokens."""
    name = target.model("vision")
    without = completed(target, "What is it?", model=name, max_tokens=1).usage
    for detail in ("auto", "low", "high"):
        found = completed(target, seen(target, picture(), detail=detail), model=name, max_tokens=1).usage
        that(found and without and found.prompt_tokens > without.prompt_tokens, "the picture counts nothing")


@case("OpenAI", needs="vision")
def broken_picture(target: Target) -> None:
    """A data URI that holds no picture: 400 that names the part."""
    content = seen(target, "data:image/png;base64,AAAA")
    answer = target.post("/chat/completions", {"model": target.model("vision"), "messages": [user(content)]})
    that((error(answer, 400).param or "").startswith("messages[0].content"), "the error names no part")


def said() -> list[dict[str, object]]:
    data = base64.b64encode(data_file("fox.mp3")).decode()
    return [
        {"type": "text", "text": "Repeat what was said."},
        {"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}},
    ]


@case("OpenAI", needs="hearing")
def input_audio(target: Target) -> None:
    """`input_audio` is heard, or transcribed first; what was said counts as prompt tokens."""
    name = target.model("hearing")
    without = completed(target, "Repeat what was said.", model=name, max_tokens=1).usage
    found = completed(target, said(), model=name, max_tokens=1).usage
    that(found and without and found.prompt_tokens > without.prompt_tokens + 5, f"usage is {found}")


@case("OpenAI", needs="hearing")
def broken_audio(target: Target) -> None:
    """`input_audio` that holds no sound: 400 that names the part."""
    content = [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]
    answer = target.post("/chat/completions", {"model": target.model("hearing"), "messages": [user(content)]})
    that((error(answer, 400).param or "").startswith("messages[0].content"), "the error names no part")


SPOKEN = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}


@case("OpenAI", needs="talking")
def spoken(target: Target) -> None:
    """`modalities: ["text", "audio"]`: `message.audio` has id, data, expires_at and transcript; content is null."""
    value = completed(target, model=target.model("talking"), max_tokens=12, **SPOKEN)
    message = value.choices[0].message
    that(message.audio, f"no audio; the content is {message.content!r}")
    if message.audio is not None:
        equal(base64.b64decode(message.audio.data)[:4], b"RIFF", "the first bytes of the sound")
        that(message.audio.transcript.strip(), "no transcript")
        equal(message.content, None, "content")


@case("OpenAI", needs="talking")
def spoken_stream(target: Target) -> None:
    """Streamed, `delta.audio` has an id, pieces of the transcript and of pcm16."""
    sound = {"voice": "alloy", "format": "pcm16"}
    fields = {"modalities": ["text", "audio"], "audio": sound}
    chunks = streamed(target, model=target.model("talking"), max_tokens=12, **fields)
    pieces = [one for chunk in chunks for choice in chunk.choices if (one := choice.delta.audio) is not None]
    that(any(one.id for one in pieces), "no piece has an id")
    that("".join(one.transcript or "" for one in pieces).strip(), "no transcript")
    size = sum(len(base64.b64decode(one.data)) for one in pieces if one.data)
    that(size > 4800 and size % 2 == 0, f"{size} bytes of sound")


@case("OpenAI", needs="talking")
def spoken_without_settings(target: Target) -> None:
    """`audio` in modalities without `audio` settings: 400 that names it, as documented; or it is spoken."""
    body = {
        "model": target.model("talking"),
        "messages": [user("Hi")],
        "modalities": ["text", "audio"],
        "max_tokens": 4,
    }
    answer = target.post("/chat/completions", body)
    if answer.status != 200:
        equal(error(answer, 400).param, "audio", "the error's param")
