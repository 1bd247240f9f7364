"""The bench of batches: its file of requests, and its tables."""

import json
from pathlib import Path

from scripts.benchmarks.batch_figures import Seen, markdown
from scripts.benchmarks.batch_runs import Run, requests_file


def test_the_file_asks_for_as_many_different_chats_of_one_length(tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    requests_file(file, "model", 50, 10, 7, [f"word{number}" for number in range(100)])
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["custom_id"] for line in lines] == [f"line-{number}" for number in range(50)]
    texts = [line["body"]["messages"][0]["content"] for line in lines]
    assert len(set(texts)) == 50
    assert {len(text.split()) for text in texts} == {11}
    assert {(line["body"]["max_tokens"], line["body"]["ignore_eos"]) for line in lines} == {(7, True)}


def test_what_a_model_takes_to_load_is_no_part_of_the_throughput() -> None:
    runs = [
        Run("sagehold", 20.0, 30.0, 500, 2000),
        Run("vLLM", 25.0, 60.0, 500, 2000),
        Run("vLLM", 25.0, 40.0, 500, 2000),
        Run("sagehold", 25.0, 35.0, 500, 2000),
    ]
    table = markdown(runs, [])
    assert "| sagehold | 90.0 (80.0–100.0) | 22.5 (20.0–25.0) | 32.5 (30.0–35.0) | 1.000 (1.000–1.000) |" in table
    assert "| vLLM | 80.0 (80.0–80.0) | 25.0 (25.0–25.0) | 50.0 (40.0–60.0) | 1.125 (1.000–1.250) |" in table


def test_first_tokens_are_of_all_rounds_together_and_the_ratio_also_by_round() -> None:
    table = markdown([], [Seen([0.1, 0.2, 0.3], [0.2, 0.3, 0.4], 50.0), Seen([0.2] * 3, [0.2] * 3, 70.0)])
    assert "| median | 0.200 | 0.200 | 1.00; by round 1.25 (1.00–1.50) | 60 (50–70) |" in table
