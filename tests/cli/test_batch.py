"""`sagehold batch run`, over fake engines: every request answered once, whatever ends it in between."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from server.__main__ import build

pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).parents[2]
CHAT = "/v1/chat/completions"


def chat(number: int, **body: Any) -> dict[str, Any]:
    said = {"model": "chat", "messages": [{"role": "user", "content": "hello there"}], "max_tokens": 4} | body
    return {"custom_id": f"r-{number}", "method": "POST", "url": CHAT, "body": said}


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """The command logs to the runner's standard error, which is closed when it has ended."""
    root = logging.root
    before = root.handlers[:], root.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With models `chat`, `embedding`, `slow`, which takes 0.2 s for an answer, `stuck`, which never ends one, and
    `broken`, which can't be loaded.
    """
    configs = tmp_path / "configs"
    configs.mkdir()
    for name, more in {
        "chat": "serves: chat",
        "embedding": "serves: embedding",
        "slow": "serves: chat\noptions: {pause: 0.2}",
        "stuck": "serves: chat\noptions: {pause: 600}",
        "broken": "serves: chat\noptions: {fail_start: its weights are torn}",
    }.items():
        (configs / f"{name}.yaml").write_text(f"name: {name}\nengine: fake\n{more}\n")
    monkeypatch.setattr("server.cli.batch.QUIET", {})  # it would outlive the test
    for name in ("MODEL_CONFIGS", "MODELS_DIR", "DATA_DIR"):
        monkeypatch.setenv(f"SAGEHOLD_{name}", str(configs if name == "MODEL_CONFIGS" else tmp_path / name.lower()))
    return tmp_path


def write(folder: Path, requests: Iterable[object]) -> Path:
    path = folder / "in.jsonl"
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in requests))
    return path


def run(folder: Path, *more: str) -> Result:
    words = ["batch", "run", str(folder / "in.jsonl"), "-o", str(folder / "out.jsonl"), *more]
    return CliRunner().invoke(build("batch"), words)


def begun(folder: Path) -> subprocess.Popen[str]:
    words = ["batch", "run", str(folder / "in.jsonl"), "--output", str(folder / "out.jsonl")]
    return subprocess.Popen(
        [sys.executable, "-m", "server", *words],
        cwd=ROOT,
        env=os.environ,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def answered(folder: Path, name: str = "out.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def until(folder: Path, lines: int, process: "subprocess.Popen[str]") -> None:
    """Return once so many are answered."""
    out = folder / "out.jsonl"
    while not out.exists() or out.read_bytes().count(b"\n") < lines:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def test_every_request_is_answered_in_the_form_of_the_api(folder: Path) -> None:
    write(folder, [chat(1), "", chat(2), {
        "custom_id": "e", "method": "POST", "url": "/v1/embeddings", "body": {"model": "embedding", "input": "a cat"}
    }])  # fmt: skip
    done = run(folder)
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert "3 of 3 requests are done. 6 tokens read, 8 written; 3 requests in" in done.stderr
    found = {one["custom_id"]: one for one in answered(folder)}
    assert set(found) == {"r-1", "r-2", "e"}
    assert found["r-2"]["error"] is None
    answer = found["r-2"]["response"]
    assert answer["status_code"] == 200
    assert answer["body"]["choices"][0]["message"]["content"] == "Hello from the fake"
    assert "credits" not in answer["body"]["usage"]
    assert len(found["e"]["response"]["body"]["data"][0]["embedding"]) == 8
    assert sorted(path.name for path in folder.iterdir()) == ["configs", "in.jsonl", "out.jsonl"], "and no data folder"


def test_what_is_refused_stands_in_a_file_of_its_own(folder: Path) -> None:
    write(folder, [chat(1), chat(2, n=0), chat(3)])
    done = run(folder)
    assert done.exit_code == 1
    assert "3 of 3 requests are done, 1 of them were refused or failed: see" in done.stderr
    (refused,) = answered(folder, "out.errors.jsonl")
    assert (refused["custom_id"], refused["response"]["status_code"]) == ("r-2", 400)
    assert refused["response"]["body"]["error"]["param"] == "n"
    assert sorted(one["custom_id"] for one in answered(folder)) == ["r-1", "r-3"]
    again = run(folder)
    assert again.exit_code == 1
    assert "3 of 3 requests were done before" in again.stderr
    assert len(answered(folder)) == 2


def test_the_file_of_errors_may_be_named(folder: Path) -> None:
    write(folder, [chat(1)])
    assert run(folder, "--errors", str(folder / "wrong.jsonl")).exit_code == 0
    assert (folder / "wrong.jsonl").read_text() == ""
    assert not (folder / "out.errors.jsonl").exists()


def test_a_wrong_file_is_told_line_by_line_and_nothing_is_begun(folder: Path) -> None:
    write(folder, [
        chat(1), chat(1), "{torn", chat(2) | {"url": "/v1/nothing"}, chat(3, stream=True), chat(4, model="none"),
        chat(5, model="chat:ultra"),
    ])  # fmt: skip
    done = run(folder)
    assert done.exit_code == 2
    told = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in told] == [f"line {number}" for number in (2, 3, 4, 5, 6)] + ["sagehold"]
    assert told[0].endswith("(custom_id)")
    assert "model `none`" in told[4] or "'none'" in told[4], told[4]
    assert told[-1].endswith("5 errors, nothing was begun")
    assert not (folder / "out.jsonl").exists()


def test_an_empty_file_is_wrong_too(folder: Path) -> None:
    write(folder, [])
    done = run(folder)
    assert (done.exit_code, "no requests" in done.stderr) == (2, True)


def test_only_the_models_that_are_named_are_loaded(folder: Path) -> None:
    write(folder, [chat(1)])
    assert run(folder).exit_code == 0
    (folder / "out.jsonl").unlink()
    write(folder, [chat(1), chat(2, model="broken")])
    done = run(folder)
    assert done.exit_code == 2
    assert "sagehold: the model broken can't be loaded: its weights are torn" in done.stderr
    assert answered(folder) == []


def test_answers_to_another_file_are_left_alone(folder: Path) -> None:
    write(folder, [chat(1)])
    assert run(folder).exit_code == 0
    before = (folder / "out.jsonl").read_bytes()
    write(folder, [chat(1), chat(2)])
    done = run(folder)
    assert done.exit_code == 2
    assert "holds something else than answers to" in done.stderr
    assert (folder / "out.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "in.jsonl"), "three different files"),
        (("-o", "out.jsonl", "--errors", "./out.jsonl"), "three different files"),
        (("-o", "nowhere/out.jsonl"), "there is no folder"),
    ],
)
def test_files_that_can_not_be_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(folder)
    write(folder, [chat(1)])
    done = CliRunner().invoke(build("batch"), ["batch", "run", "in.jsonl", *words])
    assert (done.exit_code, said in done.stderr) == (2, True), done.output


def test_ctrl_c_ends_it_cleanly_and_it_goes_on_from_there(folder: Path) -> None:
    write(folder, [chat(number, model="slow") for number in range(3000)])
    process = begun(folder)
    until(folder, 10, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    done = len(answered(folder))
    assert f"{done:,} of 3,000 requests are done." in err
    assert "The same command goes on from here." in err
    assert 10 <= done < 3000
    write(folder, [chat(number, model="slow") for number in range(3000)])
    finished = run(folder)
    assert finished.exit_code == 0, finished.output
    assert f"{done:,} of 3,000 requests were done before" in finished.stderr
    assert Counter(one["custom_id"] for one in answered(folder)) == {f"r-{number}": 1 for number in range(3000)}


def test_kill_9_loses_no_line_and_answers_none_twice(folder: Path) -> None:
    write(folder, [chat(number, model="slow") for number in range(120)])
    for least in (5, 40):
        process = begun(folder)
        until(folder, least, process)
        process.kill()
        process.communicate()
    with (folder / "out.jsonl").open("a") as torn:
        torn.write('{"id":"batch_req_')
    finished = run(folder)
    assert finished.exit_code == 0, finished.output
    assert Counter(one["custom_id"] for one in answered(folder)) == {f"r-{number}": 1 for number in range(120)}


def test_what_only_a_server_keeps_is_an_error_and_not_waited_for(folder: Path) -> None:
    file = {"type": "file", "file": {"file_id": f"file-{'0' * 32}"}}
    after = {"model": "chat", "input": "hello", "previous_response_id": f"resp_{'0' * 32}"}
    write(
        folder,
        [
            chat(1, messages=[{"role": "user", "content": [file]}]),
            {"custom_id": "r-2", "method": "POST", "url": "/v1/responses", "body": after},
            chat(3),
        ],
    )
    finished = run(folder)
    assert finished.exit_code == 1, finished.output
    assert [one["custom_id"] for one in answered(folder)] == ["r-3"]
    failed = [json.loads(line) for line in (folder / "out.errors.jsonl").read_text().splitlines()]
    assert {one["custom_id"]: one["response"]["body"]["error"]["code"] for one in failed} == {
        "r-1": "not_served_here",
        "r-2": "not_served_here",
    }


def test_two_runs_do_not_write_to_the_same_file(folder: Path) -> None:
    write(folder, [chat(1), *(chat(number, model="stuck") for number in range(2, 9))])
    process = begun(folder)
    try:
        until(folder, 1, process)
        second = run(folder)
        assert second.exit_code == 2
        assert f"another run is at work on {folder / 'out.jsonl'}" in second.stderr
    finally:
        process.kill()
        process.communicate()


def test_a_model_that_dies_is_loaded_again_and_the_lines_answered(folder: Path) -> None:
    (folder / "configs" / "mortal.yaml").write_text(
        "name: mortal\nengine: fake\nserves: chat\noptions: {replies: {die: never}}\n"
    )
    write(folder, [chat(number, model="mortal") for number in range(10)])
    assert run(folder).exit_code == 0
    assert len(answered(folder)) == 10
