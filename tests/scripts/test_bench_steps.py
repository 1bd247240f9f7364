"""`scripts/bench steps`: what of a trace belongs to a step, and to what."""

import io
from typing import Any

import pytest
from rich.console import Console

from scripts.benchmarks.steps import Step, kind_of, parts, table


def mark(begun: float, streams: int, *, read: int = 0) -> dict[str, Any]:
    name = f"execute_context_{bool(read):d}({read})_generation_{streams}({streams})"
    return {"ph": "X", "cat": "user_annotation", "name": name, "ts": begun, "dur": 50, "tid": 1}


def operation(name: str, begun: float, length: float, thread: int = 1) -> dict[str, Any]:
    return {"ph": "X", "cat": "cpu_op", "name": name, "ts": begun, "dur": length, "tid": thread}


def test_what_an_operation_calls_counts_where_it_belongs() -> None:
    events = [
        mark(0, 2), mark(100, 2), mark(200, 2), mark(300, 2, read=64),
        operation("_C::onednn_mm", 10, 30),
        operation("aten::linear", 110, 50), operation("aten::copy_", 120, 20),
        operation("_C::rms_norm", 165, 5),
        operation("aten::argmax", 190, 8),  # the choice of tokens, after the step's own mark
        operation("_C::onednn_mm", 210, 70),  # of a step that a longer prompt follows, whose length is unknown
        {"ph": "i", "name": "a mark", "ts": 5},
        operation("_C::onednn_mm", 10, 90, thread=2),
    ]  # fmt: skip
    found = parts(events, 2)
    assert {kind: round(1e6 * seconds, 3) for kind, seconds in found.items()} == {
        "matrix products": (30 + 30) / 2,
        "attention": 0,
        "norms": 5 / 2,
        "rotary": 0,
        "other operations": (20 + 8) / 2,
    }


def test_a_trace_without_steps_of_as_many_streams_is_refused() -> None:
    with pytest.raises(ValueError, match="no two steps of 3 streams"):
        parts([mark(0, 2), mark(100, 2), operation("aten::mm", 0, 1)], 3)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("_C::onednn_mm", "matrix products"),
        ("_C::weight_packed_linear", "matrix products"),
        ("aten::mm", "matrix products"),
        ("_C::cpu_attn_reshape_and_cache", "attention"),
        ("vllm::unified_attention_with_output", "attention"),
        ("_C::fused_add_rms_norm", "norms"),
        ("vllm_ir::rms_norm", "norms"),
        ("_C::rotary_embedding", "rotary"),
        ("aten::mul", "other operations"),
    ],
)
def test_operations_by_what_they_are_for(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_what_is_no_operation_is_what_is_left_of_a_step() -> None:
    told = io.StringIO()
    Console(width=160, file=told).print(table([Step(8, 0.050, {"matrix products": 0.020, "attention": 0.010})]))
    assert "50.0" in told.getvalue()
    assert "20.0" in told.getvalue()
