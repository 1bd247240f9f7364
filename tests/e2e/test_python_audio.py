"""Speech and transcription through the SDK: what the starter voice says, Whisper writes down word for word."""

import base64
import re
from io import BytesIO
from typing import Any

import av
import httpx
import pytest
from openai import OpenAI

from tests.e2e.conftest import FOX, STORY, spoken

WORDS = FOX.lower().rstrip(".").split()


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z ]", "", text.lower()).split()


def named(data: bytes, name: str = "speech.mp3") -> BytesIO:
    file = BytesIO(data)
    file.name = name
    return file


@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac", "wav"])
def test_every_format_is_read_back_word_for_word(sdk: OpenAI, form: str) -> None:
    file = spoken(sdk, FOX, form)
    with av.open(BytesIO(file.getvalue())) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 1.5 * 22_050
    assert words(sdk.audio.transcriptions.create(model="whisper-1", file=file).text) == WORDS


def test_pcm_is_24_kilohertz(sdk: OpenAI) -> None:
    speech = sdk.audio.speech.create(model="tts-1", voice="onyx", input=FOX, response_format="pcm")
    assert speech.response.headers["content-type"] == "audio/pcm"
    assert 1.5 < len(speech.content) / 48_000 < 6


def test_speed_shortens(sdk: OpenAI) -> None:
    lengths = [
        len(
            sdk.audio.speech.create(model="tts-1", voice="alloy", input=FOX, response_format="pcm", speed=speed).content
        )
        for speed in (0.5, 2.0)
    ]
    assert lengths[0] > 2.5 * lengths[1]


def test_speech_comes_as_events_sentence_by_sentence(http: httpx.Client, sdk: OpenAI) -> None:
    body = {"model": "tts-1", "voice": "alloy", "input": f"{FOX} {FOX}", "stream_format": "sse"}
    with http.stream("POST", "/v1/audio/speech", json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [httpx.Response(200, content=line[6:]).json() for line in answer.iter_lines() if line]
    *deltas, done = events
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    assert len(deltas) > 1
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["input_tokens"] == 2 * len(FOX) + 1
    audio = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    assert words(sdk.audio.transcriptions.create(model="whisper-1", file=named(audio)).text) == WORDS * 2


def test_verbose_json_has_segments_and_words_in_time(sdk: OpenAI, fox: bytes) -> None:
    transcript = sdk.audio.transcriptions.create(
        model="whisper-1",
        file=named(fox),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert transcript.words is not None
    assert transcript.segments is not None
    assert words(" ".join(one.word for one in transcript.words)) == WORDS == words(transcript.text)
    times = [time for one in transcript.words for time in (one.start, one.end)]
    assert times == sorted(times)
    assert times[-1] <= transcript.duration < 6
    assert words("".join(one.text for one in transcript.segments)) == WORDS
    assert transcript.language == "english"


def test_subtitles_and_text(sdk: OpenAI, fox: bytes) -> None:
    def transcript(form: Any) -> str:
        return str(sdk.audio.transcriptions.create(model="whisper-1", file=named(fox), response_format=form))

    srt, vtt, plain = transcript("srt"), transcript("vtt"), transcript("text")
    assert re.match(r"1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\n", srt)
    assert re.match(r"WEBVTT\n\n(00:)?00:0\d\.\d{3} --> (00:)?00:0\d\.\d{3}\n", vtt)
    assert words(plain) == WORDS
    for subtitles in (srt, vtt):
        assert words(subtitles.splitlines()[-1] or subtitles.splitlines()[-2]) == WORDS


def test_a_transcript_is_streamed_in_deltas(sdk: OpenAI, story: bytes) -> None:
    events = list(sdk.audio.transcriptions.create(model="whisper-1", file=named(story), stream=True))
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) > 1
    done = events[-1]
    assert done.type == "transcript.text.done"
    assert "".join(deltas) == done.text
    # The tiny model mishears a word now and then.
    assert len(set(words(STORY)) & set(words(done.text))) > 0.9 * len(set(words(STORY)))


def test_translation_of_english_is_english(sdk: OpenAI, fox: bytes) -> None:
    with pytest.deprecated_call():  # in this SDK, which still has it
        transcript = sdk.audio.translations.create(model="whisper-1", file=named(fox))
    assert words(transcript.text) == WORDS


def test_one_name_does_all(sdk: OpenAI) -> None:
    """A bundle: chat, speech and transcription by one public name."""
    name = "deepseek-v4-flash"
    speech = sdk.audio.speech.create(model=name, voice="alloy", input=FOX)
    assert words(sdk.audio.transcriptions.create(model=name, file=named(speech.content)).text) == WORDS


def test_the_voices_are_listed(http: httpx.Client) -> None:
    voices = http.get("/v1/audio/voices").json()["voices"]
    assert {"alloy", "echo", "fable", "onyx", "nova", "shimmer", "joe"} <= {voice["id"] for voice in voices}
