"""`scripts/bench front`: how its client reads answers, and what it makes of them."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.benchmarks import front_server
from scripts.benchmarks.front_answers import AnswerReader, BadAnswer
from scripts.benchmarks.front_cases import CASES, MODELS, QUICK, Case, chosen, requests, write_configs
from scripts.benchmarks.front_client import Order, drive
from scripts.benchmarks.front_figures import Gaps, Sample, Seen, column, gain, summary
from scripts.benchmarks.front_profile import Cost, costs
from scripts.benchmarks.front_sides import Tree, side, tree_of
from scripts.benchmarks.processes import StartError
from server.engines.fake.engine import Gate
from server.models.config.files import read_configs

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def stream(*payloads: bytes) -> bytes:
    return HEAD + b"".join(map(chunk, payloads)) + b"0\r\n\r\n"


EVENTS = (b'data: {"content":"one\\n\\n0\\r\\n\\r\\n"}\n\n', b'data: {"content":" two"}\n\n', b"data: [DONE]\n\n")
"""The text of the first looks like an end of an event, of a chunk and of an answer, and is none."""


def read(reader: AnswerReader, parts: Sequence[bytes]) -> int:
    """How many events the parts hold together; only the last may complete the answer."""
    count = 0
    for part in parts[:-1]:
        count += reader.feed(part)
        assert not reader.complete
    return count + reader.feed(parts[-1])


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("payloads", [EVENTS, [b"".join(EVENTS)]], ids=["each in its chunk", "all in one chunk"])
def test_a_stream_cut_anywhere_has_its_events_and_its_end(payloads: Sequence[bytes]) -> None:
    whole = stream(*payloads)
    reader = AnswerReader()
    for place in range(1, len(whole)):
        reader.begin()
        assert read(reader, [whole[:place], whole[place:]]) == 3
        assert reader.complete


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64])
def test_a_stream_in_small_pieces(size: int) -> None:
    whole = stream(*EVENTS)
    reader = AnswerReader()
    assert read(reader, [whole[at : at + size] for at in range(0, len(whole), size)]) == 3
    assert reader.complete


def test_a_connection_is_read_answer_by_answer() -> None:
    reader = AnswerReader()
    for count in (3, 1, 3):
        reader.begin()
        assert reader.feed(stream(*EVENTS[:count])) == count
        assert reader.complete


def test_an_empty_stream_ends() -> None:
    reader = AnswerReader()
    assert read(reader, [HEAD, b"0\r\n", b"\r\n"]) == 0
    assert reader.complete


def test_a_plain_answer_ends_by_its_length() -> None:
    whole = b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"a":"\\n"}'
    reader = AnswerReader()
    for place in range(1, len(whole)):
        reader.begin()
        assert read(reader, [whole[:place], whole[place:]]) == 0
        assert reader.complete
    reader.begin()
    with pytest.raises(BadAnswer, match="1 bytes came after"):
        reader.feed(whole + b"x")


def test_a_refusal_is_raised_with_its_body() -> None:
    with pytest.raises(BadAnswer, match=r"429 Too Many Requests: \{\"error\""):
        AnswerReader().feed(b'HTTP/1.1 429 Too Many Requests\r\ncontent-length: 12\r\n\r\n{"error": 1}')


# ---------------------------------------------------------------- the client


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncGenerator[int, None]:
    """The port of a server that gives each request the next of the answers, and hangs up instead of an empty one."""
    waiting, serving = list(answers), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096) and waiting[0]:
            writer.write(waiting.pop(0))
        writer.close()
        await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    async with await asyncio.start_server(begin, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*serving)


def order(port: int, **changes: Any) -> Order:
    fields = {"requests": ["GET / HTTP/1.1\r\n\r\n"], "connections": 2, "answers": 2, "events": 3}
    return Order(**{"port": port, "pace": 0.0, "ramp": 0.0, "limit": 30.0, **fields, **changes})


@pytest.mark.anyio
async def test_every_connection_gets_its_answers() -> None:
    async with answering(*[stream(*EVENTS)] * 4) as port:
        seen = await drive(order(port), lambda: None)
    assert (seen.answers, seen.chunks, seen.lost, seen.gaps) == (4, 12, 0, None)
    assert 0 < seen.first <= seen.whole < 1000 * seen.seconds


@pytest.mark.anyio
async def test_a_chunk_that_is_missing_is_lost() -> None:
    async with answering(*[stream(*EVENTS)] * 3, stream(*EVENTS[1:])) as port:
        seen = await drive(order(port), lambda: None)
    assert (seen.chunks, seen.lost) == (11, 1)


@pytest.mark.anyio
async def test_a_connection_that_ends_early_ends_the_load() -> None:
    async with answering(stream(*EVENTS), b"", stream(*EVENTS)) as port:
        with pytest.raises(BadAnswer, match="closed a connection"):
            await drive(order(port), lambda: None)


@pytest.mark.anyio
async def test_an_engine_without_pace_is_found_out() -> None:
    async with answering(*[stream(*EVENTS)] * 4) as port:
        with pytest.raises(BadAnswer, match="does not keep the pace"):
            await drive(order(port, pace=60.0), lambda: None)


# ---------------------------------------------------------------- figures


def test_a_stream_that_stands_still_does_not_look_quick_afterwards() -> None:
    stood = [(0.02 * n, 0.02) for n in range(1, 99)] + [(9.0, 2.0), (9.02, 2.0)]
    gaps = Gaps.of(stood, begun=10.0, ended=11.0)
    assert (gaps.p99, gaps.largest) == (pytest.approx(2000), pytest.approx(2000))


def test_gaps_count_as_steady_only_while_all_streamed() -> None:
    waits = [(1.0, 0.5), (2.0, 0.1), (3.0, 0.2), (4.0, 0.9)]
    assert Gaps.of(waits, begun=1.0, ended=3.5).steady == pytest.approx(200)
    assert Gaps.of(waits, begun=3.5, ended=1.0).steady == pytest.approx(900)  # they never all streamed


def seen(**changes: Any) -> Seen:
    fields = dict.fromkeys(("first", "first_p99", "whole", "whole_p99"), 1.0)
    return Seen(**{"seconds": 2.0, "processor": 0.5, "answers": 10, "chunks": 0, "lost": 0, **fields, **changes})


def test_processor_time_is_given_for_each_request_or_chunk() -> None:
    plain = seen().figures(served=0.01, waited=0.5, others=0.1)
    assert (plain["rate"], plain["processor"], plain["client"]) == (5, pytest.approx(1000), 25)
    assert (plain["waited"], plain["others"]) == (25, 10)
    streamed = seen(chunks=1000, gaps=Gaps(1, 2, 3)).figures(served=0.01, waited=0.5, others=0.1)
    assert (streamed["rate"], streamed["processor"]) == (500, pytest.approx(10))
    assert (streamed["gap_p99"], streamed["gap_max"], streamed["steady_gap_max"]) == (1, 2, 3)


def test_what_the_client_says_arrives_as_it_was() -> None:
    from dataclasses import asdict

    for one in (seen(), seen(gaps=Gaps(1.0, 2.0, 3.0), stall=4.0)):
        assert Seen.read(json.loads(json.dumps(asdict(one)))) == one


def samples() -> list[Sample]:
    """Two rounds, the second in the other order, as they are measured."""
    rates = [("new", 0, 200.0), ("old", 0, 100.0), ("old", 1, 50.0), ("new", 1, 150.0)]
    return [Sample(side, "off", "plain-1", number, {"rate": rate, "lost": 0.0}) for side, number, rate in rates]


def test_sides_are_divided_round_by_round() -> None:
    divided = gain(samples(), ["new", "old"], "off", "plain-1", "rate")
    assert divided is not None
    assert (divided.low, divided.median, divided.high) == (2.0, 2.5, 3.0)
    assert gain(samples(), ["new"], "off", "plain-1", "rate") is None
    assert gain(samples(), ["new", "old"], "off", "plain-1", "lost") is None
    assert column(samples()[::-1], "new", "off", "plain-1", "rate") == [200.0, 150.0]


def test_the_summary_has_spreads_and_ratios() -> None:
    rate, lost = summary(samples(), ["new", "old"], {"plain-1": ["rate", "lost"]})
    assert rate["ratio"]["median"] == 2.5
    assert rate["sides"]["old"] == {"median": 75.0, "low": 50.0, "high": 100.0, "rounds": 2}
    assert "ratio" not in lost


def test_a_profile_is_given_for_each_unit() -> None:
    stats = {
        ("/srv/tree/server/api/sse.py", 112, "_send_chunks"): (10, 10, 0.001, 0.005, {}),
        ("/usr/lib/site-packages/uvicorn/impl.py", 7, "send"): (20, 20, 0.004, 0.004, {}),
        ("~", 0, "<built-in method builtins.len>"): (5, 5, 0.0, 0.0, {}),
    }
    first, second, third = costs(stats, 10, [Path("/srv/tree")])
    assert first == Cost("uvicorn/impl.py:7 send", 2.0, pytest.approx(400), pytest.approx(400))
    assert second == Cost("server/api/sse.py:112 _send_chunks", 1.0, pytest.approx(100), pytest.approx(500))
    assert third.function == "<built-in method builtins.len>"


# ---------------------------------------------------------------- loads and sides


def test_a_glance_has_the_same_loads() -> None:
    assert [case.name for case in QUICK] == [case.name for case in CASES]
    assert [(case.connections, case.paced) for case in QUICK] == [(case.connections, case.paced) for case in CASES]


def test_loads_are_chosen_by_name() -> None:
    assert [case.name for case in chosen(["paced-512", "plain-1"], CASES)] == ["plain-1", "paced-512"]
    assert chosen([], CASES) == list(CASES)
    with pytest.raises(LookupError, match="there is no load plain-2"):
        chosen(["plain-1", "plain-2"], CASES)


def test_requests_are_whole_and_spread_over_the_models(tmp_path: Path) -> None:
    asked = set()
    for request in requests(Case("x", 1, 1, 7), "sk-sage-x"):
        head, _, body = request.partition("\r\n\r\n")
        assert f"content-length: {len(body)}" in head
        assert "authorization: Bearer sk-sage-x" in head
        asked.add(json.loads(body)["model"])
    assert "authorization" not in requests(Case("x", 1, 1), None)[0]
    served = read_configs([write_configs(tmp_path / "configs")]).models
    assert {model.spec.name for model in served} == asked
    assert len(asked) == MODELS
    places = served[0].spec.parallel
    assert max(case.connections for case in CASES) <= MODELS * (places - places // 8)  # what one account may have


def test_an_unknown_revision_is_named() -> None:
    with pytest.raises(LookupError, match="--against no-such-revision"):
        tree_of("no-such-revision", Path("unused"))


def test_a_server_of_a_tree_takes_that_trees_code(tmp_path: Path) -> None:
    code = tmp_path / "tree" / "server"
    code.mkdir(parents=True)
    (code / "__init__.py").touch()
    (code / "__main__.py").write_text("import sys; print(__file__, *sys.argv[1:2])")
    tree = Tree("old", code.parent, "abc")
    made = side(tree, "off", tmp_path)
    done = subprocess.run(made.command, env=dict(made.environment), capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(code / "__main__.py"), "serve"]
    with pytest.raises(StartError, match="taken from elsewhere"):
        side(Tree("gone", tmp_path / "gone", "abc"), "off", tmp_path)


# ---------------------------------------------------------------- the pace


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A gate whose class may be changed."""
    monkeypatch.setattr(Gate, "through", Gate.through)
    return Gate()


@pytest.mark.anyio
async def test_jobs_have_their_events_at_the_same_steps(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.get_running_loop().time()
    monkeypatch.setattr(front_server, "time", SimpleNamespace(monotonic=lambda: begun))
    front_server.keep_pace(0.01)
    passed: list[str] = []

    async def job(name: str) -> None:
        for _ in range(3):
            await gate.through()
            passed.append(name)

    await asyncio.gather(job("a"), job("b"))
    assert [sorted(passed[at : at + 2]) for at in (0, 2, 4)] == [["a", "b"]] * 3


@pytest.mark.anyio
async def test_events_that_were_not_taken_in_time_are_ready(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.5
    monkeypatch.setattr(front_server, "time", SimpleNamespace(monotonic=lambda: now))
    front_server.keep_pace(1.0)

    def waits() -> bool:
        """Whether the next event is still to come."""
        passing = gate.through()
        try:
            passing.send(None)
        except StopIteration:
            return False
        passing.close()
        return True

    assert waits()  # step 101
    now = 103.5
    assert [waits() for _ in range(3)] == [False, False, True]  # 102, 103, 104


def test_the_wrapper_hands_its_words_on(tmp_path: Path) -> None:
    code = tmp_path / "server"
    (code / "engines").mkdir(parents=True)
    for package in (code, code / "engines"):
        (package / "__init__.py").touch()
    (code / "engines" / "fake.py").write_text("class Gate:\n    async def through(self): ...\n")
    (code / "__main__.py").write_text(
        "import sys\nfrom server.engines.fake import Gate\n"
        "def main(): print(*sys.argv, Gate.through.__module__ == '__main__')\n"
    )
    words = [sys.executable, "-P", front_server.__file__, "--pace", "0.02", "serve", "--port", "0"]
    done = subprocess.run(words, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["sagehold", "serve", "--port", "0", "True"]
