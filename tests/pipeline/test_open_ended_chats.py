"""Modes add turns of their own to a chat; an answer that is no turn gets none."""

from dataclasses import replace
from typing import Any

import pytest

from server.core import ChatJob, Quality, Task
from server.models.config.spec import ModelSpec, Price, VllmModel
from server.pipeline.modes import plan_for
from server.pipeline.strategies.chat import probably_right
from tests.pipeline.working import asking

CHAT = VllmModel(name="chat", engine="vllm", path="x")
BEGUN = ({"role": "user", "content": "Write code:\n```\n1 + 2\n```"}, {"role": "assistant", "content": "x = "})


class Catalog:
    def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
        assert (name, task) == ("chat", Task.CHAT)
        return CHAT, Price()


@pytest.mark.parametrize("mode", ["high", "ultra"])
@pytest.mark.parametrize("field", ["continue_final_message", "add_generation_prompt"])
def test_one_pass_answers_what_is_no_turn(mode: str, field: str) -> None:
    job = replace(ChatJob(messages=BEGUN), **{field: field == "continue_final_message"})
    plan = plan_for(asking("chat", quality=Quality(mode)), job, Catalog())
    assert ([one.name for one in plan.passes], plan.strategy.name) == (["answer"], "single")
    assert plan.reason.startswith("asked for; ")
    assert plan.reason.endswith(f"; one pass, for the request sets {field}")


@pytest.mark.parametrize("fields", [{"continue_final_message": True}, {"add_generation_prompt": False}])
def test_auto_leaves_it_at_one_pass(fields: dict[str, Any]) -> None:
    plan = plan_for(asking("chat"), replace(ChatJob(messages=BEGUN), **fields), Catalog())
    assert (plan.quality, [one.name for one in plan.passes]) == (Quality.MEDIUM, ["answer"])
    assert plan.reason == f"the request sets {next(iter(fields))}"


@pytest.mark.parametrize("mode", ["high", "ultra"])
@pytest.mark.parametrize("kept", [-1, 5])
def test_one_pass_answers_a_chat_that_is_cut_off(mode: str, kept: int) -> None:
    """A check would see its own instructions alone, or the whole chat, for which no credits were held."""
    job = ChatJob(messages=BEGUN[:1], truncate_prompt_tokens=kept)
    plan = plan_for(asking("chat", quality=Quality(mode)), job, Catalog())
    assert [one.name for one in plan.passes] == ["answer"]
    assert plan.reason.endswith("; one pass, for the request sets truncate_prompt_tokens")


def test_the_passes_of_the_server_own_read_the_documents_and_keep_the_cache_apart() -> None:
    documents = ({"title": "Report", "text": "42"},)
    made = probably_right.asking(ChatJob(messages=BEGUN, documents=documents, cache_salt="ours"), BEGUN)
    assert (made.documents, made.cache_salt) == (documents, "ours")
