"""openai-agents against the real server: tests/e2e/agents/program.py, in an environment of its own."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.live import ROOT, LiveServer

HOME = ROOT / ".venv/clients/agents"
PROGRAM = Path(__file__).parent / "agents/program.py"
TOKYO = "The capital of Japan is Tokyo."
STREAMED = ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
ENDED = [
    *("response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"),
]

Did = dict[str, Any]


@pytest.fixture(scope="module")
def did(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Did]:
    """What each scenario of the program returned. In CI it must run; elsewhere its absence skips the tests."""
    if not (HOME / "bin/python").exists():
        reason = "OPENAI-AGENTS IS MISSING: scripts/setup --test makes its environment; it was not tested"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("agents")
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ} | {
        "HOME": str(folder),
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "OPENAI_API_KEY": server.key,
    }
    command = [str(HOME / "bin/python"), "-I", str(PROGRAM)]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    yield json.loads(ended.stdout)
    written = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    assert written == [], "it writes nothing but what it prints"


def of(did: Did, scenario: str) -> Did:
    found: Did = did[scenario]
    assert "error" not in found, found["error"]
    return found


def test_an_agent_answers(did: Did) -> None:
    found = of(did, "answer")
    assert found["text"] == TOKYO
    assert found["response_id"].startswith("resp_")
    assert (found["requests"], found["output_tokens"]) == (1, 8)
    assert found["input_tokens"] > 8


def test_an_agent_calls_its_tool_and_answers_by_what_it_gave(did: Did) -> None:
    found = of(did, "tool")
    assert found["called"] in (["Japan"], ["Peru"])
    assert [kind for kind, _ in found["items"]] == ["tool_call_item", "tool_call_output_item", "message_output_item"]
    assert found["items"][1][1] == {"Japan": "Tokyo", "Peru": "Lima"}[found["called"][0]]
    assert found["text"]
    assert found["responses"] == 2


def test_an_agent_answers_by_a_type(did: Did) -> None:
    found = of(did, "structured")
    assert found["type"] == "Capital"
    assert found["value"]["country"] in ("Japan", "Peru")


def test_an_agent_streams(did: Did) -> None:
    found = of(did, "stream")
    assert found["text"] == "".join(found["pieces"]) == TOKYO
    assert len(found["pieces"]) > 1
    deltas = ["response.output_text.delta"] * len(found["pieces"])
    assert found["events"] == [*STREAMED, *deltas, *ENDED]
    assert found["steps"] == ["message_output_created"]


def test_an_agent_streams_its_calls(did: Did) -> None:
    found = of(did, "tool_stream")
    assert len(found["called"]) == 1
    assert found["steps"] == ["tool_called", "tool_output", "message_output_created"]
    assert found["text"]


def test_the_server_keeps_the_turns(did: Did) -> None:
    found = of(did, "chain")
    assert found["texts"][0] == TOKYO
    first, second = found["input_tokens"]
    assert second > first + 8, "the second turn was read behind the first"
    assert found["sent"] == 1


def test_the_server_keeps_the_calls_of_a_run(did: Did) -> None:
    found = of(did, "chain_of_calls")
    assert len(found["called"]) == 1
    assert found["text"]
    assert found["responses"] == 2


def test_a_conversation_of_the_server(did: Did) -> None:
    found = of(did, "conversation")
    assert found["texts"][0] == TOKYO
    assert found["items"] == ["message"] * 4
    assert found["deleted"] is True


def test_a_session_in_a_conversation_of_the_server(did: Did) -> None:
    found = of(did, "session")
    assert found["text"]
    assert found["roles"] == ["user", "assistant"] * 2
    assert (found["popped"], found["left"]) == ("assistant", 3)


def test_a_session_that_sends_back_what_the_server_gave(did: Did) -> None:
    found = of(did, "own_session")
    assert found["text"]
    assert found["types"] == [
        *("message", "function_call", "function_call_output", "message"),
        *("message", "message"),
    ]


def test_an_agent_hands_over_to_another(did: Did) -> None:
    found = of(did, "handoff")
    assert found["last"] == "Guide"
    assert found["items"] == ["handoff_call_item", "handoff_output_item", "message_output_item"]
    assert found["place"] in ("Japan", "Peru")


def test_it_reached_nothing_but_the_server(did: Did) -> None:
    assert did["elsewhere"] == []
