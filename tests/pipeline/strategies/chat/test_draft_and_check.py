"""High on chat: the draft is kept, or replaced by what the check writes."""

import pytest

from server.core import ChatJob, TokenLogprob
from server.pipeline.strategies.chat.draft_and_check import probability_of_ok
from server.pipeline.strategies.chat.instructions import CHECK
from tests.pipeline.strategies.conftest import QUESTION, Scripted, events

pytestmark = pytest.mark.anyio

LIMITED = ["the mode sets max_tokens 1024 (not the room that is left)"]


async def test_a_draft_that_passes_is_the_answer(scripted: Scripted) -> None:
    async with scripted({QUESTION: "It is Paris.", CHECK: "OK"}) as asking:
        answer = await asking.ask("high")
        assert answer.json()["choices"][0]["message"]["content"] == "It is Paris."
        quality = answer.json()["usage"]["quality"]
        assert (quality["passes"], quality["notes"]) == (2, [*LIMITED, "the check kept the draft"])
        _, check = asking.engine.jobs
        assert isinstance(check, ChatJob)
        assert [message["role"] for message in check.messages] == ["user", "assistant", "user"]
        assert check.messages[1]["content"] == "It is Paris."
        assert check.temperature == 0.0


async def test_a_draft_that_fails_is_replaced(scripted: Scripted) -> None:
    async with scripted({QUESTION: "It is Lyon.", CHECK: "It is Paris."}) as asking:
        answer = await asking.ask("high")
        choice = answer.json()["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("It is Paris.", "stop")
        assert choice["logprobs"] is None
        assert answer.json()["usage"]["quality"]["notes"] == [*LIMITED, "the check replaced the draft"]


async def test_the_draft_is_told_on_request_and_whether_it_is_the_answer(scripted: Scripted) -> None:
    async with scripted({QUESTION: "It is Lyon.", CHECK: "It is Paris."}) as asking:
        told = (await asking.ask("high", return_drafts=True)).json()["usage"]["quality"]["drafts"]
        assert told == [{"pass": "draft", "text": "It is Lyon.", "chosen": False}]
    async with scripted({QUESTION: "It is Paris.", CHECK: "OK"}) as asking:
        told = (await asking.ask("high", return_drafts=True)).json()["usage"]["quality"]["drafts"]
        assert told == [{"pass": "draft", "text": "It is Paris.", "chosen": True}]


async def test_a_replacement_is_streamed_as_it_is_written(scripted: Scripted) -> None:
    async with scripted({QUESTION: "It is Lyon.", CHECK: "It is Paris."}) as asking:
        answer = await asking.ask("high", stream=True)
        pieces = [c["choices"][0]["delta"].get("content") for c in events(answer.text)]
        assert [piece for piece in pieces if piece] == ["It", " is", " Paris."]


async def test_a_cut_off_draft_is_not_checked(scripted: Scripted) -> None:
    async with scripted({QUESTION: "It is a long answer.", CHECK: "It is Paris."}) as asking:
        answer = await asking.ask("high", max_tokens=2)
        choice = answer.json()["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("It is", "length")
        assert len(asking.engine.jobs) == 1


async def test_without_room_for_the_check_the_draft_is_the_answer(scripted: Scripted) -> None:
    async with scripted({QUESTION: "It is Paris.", CHECK: "no"}, options={"context": 10}) as asking:
        answer = await asking.ask("high")
        assert answer.json()["choices"][0]["message"]["content"] == "It is Paris."
        assert answer.json()["usage"]["quality"]["notes"] == [
            *LIMITED,
            "the check was given up (context_length_exceeded)",
        ]


async def test_a_budget_that_is_used_up_skips_the_check(scripted: Scripted) -> None:
    replies = {QUESTION: "It is Lyon.", CHECK: "It is Paris."}
    async with scripted(replies, options={"pause": 0.01}) as asking:
        answer = await asking.ask("high", headers={"X-Quality-Budget-Ms": "1"})
        assert answer.json()["choices"][0]["message"]["content"] == "It is Lyon."
        assert len(asking.engine.jobs) == 1


def test_the_ok_is_read_from_the_first_token() -> None:
    entries = (TokenLogprob("OK", -1.0, ()), TokenLogprob(" ok", -2.0, ()), TokenLogprob("It", -0.5, ()))
    assert probability_of_ok(TokenLogprob("It", -0.5, (), entries)) == pytest.approx(0.3679 + 0.1353, abs=1e-3)
