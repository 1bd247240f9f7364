"""The rewritten graph of a small voice computes what the graph computed, and leaves alone what it can't rewrite."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from server.engines.piper.graph import planar

RNG = np.random.default_rng(17)


def weight(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(RNG.standard_normal(shape).astype(np.float32), name)


def voice(file: Path, *, opset: int = 15) -> Path:
    """Like the end of piper's voices: a masked input, upsampling, two blocks that are averaged, one channel at last."""
    node = helper.make_node
    nodes = [
        node("Mul", ["z", "mask"], ["masked"]),
        node("Conv", ["masked", "pre", "pre_bias"], ["x"], kernel_shape=[7], pads=[3, 3]),
        node("Conv", ["speaker", "cond"], ["g"], kernel_shape=[1]),
        node("Add", ["x", "g"], ["xg"]),
        node("LeakyRelu", ["xg"], ["a"], alpha=0.1),
        node("ConvTranspose", ["a", "up"], ["u"], kernel_shape=[8], strides=[4], pads=[2, 2]),
        node("LeakyRelu", ["u"], ["b"], alpha=0.1),
        node("Conv", ["b", "one"], ["c1"], kernel_shape=[3], dilations=[2], pads=[2, 2]),
        node("Add", ["c1", "u"], ["r1"]),
        node("Conv", ["b", "two"], ["c2"], kernel_shape=[5], pads=[2, 2]),
        node("Add", ["c2", "u"], ["r2"]),
        node("Add", ["r1", "r2"], ["sum"]),
        node("Div", ["sum", "count"], ["mean"]),
        node("Conv", ["mean", "post"], ["wave"], kernel_shape=[7], pads=[3, 3]),
        node("Tanh", ["wave"], ["y"]),
        node("ReduceMax", ["mean"], ["peak"], keepdims=0),
    ]
    parts = [
        weight("pre", 16, 4, 7),
        weight("pre_bias", 16),
        weight("cond", 16, 3, 1),
        weight("up", 16, 8, 8),
        weight("one", 8, 8, 3),
        weight("two", 8, 8, 5),
        weight("post", 1, 8, 7),
        numpy_helper.from_array(np.array(2.0, dtype=np.float32), "count"),
    ]
    inputs = [
        helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 4, "frames"]),
        helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, 1, "frames"]),
        helper.make_tensor_value_info("speaker", TensorProto.FLOAT, [1, 3, 1]),
    ]
    outputs = [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
        helper.make_tensor_value_info("peak", TensorProto.FLOAT, None),
    ]
    graph = helper.make_graph(nodes, "voice", inputs, outputs, parts)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), file)
    return file


def run(model: bytes) -> list[NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    given: dict[str, Any] = {
        "z": rng.standard_normal((1, 4, 37)).astype(np.float32),
        "mask": np.ones((1, 1, 37), dtype=np.float32),
        "speaker": rng.standard_normal((1, 3, 1)).astype(np.float32),
    }
    results: list[NDArray[np.float32]] = session.run(None, given)
    return results


def kinds(model: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_from_string(model).graph.node)


def test_convolutions_are_computed_over_planes_to_the_same_samples(tmp_path: Path) -> None:
    file = voice(tmp_path / "voice.onnx")
    before, after = run(file.read_bytes()), run(planar(file))
    for one, other in zip(before, after, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)
    graph = onnx.load_from_string(planar(file)).graph
    assert {len(tensor.dims) for tensor in graph.initializer if tensor.name in {"pre", "cond", "up", "one", "two"}} == {
        4
    }
    # Into it: what was masked, and the speaker. Out of it: the wave, and the mean, which another node reads.
    added = kinds(planar(file)) - kinds(file.read_bytes())
    assert added == Counter({"Unsqueeze": 2, "Squeeze": 2})


@pytest.mark.parametrize("opset", [11, 12])
def test_an_older_graph_stays_as_it_is(tmp_path: Path, opset: int) -> None:
    file = voice(tmp_path / "voice.onnx", opset=opset)
    assert onnx.load_from_string(planar(file)) == onnx.load(file)


def test_a_graph_without_convolutions_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "voice.onnx"
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph(
        [helper.make_node("Tanh", ["x"], ["y"])], "none", [value], [helper.make_tensor_value_info("y", 1, [1])]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)]), file)
    assert onnx.load_from_string(planar(file)) == onnx.load(file)


def test_what_a_branch_reads_of_a_convolution_is_there_for_it(tmp_path: Path) -> None:
    node, info = helper.make_node, helper.make_tensor_value_info
    branches = {
        f"{name}_branch": helper.make_graph(
            [node(kind, ["x"], [name])], name, [], [info(name, TensorProto.FLOAT, None)]
        )
        for name, kind in (("then", "Abs"), ("else", "Neg"))
    }
    nodes = [
        node("Conv", ["z", "one"], ["x"], kernel_shape=[1]),
        node("Conv", ["x", "two"], ["y"], kernel_shape=[1]),
        node("If", ["whether"], ["chosen"], **branches),
    ]
    inputs = [info("z", TensorProto.FLOAT, [1, 4, "frames"]), info("whether", TensorProto.BOOL, [])]
    outputs = [info(name, TensorProto.FLOAT, None) for name in ("y", "chosen")]
    graph = helper.make_graph(nodes, "voice", inputs, outputs, [weight("one", 8, 4, 1), weight("two", 1, 8, 1)])
    file = tmp_path / "voice.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8), file)
    given = {"z": RNG.standard_normal((1, 4, 37)).astype(np.float32), "whether": np.array(True)}
    before, after = (
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, given)
        for model in (file.read_bytes(), planar(file))
    )
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)
