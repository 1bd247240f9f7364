"""Transcription. POST /v1/audio/transcriptions and /v1/audio/translations."""

import io
import re
from typing import Any

from openai.types.audio import (
    Transcription,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionVerbose,
    Translation,
    TranslationVerbose,
)

from tests.conformance.case import case
from tests.conformance.expect import among, equal, error, ok, refused_or_ok, that
from tests.conformance.target import Answer, Target, data_file

FOX = "fox"
"""A word that is said in data/fox.mp3: The quick brown fox jumps over the lazy dog."""


def hear(
    target: Target, data: bytes | None = None, name: str = "fox.mp3", url: str = "transcriptions", **fields: Any
) -> Answer:
    form = {"model": target.model("transcription")} | fields
    sent = {key.replace("_list", "[]"): value for key, value in form.items() if value is not ...}
    sound = data_file("fox.mp3") if data is None else data
    return target.form(f"/audio/{url}", sent, [("file", (name, sound, "application/octet-stream"))])


def converted(form: str, codec: str, rate: int) -> bytes:
    """data/fox.mp3 in another container."""
    import av

    buffer = io.BytesIO()
    with av.open(io.BytesIO(data_file("fox.mp3"))) as source, av.open(buffer, "w", format=form) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.layout = "mono"
        resampler = av.AudioResampler(stream.format, "mono", rate, frame_size=stream.frame_size or 1024)
        frames = [one for frame in source.decode(audio=0) for one in resampler.resample(frame)]
        for frame in (*frames, *resampler.resample(None), None):
            out.mux(stream.encode(frame))
    return buffer.getvalue()


@case("OpenAI", needs="transcription")
def json_form(target: Target) -> None:
    """`json`, the default, has text and usage, as the SDK declares it."""
    value = target.strict(Transcription, ok(hear(target)).raw)
    that(FOX in value.text.lower(), f"the text is {value.text!r}")
    that(value.usage, "no usage")


@case("OpenAI", needs="transcription")
def verbose_json(target: Target) -> None:
    """`verbose_json` has language by its English name, duration as a number, text, segments and usage."""
    answer = ok(hear(target, response_format="verbose_json"))
    value = target.strict(TranscriptionVerbose, answer.raw)
    equal(value.language, "english", "language")
    that(2 < value.duration < 4, f"the duration is {value.duration}")
    that(value.segments, "no segments")
    equal(answer.json().get("task"), "transcribe", "task")
    that(value.words is None, "words, though segments were asked for")
    that(FOX in "".join(one.text for one in value.segments or ()).lower(), "the segments' text")


@case("OpenAI", needs="transcription")
def words(target: Target) -> None:
    """`timestamp_granularities[]=word` gives words with rising times."""
    answer = ok(hear(target, response_format="verbose_json", timestamp_granularities_list=["word"]))
    value = target.strict(TranscriptionVerbose, answer.raw)
    times = [time for one in value.words or () for time in (one.start, one.end)]
    that(len(times) > 8, f"{len(times) // 2} words")
    equal(times, sorted(times), "the words' times")


@case("OpenAI", needs="transcription")
def both_granularities(target: Target) -> None:
    """word and segment together give both; the name without `[]` is taken too."""
    for name in ("timestamp_granularities_list", "timestamp_granularities"):
        answer = ok(hear(target, response_format="verbose_json", **{name: ["word", "segment"]}))
        value = target.strict(TranscriptionVerbose, answer.raw)
        that(value.words and value.segments, "not both")


@case("reports", needs="transcription")
def segments_of_json(target: Target) -> None:
    """`json` takes the granularity `segment`, as a default that changes nothing."""
    target.strict(Transcription, ok(hear(target, timestamp_granularities_list=["segment"])).raw)


@case("OpenAI", needs="transcription")
def words_of_json(target: Target) -> None:
    """`json` with the granularity `word` can't give words: 400 by name, or they are left out."""
    refused_or_ok(hear(target, timestamp_granularities_list=["word"]), "timestamp_granularities")


@case("OpenAI", needs="transcription")
def text_form(target: Target) -> None:
    """`text` is the bare text of type text/plain, no JSON string."""
    answer = ok(hear(target, response_format="text"))
    equal(answer.media_type, "text/plain", "the content type")
    that(not answer.text.startswith('"') and FOX in answer.text.lower(), f"the body is {answer.text!r}")


@case("OpenAI, reports", needs="transcription")
def srt(target: Target) -> None:
    """`srt` is numbered cues with commas in their times, of type text/plain."""
    answer = ok(hear(target, response_format="srt"))
    equal(answer.media_type, "text/plain", "the content type")
    that(re.match(r"1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\n\S", answer.text), f"the body is {answer.text[:60]!r}")


@case("OpenAI", needs="transcription")
def vtt(target: Target) -> None:
    """`vtt` begins with WEBVTT and has points in its times."""
    answer = ok(hear(target, response_format="vtt"))
    among(answer.media_type, ("text/vtt", "text/plain"), "the content type")
    that(re.match(r"WEBVTT\n\n(00:)?00:0\d\.\d{3} --> (00:)?00:0\d\.\d{3}\n\S", answer.text), f"{answer.text[:60]!r}")


@case("OpenAI", needs="transcription")
def stream(target: Target) -> None:
    """A stream is transcript.text.delta events, then one transcript.text.done whose text they make together."""
    events = ok(
        hear(target, stream="true", model=target.models.get("gpt_transcription", target.model("transcription")))
    ).events()
    equal(events[-1].json()["type"], "transcript.text.done", "the last event's type")
    done = target.strict(TranscriptionTextDoneEvent, events[-1].data, "the last event")
    deltas = [target.strict(TranscriptionTextDeltaEvent, event.data, "an event").delta for event in events[:-1]]
    equal("".join(deltas).strip(), done.text.strip(), "the deltas together")


@case("OpenAI", needs="transcription")
def settings(target: Target) -> None:
    """language, prompt, temperature, chunking_strategy and unknown fields are taken."""
    answer = hear(target, language="en", prompt="A fox.", temperature="0", chunking_strategy="auto", some_new_field="1")
    target.strict(Transcription, ok(answer).raw)


@case("reports", needs="transcription")
def wrong_name(target: Target) -> None:
    """A file under a wrong name, or without an ending, is read by its bytes."""
    for name in ("fox.txt", "fox", "fox.wav"):
        that(FOX in ok(hear(target, name=name)).json()["text"].lower(), f"as {name}: another text")


def _container(form: str, codec: str, rate: int) -> None:
    def check(target: Target) -> None:
        that(
            FOX in ok(hear(target, converted(form, codec, rate), f"fox.{form}")).json()["text"].lower(), "another text"
        )

    check.__name__ = f"container_{form}"
    check.__doc__ = f"Sound in {form} ({codec}) is read."
    case("OpenAI", needs="transcription")(check)


for each in (("wav", "pcm_s16le", 16000), ("flac", "flac", 16000), ("ogg", "libopus", 48000), ("mp4", "aac", 16000)):
    _container(*each)
_container("webm", "libopus", 48000)


@case("reports, OpenAI", needs="transcription")
def no_sound(target: Target) -> None:
    """A file that holds no sound, whatever its name says: 400 that names it."""
    for data in (b"", b"no sound at all", data_file("fox.mp3")[:40], bytes(5000)):
        value = error(hear(target, data, "speech.mp3"), 400)
        equal(value.param, "file", "the error's param")


@case("OpenAI", needs="transcription")
def too_large(target: Target) -> None:
    """More than 25 MB: 413."""
    error(hear(target, bytes(26 * 2**20 + 1), "speech.wav"), 413)


def _wrong(name: str, title: str, param: str, **fields: Any) -> None:
    def check(target: Target) -> None:
        that((error(hear(target, **fields), 400).param or "").startswith(param), f"the error's param is not {param}")

    check.__name__ = name
    check.__doc__ = f"{title}: 400 with param `{param}`."
    case("OpenAI", needs="transcription")(check)


_wrong("no_model", "Without model", "model", model=...)
_wrong("unknown_format", "An unknown response_format", "response_format", response_format="poem")
_wrong("unknown_language", "An unknown language", "language", language="klingon")
_wrong("high_temperature", "temperature: 7", "temperature", temperature="7")
_wrong(
    "unknown_granularity", "An unknown granularity", "timestamp_granularities", timestamp_granularities_list=["page"]
)


@case("OpenAI", needs="transcription")
def no_file(target: Target) -> None:
    """Without a file: 400 that names it."""
    form = {"model": target.model("transcription")}
    answer = target.form("/audio/transcriptions", form, [("other", ("a.mp3", b"a", "audio/mpeg"))])
    error(answer, 400, param="file")


@case("OpenAI", needs="transcription")
def json_body(target: Target) -> None:
    """A JSON body where a form is wanted: 400 or 415 in the envelope."""
    error(target.post("/audio/transcriptions", {"model": target.model("transcription")}), (400, 415))


@case("OpenAI", needs="transcription")
def torn_form(target: Target) -> None:
    """A form that is cut off: 400 in the envelope."""
    body = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhis'
    headers = {"content-type": "multipart/form-data; boundary=b"}
    error(target.send("POST", "/audio/transcriptions", headers=headers, content=body), 400)


@case("OpenAI", needs="transcription")
def unknown_model(target: Target) -> None:
    """An unknown model: 404 with code model_not_found."""
    error(hear(target, model="none-of-that-name"), 404, code="model_not_found")


@case("OpenAI", needs="transcription")
def translation(target: Target) -> None:
    """/v1/audio/translations gives English, in `json` and `verbose_json` (task translate, language english)."""
    target.strict(Translation, ok(hear(target, url="translations")).raw)
    answer = ok(hear(target, url="translations", response_format="verbose_json"))
    equal(target.strict(TranslationVerbose, answer.raw).language, "english", "language")
    equal(answer.json().get("task"), "translate", "task")
