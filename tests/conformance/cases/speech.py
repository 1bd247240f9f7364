"""Speech. POST /v1/audio/speech."""

import base64
import io
import json
import wave
from typing import Any

from tests.conformance.case import Failed, case
from tests.conformance.expect import among, equal, error, ok, that
from tests.conformance.target import Answer, Target

TEXT = "Good morning."
TYPES = {
    "mp3": ("audio/mpeg",),
    "opus": ("audio/opus", "audio/ogg"),
    "aac": ("audio/aac",),
    "flac": ("audio/flac", "audio/x-flac"),
    "wav": ("audio/wav", "audio/x-wav", "audio/wave"),
    "pcm": ("audio/pcm", "audio/l16"),
}
FIRST = {"opus": b"OggS", "flac": b"fLaC", "wav": b"RIFF"}


def speak(target: Target, **fields: Any) -> Answer:
    body = {"model": target.model("speech"), "input": TEXT, "voice": "alloy"} | fields
    return target.post("/audio/speech", {name: value for name, value in body.items() if value is not ...})


def seconds(data: bytes) -> float:
    """Of any sound. Raises Failed for what is none."""
    import av

    try:
        with av.open(io.BytesIO(data)) as container:
            frames = [(frame.samples, frame.sample_rate) for frame in container.decode(audio=0)]
    except av.FFmpegError as error:
        raise Failed(f"it is no sound that can be read ({type(error).__name__}): {data[:16]!r}") from None
    return sum(samples / rate for samples, rate in frames)


def _format(name: str) -> None:
    def check(target: Target) -> None:
        answer = ok(speak(target, response_format=name))
        among(answer.media_type, TYPES[name], "the content type")
        that(answer.raw.startswith(FIRST.get(name, b"")), f"the first bytes are {answer.raw[:8]!r}")
        length = len(answer.raw) / 48000 if name == "pcm" else seconds(answer.raw)
        that(0.3 < length < 5, f"{length:.1f} s of sound for {TEXT!r}")

    check.__name__ = f"format_{name}"
    check.__doc__ = f"`response_format: {name}` is what its content type says, and lasts as long as the words do."
    case("OpenAI", needs="speech")(check)


for each in TYPES:
    _format(each)


@case("OpenAI", needs="speech")
def default_format(target: Target) -> None:
    """Without response_format it is mp3."""
    equal(ok(speak(target)).media_type, "audio/mpeg", "the content type")


@case("OpenAI", needs="speech")
def rate(target: Target) -> None:
    """wav has a true header: its length is that of the sound, or open where it is streamed; mono at 16 bits."""
    data = ok(speak(target, response_format="wav")).raw
    with wave.open(io.BytesIO(data)) as found:
        equal((found.getnchannels(), found.getsampwidth()), (1, 2), "channels and bytes of a sample")


@case("OpenAI", needs="speech")
def voices(target: Target) -> None:
    """Every documented voice speaks, and `{id}` is a voice too."""
    names = (
        "alloy",
        "ash",
        "ballad",
        "coral",
        "echo",
        "fable",
        "onyx",
        "nova",
        "sage",
        "shimmer",
        "verse",
        "marin",
        "cedar",
    )
    for name in names:
        ok(speak(target, input="Hi.", voice=name, response_format="pcm"))
    ok(speak(target, input="Hi.", voice={"id": "alloy"}, response_format="pcm"))


@case("OpenAI", needs="speech")
def no_voice(target: Target) -> None:
    """Without a voice it speaks by a default, or it is a 400 that names voice."""
    answer = speak(target, voice=...)
    if answer.status != 200:
        error(answer, 400, param="voice")


@case("OpenAI", needs="speech")
def speed(target: Target) -> None:
    """`speed: 2` is about half as long as `speed: 1`."""
    slow, fast = (len(ok(speak(target, speed=one, response_format="pcm")).raw) for one in (1, 2))
    that(0.35 < fast / slow < 0.75, f"{fast / slow:.2f} of the length")


@case("OpenAI", needs="speech")
def instructions(target: Target) -> None:
    """`instructions` and unknown fields are accepted."""
    ok(speak(target, instructions="Whisper.", some_new_field=1))


@case("OpenAI", needs="speech")
def events(target: Target) -> None:
    """`stream_format: sse` sends speech.audio.delta events in base64, and speech.audio.done with usage."""
    found = [event.json() for event in ok(speak(target, stream_format="sse", response_format="pcm")).events()]
    equal({one["type"] for one in found[:-1]}, {"speech.audio.delta"}, "the types before the last")
    sound = b"".join(base64.b64decode(one["audio"], validate=True) for one in found[:-1])
    that(len(sound) > 4800, f"{len(sound)} bytes of sound")
    equal(found[-1]["type"], "speech.audio.done", "the last type")
    usage = found[-1]["usage"]
    counts = [usage.get(name) for name in ("input_tokens", "output_tokens", "total_tokens")]
    that(all(isinstance(one, int) for one in counts), f"usage is {json.dumps(usage)}")


@case("reports", needs="speech")
def long_text(target: Target) -> None:
    """A text of 4,097 characters is spoken, or refused by name."""
    answer = speak(target, input="a" * 4097, response_format="pcm")
    if answer.status != 200:
        error(answer, 400, param="input")


def _wrong(name: str, title: str, param: str, **fields: Any) -> None:
    def check(target: Target) -> None:
        equal(error(speak(target, **fields), 400).param, param, "the error's param")

    check.__name__ = name
    check.__doc__ = f"{title}: 400 with param `{param}`."
    case("OpenAI", needs="speech")(check)


_wrong("no_input", "Without input", "input", input=...)
_wrong("empty_input", "An empty input", "input", input="")
_wrong("unknown_voice", "An unknown voice", "voice", voice="nobody")
_wrong("unknown_format", "An unknown response_format", "response_format", response_format="midi")
_wrong("high_speed", "speed: 5", "speed", speed=5)
_wrong("low_speed", "speed: 0.1", "speed", speed=0.1)
_wrong("unknown_stream_format", "An unknown stream_format", "stream_format", stream_format="tape")


@case("OpenAI", needs="speech")
def unknown_model(target: Target) -> None:
    """An unknown model: 404 with code model_not_found."""
    error(speak(target, model="none-of-that-name"), 404, code="model_not_found")


@case("OpenAI", needs="speech")
def list_of_voices(target: Target) -> None:
    """GET /v1/audio/voices, which Open WebUI asks for, lists voices with id and name."""
    found = ok(target.get("/audio/voices")).json()["voices"]
    that(found and all(one["id"] and one["name"] for one in found), "no voices with id and name")
