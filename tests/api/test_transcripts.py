"""The transcript's forms, and the languages' names."""

import pytest

from server.api.openai.languages import NAMES, code_of, name_of
from server.api.openai.transcripts import Transcript
from server.core import Segment, TranscriptInfo, Usage, Word
from server.errors import InvalidRequest


def segment(number: int, start: float, end: float, text: str, *words: Word) -> Segment:
    return Segment(
        id=number,
        seek=0,
        start=start,
        end=end,
        text=text,
        tokens=(1, 2),
        temperature=0.0,
        avg_logprob=-0.25,
        compression_ratio=1.2,
        no_speech_prob=0.01,
        words=words,
    )


def transcript() -> Transcript:
    made = Transcript()
    made.add(TranscriptInfo("ja", 0.9, 3725.4567))
    made.add(segment(0, 0.0, 61.5, " Salt & <b>pepper</b>.", Word(" Salt", 0.0, 0.5), Word(" &", 0.5, 0.6)))
    made.add(segment(1, 61.5, 3725.4567, " This --> that\nand more.", Word(" This", 61.5, 62.0)))
    made.add(Usage(audio_seconds=3725.4567))
    return made


def test_the_deltas_are_the_text() -> None:
    made = Transcript()
    deltas = [
        made.add(event) for event in (TranscriptInfo("en", 1, 2), segment(0, 0, 1, " One."), segment(1, 1, 2, " Two."))
    ]
    assert deltas == ["", "One.", " Two."]
    assert made.text == "One. Two."


def test_usage_counts_begun_seconds_whole() -> None:
    assert transcript().usage() == {"type": "duration", "seconds": 3726}


def test_srt() -> None:
    assert transcript().srt() == (
        "1\n00:00:00,000 --> 00:01:01,500\nSalt & <b>pepper</b>.\n\n"
        "2\n00:01:01,500 --> 01:02:05,457\nThis -> that and more.\n\n"
    )


def test_vtt() -> None:
    assert transcript().vtt() == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:01:01.500\nSalt &amp; &lt;b>pepper&lt;/b>.\n\n"
        "00:01:01.500 --> 01:02:05.457\nThis -> that and more.\n\n"
    )


def test_verbose_json() -> None:
    answer = transcript().verbose_json(task="transcribe", segments=True, words=True)
    assert answer["language"] == "japanese"
    assert answer["duration"] == 3725.46
    assert answer["words"] == [
        {"word": "Salt", "start": 0.0, "end": 0.5},
        {"word": "&", "start": 0.5, "end": 0.6},
        {"word": "This", "start": 61.5, "end": 62.0},
    ]
    assert answer["segments"][1]["text"] == " This --> that\nand more."
    assert answer["usage"] == {"type": "duration", "seconds": 3726}


def test_nothing_said_is_valid_in_every_form() -> None:
    empty = Transcript()
    empty.add(TranscriptInfo("en", 1.0, 2.0))
    assert (empty.text, empty.plain(), empty.srt(), empty.vtt()) == ("", "\n", "", "WEBVTT\n\n")
    assert empty.verbose_json(task="transcribe", segments=True, words=True)["segments"] == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("en", "en"),
        (" EN ", "en"),
        ("en-US", "en"),
        ("pt_BR", "pt"),
        ("English", "en"),
        ("haitian creole", "ht"),
        ("Mandarin", "zh"),
        ("zh-Hant-TW", "zh"),
        ("nb", "no"),
        ("iw", "he"),
        ("jv", "jw"),
        ("yue", "yue"),
    ],
)
def test_a_language_by_code_tag_or_name(given: str, code: str) -> None:
    assert code_of(given) == code


@pytest.mark.parametrize("given", ["xx", "klingon", "-", "e n", "123"])
def test_an_unknown_language(given: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        code_of(given)
    assert caught.value.param == "language"


def test_the_table_is_whispers() -> None:
    from faster_whisper.tokenizer import _LANGUAGE_CODES  # the library has no public list of them

    assert set(NAMES) == set(_LANGUAGE_CODES)
    assert name_of("de") == "german"
    assert name_of("tlh") == "tlh"
