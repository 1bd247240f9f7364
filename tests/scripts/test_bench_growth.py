"""The bench of growth: what a step must take at least, and when the machine's own limit counts as reached."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.benchmarks.growth_figures import Point, chat_table, in_a_step, least, machine_line, media_table
from scripts.benchmarks.roofline import Machine, Shape, dtype_of, least_prompts, least_step, shape_of

MACHINE = Machine("cpu", "bfloat16", read=20e9, triad=15e9, flops=400e9)
SHAPE = Shape(parameters=100_000_000, head=20_000_000, layers=10, hidden=500, kv_numbers=1000, width=2)


def safetensors(file: Path, **tensors: list[int]) -> None:
    header = json.dumps(
        {"__metadata__": {"format": "pt"}, **{name: {"shape": shape} for name, shape in tensors.items()}}
    )
    file.write_bytes(len(header).to_bytes(8, "little") + header.encode())


CONFIG = {
    "hidden_size": 8,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 10,
    "torch_dtype": "bfloat16",
}


@pytest.mark.parametrize(("tied", "read"), [(True, 80 + 24), (False, 24)])
def test_a_step_reads_every_weight_but_an_embedding_that_is_not_the_head(tmp_path: Path, tied: bool, read: int) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"tie_word_embeddings": tied}))
    safetensors(tmp_path / "model-1.safetensors", embed=[10, 8])
    safetensors(tmp_path / "model-2.safetensors", a=[2, 3, 4])
    shape = shape_of(tmp_path, dtype_of(tmp_path, "auto"))
    assert shape == Shape(parameters=read, head=80, layers=3, hidden=8, kv_numbers=2 * 3 * 2 * 2, width=2)


def test_a_model_without_safetensors_has_no_roofline(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(LookupError, match="safetensors"):
        shape_of(tmp_path, "float32")


def test_one_stream_is_bound_by_memory_and_many_by_arithmetic() -> None:
    seconds, bound = least_step(MACHINE, SHAPE, 1, 0)
    assert (seconds, bound) == (pytest.approx(2 * 100e6 / 20e9), "memory")
    seconds, bound = least_step(MACHINE, SHAPE, 32, 0)
    assert (seconds, bound) == (pytest.approx(32 * 2 * 100e6 / 400e9), "arithmetic")


def test_what_is_cached_for_each_stream_is_read_in_every_step_too() -> None:
    assert SHAPE.step_bytes(4, 1000) - SHAPE.step_bytes(4, 0) == 4 * 1000 * 1000 * 2


def test_only_the_end_of_a_prompt_needs_the_head() -> None:
    assert least_prompts(MACHINE, SHAPE, 1, 1000) == pytest.approx(
        (2 * 80e6 * 1000 + 2 * 20e6 + 2 * 10 * 500 * 1000**2) / 400e9
    )


def point(**changes: object) -> Point:
    made = Point(
        "chat",
        at_once=1,
        latencies=[1.0],
        walls=[1.0],
        processor=[1.0],
        done=32,
        memory=3 << 30,
        cores=2,
        prompt=100,
        answer=32,
        firsts=[0.1],
        further=0.011,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_more_streams_than_a_step_takes_come_in_turns() -> None:
    two, four = least(MACHINE, SHAPE, point(at_once=16), 16), least(MACHINE, SHAPE, point(at_once=32), 16)
    assert four.whole == pytest.approx(2 * two.whole)


def test_a_step_counts_those_that_were_in_it() -> None:
    """Long prompts are read one after the other, and the cache may have room for a few: most streams wait."""
    turns = point(at_once=4, firsts=[1.0, 1.0, 3.0, 3.0], latencies=[2.0, 2.0, 4.0, 4.0])
    assert in_a_step(turns) == pytest.approx(2)
    assert least(MACHINE, SHAPE, turns, 4).step == least_step(MACHINE, SHAPE, 2, 116)[0]
    apart = point(at_once=2, firsts=[1.0, 1.0], latencies=[2.0, 4.0])  # two for a second, then one for two
    assert in_a_step(apart) == pytest.approx((4 + 2) / (2 + 2))
    rounds = point(at_once=1, firsts=[0.5, 0.7], latencies=[2.0, 1.0])  # of two rounds, not at the same time
    assert in_a_step(rounds) == pytest.approx(1)
    assert in_a_step(point(firsts=[], latencies=[])) == 1


def test_the_limit_is_told_where_a_step_is_near_the_least() -> None:
    near, far = point(further=0.0125), point(further=0.0130)
    last = [line.split("|")[-2].strip() for line in chat_table([near, far], MACHINE, SHAPE, 16).splitlines()[2:]]
    assert last == ["limit: memory", ""]


def test_a_processor_that_is_busy_throughout_is_a_limit_too() -> None:
    busy, idle = point(processor=[1.95], further=1.0), point(processor=[1.5], further=1.0)
    rows = media_table([busy, idle], "pictures").splitlines()[2:]
    assert rows[0].endswith("| 98% | 3,072 | limit: all cores busy |")
    assert rows[1].endswith("| 75% | 3,072 |  |")


def test_several_requests_have_a_median_and_a_95th_percentile() -> None:
    row = media_table([point(latencies=[float(number) for number in range(1, 22)])], "pictures").splitlines()[2]
    assert "| 11.000, 20.000 |" in row


def test_the_machine_is_told_with_what_a_step_reads() -> None:
    line = machine_line(MACHINE, SHAPE)
    assert "20.0 GB/s read, 15.0 GB/s in STREAM's triad, 400 GFLOP/s in a product of matrices in bfloat16" in line
    assert "200 MB, and 2,000 bytes of keys and values" in line
