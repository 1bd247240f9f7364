"""Which mode `auto` means: a table, and a bound on what it reads."""

from pathlib import Path
from typing import get_args

import pytest

from server.core import ChatJob, Constraint, ImageJob, Job, Quality, SpeechJob, Task, Tool, TranscriptionJob
from server.models.config.catalog import check_configs
from server.models.config.quality import AnyQuality, Auto, Cause
from server.pipeline.auto import choose
from server.pipeline.questions import LOOKED_AT, arithmetic


def chat(content: object, **changes: object) -> ChatJob:
    return ChatJob(messages=({"role": "user", "content": content},), **changes)  # type: ignore[arg-type]


PLAIN = "Tell me about the sea."
SUM = "What is 17 + 4?"
CHOICE = Constraint("choice", ("yes", "no"))
PICTURE = [{"type": "text", "text": SUM}, {"type": "image_url", "image_url": {"url": "data:"}}]


@pytest.mark.parametrize(
    ("job", "mode", "reason"),
    [
        (chat(PLAIN), "medium", "nothing asks for more"),
        (chat(SUM), "high", "arithmetic in the prompt"),
        (chat("Anna has 3 apples and eats 2. How many are left?"), "high", "arithmetic in the prompt"),
        (chat("Write a Python function that sorts a list."), "high", "code in the prompt"),
        (chat("What does this do?\n```\nx\n```"), "high", "code in the prompt"),
        (chat("The sea. " * 300), "high", "a long prompt"),
        (chat(PICTURE), "medium", "images in the prompt"),
        (chat(SUM, tools=(Tool("f"),), tool_choice="auto"), "medium", "the request sets tools"),
        (chat(SUM, output_schema={"type": "object"}), "medium", "the request sets response_format"),
        (chat(SUM, output_schema={}, form_field="guided_json"), "medium", "the request sets guided_json"),
        (chat(SUM, constraint=CHOICE, form_field="guided_choice"), "medium", "the request sets guided_choice"),
        (chat(SUM, top_logprobs=0), "medium", "the request sets logprobs"),
        (chat(SUM, n=2), "medium", "the request sets n"),
        (chat(SUM, seed=0), "medium", "the request sets seed"),
        (chat(SUM, temperature=0.0), "medium", "the request sets temperature 0"),
        (chat(SUM, temperature=0.7), "high", "arithmetic in the prompt"),
        (TranscriptionJob(audio=b""), "medium", "nothing asks for more"),
        (SpeechJob(text=SUM), "medium", "nothing asks for more"),
        (ImageJob(prompt="a cat"), "medium", "nothing asks for more"),
        (ImageJob(prompt="a cat " * 400), "high", "a long prompt"),
    ],
)
def test_the_request_decides_and_the_reason_says_what(job: Job, mode: str, reason: str) -> None:
    assert choose(job, Auto(), 0.0) == (Quality(mode), reason)


def test_a_streamed_answer_begins_soon() -> None:
    expected = (Quality.MEDIUM, "streamed: the first word should come soon")
    assert choose(chat(SUM), Auto(), 0.0, streamed=True) == expected


def test_only_the_last_user_message_counts() -> None:
    messages = ({"role": "user", "content": SUM}, {"role": "assistant", "content": "21"})
    job = ChatJob(messages=(*messages, {"role": "user", "content": PLAIN}))
    assert choose(job, Auto(), 0.0)[0] is Quality.MEDIUM


def test_a_busy_model_gets_one_mode_less() -> None:
    assert choose(chat(SUM), Auto(busy=0.5), 0.49)[0] is Quality.HIGH
    mode, reason = choose(chat(SUM), Auto(busy=0.5), 0.5)
    assert mode is Quality.MEDIUM
    assert reason == "busy (50%): one less than high (arithmetic in the prompt)"
    assert choose(chat(PLAIN), Auto(), 2.0)[0] is Quality.LOW


def test_a_models_config_bounds_the_choice() -> None:
    narrow = Auto(lowest=Quality.MEDIUM, highest=Quality.MEDIUM)
    mode, reason = choose(chat(SUM), narrow, 0.9)
    assert mode is Quality.MEDIUM
    assert reason == "arithmetic in the prompt; this model's auto goes from medium to medium"


@pytest.mark.parametrize(
    ("job", "cause"),
    [
        (chat(SUM), "arithmetic"),
        (chat("Write a Python function that sorts a list."), "code"),
        (chat("The sea. " * 300), "length"),
        (ImageJob(prompt="a cat " * 400), "length"),
    ],
)
def test_high_is_taken_only_for_what_it_pays_for(job: Job, cause: Cause) -> None:
    others = tuple(other for other in get_args(Cause) if other != cause)
    assert choose(job, Auto(high_for=(cause,)), 0.0)[0] is Quality.HIGH
    assert choose(job, Auto(high_for=others), 0.0) == (Quality.MEDIUM, "nothing asks for more")


def test_ultra_is_never_taken() -> None:
    asked: list[Job] = [
        *(chat(text) for text in (SUM, PLAIN, "```\nx\n```", "The sea. " * 300)),
        *(ImageJob(prompt=text) for text in ("a cat", "a cat " * 400)),
        SpeechJob(text=SUM * 500),
        TranscriptionJob(audio=b"x" * 100_000),
    ]
    assert all(choose(job, Auto(highest=Quality.ULTRA), 0.0)[0] is not Quality.ULTRA for job in asked)


MEASURED = {
    ("smollm2-135m-instruct", Task.CHAT): {"arithmetic": "high", "code": "medium", "length": "medium"},
    ("starter-image", Task.IMAGE): {"length": "medium"},
}


def starter_modes(model: str, task: Task) -> AnyQuality:
    (spec,) = [one.spec for one in check_configs(Path("model_configs")).models if one.spec.name == model]
    modes = spec.quality_for(task)
    assert modes is not None
    return modes


@pytest.mark.parametrize(("model", "task"), MEASURED)
def test_the_starter_models_take_high_where_docs_quality_shows_that_it_pays(model: str, task: Task) -> None:
    auto = starter_modes(model, task).auto
    asked: dict[str, Job] = {
        "arithmetic": chat(SUM),
        "code": chat("Write a Python function that sorts a list."),
        "length": chat("The sea. " * 300) if task is Task.CHAT else ImageJob(prompt="a cat " * 400),
    }
    found = {cause: str(choose(asked[cause], auto, 0.0)[0]) for cause in MEASURED[model, task]}
    assert found == MEASURED[model, task]


def test_a_busy_starter_transcriber_does_not_fall_to_a_mode_that_goes_in_circles() -> None:
    auto = starter_modes("whisper-tiny-en", Task.TRANSCRIPTION).auto
    assert choose(TranscriptionJob(audio=b""), auto, 1.0)[0] is Quality.MEDIUM


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("12*7", True),
        ("What is (3 + 4) * 2?", True),
        ("The sum of 3 and 4", True),
        ("In 1969 and 1972 people walked on the moon.", False),
        ("How many people live there?", False),
        ("Room 5 is on floor 2", False),
        ("", False),
    ],
)
def test_arithmetic_is_told_from_mere_numbers(text: str, asks: bool) -> None:
    assert arithmetic(text) is asks


def test_what_lies_beyond_the_first_pages_is_not_read() -> None:
    assert choose(chat("x" * LOOKED_AT + SUM), Auto(long=LOOKED_AT * 2), 0.0)[0] is Quality.MEDIUM
