"""Ultra on chat: drafts, a choice, a rewrite that must win."""

import asyncio

import pytest

from server.core import ChatJob, Event, Facts, Finish, Job, ReasoningDelta, TextDelta, TokenLogprob, Usage
from server.engines.fake.engine import FakeReading
from server.pipeline.strategies.chat.draft import Draft, agreed, likeliest
from server.pipeline.strategies.chat.instructions import CRITIQUE, JUDGE, REWRITE
from server.pipeline.strategies.chat.probably_right import yes
from tests.pipeline.strategies.conftest import QUESTION, Scripted, events

pytestmark = pytest.mark.anyio

ULTRA = {"drafts": 3, "temperature": 0.7, "margin": 0.1}
LONG = " ".join(["word"] * 20)
"""Too long to be compared as a final answer."""


def draft(text: str, logprob: float = -0.5, reason: str = "stop") -> Draft:
    made = Draft()
    made.add(TextDelta(0, text, (TokenLogprob(text, logprob, ()),), 1))
    made.add(Finish(0, reason))  # type: ignore[arg-type]
    return made


async def test_the_answer_that_most_drafts_give_is_taken(scripted: Scripted) -> None:
    async with scripted({QUESTION: ["Lyon", "Paris.", "The Paris"]}, ultra=ULTRA) as asking:
        answer = await asking.ask("ultra")
        body = answer.json()
        assert body["choices"][0]["message"]["content"] == "Paris."
        done = body["usage"]["quality"]
        assert (done["mode"], done["passes"], done["candidates"]) == ("ultra", 1, 3)
        assert done["notes"] == ["2 of 3 drafts agree"]
        assert answer.headers["x-quality-passes"] == "1"
        # One request of three answers: vLLM reads the prompt once and shares its cache.
        (job,) = asking.engine.jobs
        assert isinstance(job, ChatJob)
        assert (job.n, job.temperature) == (3, 0.7)


async def test_drafts_that_cannot_be_compared_are_judged_and_rewritten(scripted: Scripted) -> None:
    replies = {
        QUESTION: [f"one {LONG}", f"two {LONG}", f"three {LONG}"],
        JUDGE: "no",
        CRITIQUE: "It is too long.",
        REWRITE: "Paris, in short.",
    }
    async with scripted(replies, ultra=ULTRA) as asking:
        engine = asking.engine
        answer = await asking.ask("ultra")
        done = answer.json()["usage"]["quality"]
        assert [one["pass"] for one in done["tokens_by_pass"]] == ["drafts", "judge", "critique", "rewrite", "compare"]
        # The last comparison says no to the rewrite as well: the draft stays.
        assert answer.json()["choices"][0]["message"]["content"] == f"one {LONG}"
        assert done["notes"] == ["the draft judged best"]
        judged = [job for job in engine.jobs if isinstance(job, ChatJob) and JUDGE in job.messages[-1]["content"]]
        assert [job.max_tokens for job in judged] == [1, 1, 1, 1]
        assert {job.temperature for job in judged} == {0.0}
        usage = answer.json()["usage"]
        assert usage["prompt_tokens"] == sum(one["prompt_tokens"] for one in done["tokens_by_pass"])
        assert usage["completion_tokens"] == sum(one["completion_tokens"] for one in done["tokens_by_pass"])
        assert answer.headers["x-quality-passes"] == "5"


async def test_a_reasoning_model_judges_without_reasoning(scripted: Scripted) -> None:
    replies = {QUESTION: [f"one {LONG}", f"two {LONG}"], JUDGE: "yes"}
    modes = {**ULTRA, "drafts": 2, "rewrite": False, "reasoning": True}
    async with scripted(replies, ultra=modes, reasoning_switch="thinking") as asking:
        await asking.ask("ultra")
        drafts, *verdicts = [job for job in asking.engine.jobs if isinstance(job, ChatJob)]
        assert drafts.chat_template_kwargs == {"thinking": True}
        assert [job.chat_template_kwargs for job in verdicts] == [{"thinking": False}] * 2


async def test_a_rewrite_that_the_comparison_prefers_is_the_answer(scripted: Scripted) -> None:
    replies = {QUESTION: [f"one {LONG}", f"two {LONG}"], CRITIQUE: "Too long.", REWRITE: "Paris, in short."}
    async with scripted(replies, ultra={**ULTRA, "drafts": 2}) as asking:
        # The verdict on what was rewritten is yes, on everything else no.
        script = asking.engine.options

        def verdicts() -> None:
            said = [job for job in asking.engine.jobs if isinstance(job, ChatJob)]
            rewritten = any(REWRITE in job.messages[-1]["content"] for job in said)
            script.replies[JUDGE] = "yes" if rewritten else "no"  # type: ignore[index]

        read = asking.engine.read

        async def watched(job: Job) -> FakeReading:
            verdicts()
            return await read(job)

        asking.engine.read = watched  # type: ignore[method-assign]
        assert await asking.text("ultra") == "Paris, in short."


async def test_drafts_are_told_on_request_with_their_votes(scripted: Scripted) -> None:
    async with scripted({QUESTION: ["Lyon", "Paris.", "The Paris"]}, ultra=ULTRA) as asking:
        drafts = (await asking.ask("ultra", return_drafts=True)).json()["usage"]["quality"]["drafts"]
        assert [(one["pass"], one["text"], one["votes"], one["chosen"]) for one in drafts] == [
            ("drafts", "Lyon", 1, False),
            ("drafts", "Paris.", 2, True),
            ("drafts", "The Paris", 2, False),
        ]
        assert drafts[0]["likelihood"] == -0.25
        assert "right" not in drafts[0]  # nobody had to judge
        assert "drafts" not in (await asking.ask("ultra")).json()["usage"]["quality"]
        assert (await asking.ask("low", return_drafts=True)).json()["usage"]["quality"]["drafts"] == []


async def test_drafts_of_a_stream_come_with_its_usage(scripted: Scripted) -> None:
    async with scripted({QUESTION: ["Lyon", "Paris", "Paris"]}, ultra=ULTRA) as asking:
        usage = {"include_usage": True}
        answer = await asking.ask("ultra", return_drafts=True, stream=True, stream_options=usage)
        *before, last = events(answer.text)
        assert [one["text"] for one in last["usage"]["quality"]["drafts"]] == ["Lyon", "Paris", "Paris"]
        assert all("drafts" not in str(chunk) for chunk in before)


async def test_critique_and_rewrite_are_told_and_what_the_judge_thought(scripted: Scripted) -> None:
    replies = {QUESTION: [f"one {LONG}", f"two {LONG}"], JUDGE: "no", CRITIQUE: "Too long.", REWRITE: "Paris."}
    async with scripted(replies, ultra={**ULTRA, "drafts": 2}) as asking:
        drafts = (await asking.ask("ultra", return_drafts=True)).json()["usage"]["quality"]["drafts"]
        assert [(one["pass"], one["chosen"]) for one in drafts] == [
            ("drafts", True),
            ("drafts", False),
            ("critique", False),
            ("rewrite", False),
        ]
        assert "votes" not in drafts[0]  # too long to be compared
        assert 0 <= drafts[0]["right"] < 0.5
        assert drafts[2]["text"] == "Too long."
        assert drafts[3]["right"] < 0.5


async def test_a_rewrite_that_won_is_the_chosen_one(scripted: Scripted) -> None:
    replies = {QUESTION: [f"one {LONG}", f"two {LONG}"], CRITIQUE: "Too long.", REWRITE: "Paris, in short."}
    async with scripted({**replies, JUDGE: "yes"}, ultra={**ULTRA, "drafts": 2, "margin": 0, "judge": False}) as asking:
        answer = (await asking.ask("ultra", return_drafts=True)).json()
        drafts = answer["usage"]["quality"]["drafts"]
        won = answer["choices"][0]["message"]["content"]
        assert [one["text"] for one in drafts if one["chosen"]] == [won]


async def test_calls_are_told_as_calls_and_long_drafts_are_cut(scripted: Scripted) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    call = {"call": {"name": "weather", "arguments": {"city": "Paris"}}}
    async with scripted({}, options=call, ultra=ULTRA) as asking:
        drafts = (await asking.ask("ultra", tools=tools, return_drafts=True)).json()["usage"]["quality"]["drafts"]
        assert {one["text"] for one in drafts} == {'weather({"city": "Paris"})'}
    async with scripted({QUESTION: "x" * 9000}, ultra=ULTRA) as asking:
        drafts = (await asking.ask("ultra", return_drafts=True)).json()["usage"]["quality"]["drafts"]
        assert {one["text"] for one in drafts} == {"x" * 8000 + "…"}


async def test_a_schema_is_kept_by_choosing_only(scripted: Scripted) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    async with scripted({QUESTION: ["Lyon", "Paris", "Paris"]}, ultra=ULTRA) as asking:
        answer = await asking.ask("ultra", response_format=form)
        assert answer.json()["choices"][0]["message"]["content"] == '{"city": "Paris"}'
        assert answer.headers["x-quality-reason"].endswith("which keep response_format valid")
        assert all(isinstance(job, ChatJob) and job.output_schema == schema for job in asking.engine.jobs)


async def test_logprobs_are_told_where_they_were_asked_for_and_only_there(scripted: Scripted) -> None:
    async with scripted({QUESTION: "Paris"}, ultra=ULTRA) as asking:
        with_them = (await asking.ask("ultra", logprobs=True)).json()["choices"][0]
        assert [entry["token"] for entry in with_them["logprobs"]["content"]] == ["Paris"]
        assert (await asking.ask("ultra")).json()["choices"][0]["logprobs"] is None


async def test_calls_are_compared_by_name_and_arguments(scripted: Scripted) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    call = {"call": {"name": "weather", "arguments": {"city": "Paris"}}}
    async with scripted({}, options=call, ultra=ULTRA) as asking:
        answer = await asking.ask("ultra", tools=tools)
        (made,) = answer.json()["choices"][0]["message"]["tool_calls"]
        assert made["function"] == {"name": "weather", "arguments": '{"city": "Paris"}'}
        assert answer.json()["usage"]["quality"]["notes"] == [
            "the first 2 of 3 drafts settled it",
            "2 of 2 drafts agree",
        ]


async def test_a_stream_brings_the_best_answer_and_one_usage(scripted: Scripted) -> None:
    async with scripted({QUESTION: ["Lyon", "Paris", "Paris"]}, ultra=ULTRA) as asking:
        answer = await asking.ask("ultra", stream=True, stream_options={"include_usage": True})
        chunks = events(answer.text)
        text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
        assert text == "Paris"
        assert {c["choices"][0]["index"] for c in chunks if c["choices"]} == {0}
        assert chunks[-1]["usage"]["quality"]["passes"] == 1
        assert answer.headers["x-quality-passes"] == "5"  # planned: the headers leave before the work


async def test_a_used_up_budget_answers_with_the_best_so_far(scripted: Scripted) -> None:
    replies = {QUESTION: [f"one {LONG}", f"two {LONG}"], JUDGE: "yes"}
    async with scripted(replies, ultra={**ULTRA, "drafts": 2}, options={"pause": 0.01}) as asking:
        answer = await asking.ask("ultra", headers={"X-Quality-Budget-Ms": "1"})
        done = answer.json()["usage"]["quality"]
        assert answer.status_code == 200
        assert answer.json()["choices"][0]["message"]["content"].startswith(("one", "two"))
        assert "the time budget was used up" in done["notes"]
        assert done["passes"] == 1


async def test_a_failing_later_pass_costs_the_refinement_and_not_the_answer(scripted: Scripted) -> None:
    replies = {QUESTION: [f"one {LONG}", f"two {LONG}"]}
    async with scripted(replies, ultra={**ULTRA, "drafts": 2}, options={"context": 30}) as asking:
        # The judge's prompt, which holds the draft, is longer than the context.
        answer = await asking.ask("ultra")
        assert answer.status_code == 200
        assert answer.json()["usage"]["quality"]["notes"] == ["a pass was given up (context_length_exceeded)"]


async def test_who_hangs_up_stops_every_pass(scripted: Scripted) -> None:
    replies = {QUESTION: [f"one {LONG}", f"two {LONG}"], JUDGE: "yes"}
    async with scripted(replies, ultra={**ULTRA, "drafts": 2}) as asking:
        engine = asking.engine
        body = b'{"model":"everything","quality":"ultra","messages":[{"role":"user","content":"Which city?"}]}'
        engine.gate.close()
        engine.gate.let(44)  # the drafts, to the end: Facts, 2 × 21 words and ends, Usage
        exchange = asking.server.exchange("POST", "/v1/chat/completions", body=body)
        async with exchange:
            while engine.started < 3:  # both judgements wait at the gate
                await engine.gate.until_waiting(1)
                if engine.started < 3:
                    engine.gate.let(1)
                await asyncio.sleep(0)
        await engine.until_idle()
        assert engine.running == 0
        assert engine.cut_short >= 1


def test_a_majority_needs_two_and_half_must_be_comparable() -> None:
    vague = LONG
    assert agreed([draft("Paris"), draft("Lyon")], numeric=False) is None
    assert agreed([draft("Paris"), draft("Paris"), draft(vague), draft(vague), draft(vague)], numeric=False) is None
    found = agreed([draft("Paris", -0.9), draft("paris", -0.2), draft("Lyon", -0.1)], numeric=False)
    assert found is not None
    assert (found[0].text, found[1]) == ("paris", 2)
    tie = [draft("Paris"), draft("Paris"), draft("Lyon"), draft("Lyon")]
    assert agreed(tie, numeric=False) is None


def test_an_answer_that_was_cut_off_is_the_last_choice() -> None:
    assert likeliest([draft("cut", -0.01, "length"), draft("whole", -2.0)]).text == "whole"
    assert agreed([draft("7", reason="length"), draft("7", reason="length"), draft("8")], numeric=True) is None


def test_a_long_answer_is_no_likelier_for_its_easy_tokens() -> None:
    short, rambling = draft("no", -1.0), Draft()
    tokens = tuple(TokenLogprob("x", -0.9, ()) for _ in range(20))
    rambling.add(TextDelta(0, "x" * 20, tokens, 20))
    rambling.add(Finish(0, "stop"))
    assert likeliest([rambling, short]) is short  # by the mean alone it would be the other


async def test_without_a_judge_the_likeliest_draft_is_taken(scripted: Scripted) -> None:
    modes = {**ULTRA, "drafts": 2, "judge": False, "rewrite": False}
    async with scripted({QUESTION: [f"one {LONG}", "two"]}, ultra=modes) as asking:
        answer = await asking.ask("ultra")
        assert answer.json()["choices"][0]["message"]["content"] == "two"
        assert answer.json()["usage"]["quality"]["notes"] == ["the likeliest draft"]
        assert answer.headers["x-quality-passes"] == "1"


def test_the_verdict_is_yes_against_no() -> None:
    def entry(token: str, logprob: float) -> TokenLogprob:
        return TokenLogprob(token, logprob, ())

    verdict = TokenLogprob("yes", -0.7, (), (entry("Yes", -0.7), entry(" no", -0.7), entry("maybe", -3.0)))
    assert yes(verdict) == pytest.approx(0.5)
    assert yes(TokenLogprob("no", -0.1, (), (entry("no", -0.1), entry("x", -5.0)))) < 0.01


def written(*texts: str) -> list[Event]:
    """Drafts that are written side by side, a word of each at a time, and end as soon as they have no more."""
    events: list[Event] = []
    words = [text.split(" ") for text in texts]
    for place in range(max(map(len, words)) + 1):
        for index, own in enumerate(words):
            if place < len(own):
                word = own[place] if place == 0 else f" {own[place]}"
                events.append(TextDelta(index, word, (TokenLogprob(word, -0.5, ()),), 1))
            elif place == len(own):
                events.append(Finish(index, "stop"))
    return [*events, Usage(prompt_tokens=4, completion_tokens=sum(map(len, words)))]


SETTLED = {**ULTRA, "drafts": 5, "sure": 0.9}
VOTE = {"judge": False, "rewrite": False}


async def test_drafts_are_given_up_once_the_vote_of_the_others_is_settled(scripted: Scripted) -> None:
    async with scripted({}, ultra=SETTLED) as asking:
        asking.engine.script.append([Facts(prompt_tokens=4), *written("Paris", "Paris.", LONG, "The Paris", LONG)])
        answer = (await asking.ask("ultra", return_drafts=True)).json()
        assert answer["choices"][0]["message"]["content"] in ("Paris", "Paris.", "The Paris")
        done = answer["usage"]["quality"]
        assert done["notes"] == ["the first 3 of 5 drafts settled it", "3 of 3 drafts agree"]
        assert done["candidates"] == 3
        assert [one["text"] for one in done["drafts"]] == ["Paris", "Paris.", "The Paris"]
        # What was written of the others until then is paid: two words and three, of twenty each.
        assert answer["usage"]["completion_tokens"] == 1 + 1 + 2 + (3 + 2)
        assert answer["usage"]["prompt_tokens"] == 4
        await asking.engine.until_idle()
        assert (asking.engine.started, asking.engine.cut_short) == (1, 1)


async def test_what_was_generated_beside_the_events_is_paid_too(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeReading, "unread", 7)
    monkeypatch.setattr(FakeReading, "cached", 3)
    async with scripted({}, ultra={**SETTLED, **VOTE, "enough": 2}) as asking:
        thought = ReasoningDelta(2, "Hm", 2)
        asking.engine.script.append([Facts(prompt_tokens=4), thought, *written("Paris", "Rome", LONG, LONG, LONG)])
        usage = (await asking.ask("ultra")).json()["usage"]
        assert usage["quality"]["notes"][0] == "the first 2 of 5 drafts settled it"
        # The thought, a word of each draft, and what no event had told yet.
        assert usage["completion_tokens"] == 2 + 5 + 7
        assert usage["prompt_tokens_details"]["cached_tokens"] == 3
        assert usage["completion_tokens_details"]["reasoning_tokens"] == 2


async def test_a_settled_stream_tells_one_answer_and_what_was_written(scripted: Scripted) -> None:
    async with scripted({}, ultra=SETTLED) as asking:
        asking.engine.script.append([Facts(prompt_tokens=4), *written("Paris", "Paris", "Paris", LONG, LONG)])
        usage = {"include_usage": True}
        answer = await asking.ask("ultra", stream=True, stream_options=usage, return_drafts=True)
        chunks = events(answer.text)
        assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == "Paris"
        assert len(chunks[-1]["usage"]["quality"]["drafts"]) == 3
        assert chunks[-1]["usage"]["quality"]["passes"] == 1


async def test_all_drafts_are_waited_for_where_the_config_says_so(scripted: Scripted) -> None:
    async with scripted({}, ultra={**SETTLED, "sure": 1}) as asking:
        asking.engine.script.append([Facts(prompt_tokens=4), *written(*["Paris"] * 4, "Final answer: Paris")])
        usage = (await asking.ask("ultra")).json()["usage"]
        assert (usage["quality"]["candidates"], usage["quality"]["notes"]) == (5, ["5 of 5 drafts agree"])
        assert usage["completion_tokens"] == 4 + 3
