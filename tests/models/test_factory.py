"""Each kind of config gets its engine, with plain values that cross to a worker process."""

import inspect
import pickle
import pkgutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ByteSize

from server.core import AudioChunk, ChatJob, ImageJob, SpeechJob, Task, TextDelta
from server.engines.base import answer
from server.engines.devices.gpus import Gpu
from server.engines.fake.engine import FakeEngine
from server.engines.vllm.options import VllmOptions
from server.engines.worker.engine import WorkerEngine
from server.errors import InvalidRequest
from server.models.config.spec import (
    DiffusersModel,
    EmbedModel,
    FakeModel,
    PiperModel,
    PiperVoice,
    VllmModel,
    WhisperModel,
)
from server.models.factory import WORKERS, make_engine, worker_options
from server.models.memory.allotment import Allotment

EARS = WhisperModel(name="ears", engine="whisper", path="w", beam_size=3)
VOICE = PiperModel(
    name="voice", engine="piper", path="v", voices={"joe": PiperVoice(file="joe.onnx", names=("alloy",), speaker=2)}
)
BRUSH = DiffusersModel(name="brush", engine="diffusers", path="/abs/i", size=(64, 64), sizes=("64x64", "128x128"))


def test_worker_options_are_plain_and_picklable(tmp_path: Path) -> None:
    options = worker_options(VOICE, tmp_path)
    assert options["path"] == str(tmp_path.resolve() / "v")
    assert options["name"] == "voice"
    assert options["voices"]["joe"] == {
        "file": "joe.onnx",
        "names": ["alloy"],
        "speaker": 2,
        "language": "en-US",
        "description": "",
    }
    assert not {"price", "probe", "engine", "fetch", "quality"} & options.keys()
    assert pickle.loads(pickle.dumps(options)) == options


def test_an_encoder_is_told_where_the_table_of_token_ids_lies(tmp_path: Path) -> None:
    encoder = EmbedModel(name="e", engine="embed", path="e", dimensions=(2, 4))
    options = worker_options(encoder, tmp_path)
    assert options["cl100k"] == str(tmp_path.resolve() / "cl100k-base" / "cl100k_base.tiktoken")
    assert options["dimensions"] == [2, 4]


def test_paths_may_be_absolute(tmp_path: Path) -> None:
    options = worker_options(BRUSH, tmp_path)
    assert (options["path"], options["size"], options["sizes"]) == ("/abs/i", [64, 64], ["64x64", "128x128"])


def test_a_scorer_lies_in_the_models_folder_too(tmp_path: Path) -> None:
    judged = BRUSH.model_copy(update={"scorer": "clip"})
    assert worker_options(judged, tmp_path)["scorer"] == str(tmp_path.resolve() / "clip")
    assert worker_options(judged.model_copy(update={"scorer": "/abs/clip"}), tmp_path)["scorer"] == "/abs/clip"
    assert worker_options(BRUSH, tmp_path)["scorer"] is None


@pytest.mark.parametrize("factory", WORKERS.values())
def test_every_worker_names_what_can_be_called_with_its_options(factory: str) -> None:
    parameters = inspect.signature(pkgutil.resolve_name(factory)).parameters.values()
    assert [each.name for each in parameters if each.default is each.empty] == ["options"]


def test_each_config_gets_its_engine(tmp_path: Path) -> None:
    for spec in (EARS, VOICE, BRUSH):
        engine = make_engine(spec, models_dir=tmp_path, allotment=Allotment())
        assert isinstance(engine, WorkerEngine)
        assert engine.alive is False
    fake = FakeModel(name="f", engine="fake", serves=Task.SPEECH)
    assert isinstance(make_engine(fake, models_dir=tmp_path, allotment=Allotment()), FakeEngine)


@pytest.mark.anyio
async def test_a_model_may_serve_several_tasks(tmp_path: Path) -> None:
    spec = FakeModel(name="f", engine="fake", serves=(Task.SPEECH, Task.CHAT), options={"tokens": 3})
    engine = make_engine(spec, models_dir=tmp_path, allotment=Allotment())
    await engine.start()
    speech = [event async for event in answer(engine, SpeechJob(text="Hello."))]
    chat = [event async for event in answer(engine, ChatJob(messages=({"role": "user", "content": "Hi"},)))]
    assert any(isinstance(event, AudioChunk) for event in speech)
    assert sum(event.tokens for event in chat if isinstance(event, TextDelta)) == 3
    with pytest.raises(InvalidRequest, match="This model does speech and chat, not image"):
        await engine.read(ImageJob(prompt="a boat"))


def test_a_worker_sees_the_gpu_it_was_placed_on_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr("server.engines.worker.engine.WorkerEngine", lambda *_, **options: made.append(options))
    make_engine(EARS, models_dir=tmp_path, allotment=Allotment(1, 5, (Gpu(1, "GPU-b", 10),)))
    make_engine(VOICE, models_dir=tmp_path, allotment=Allotment(1))
    assert [options["environment"].get("CUDA_VISIBLE_DEVICES") for options in made] == ["GPU-b", ""]


def test_vllm_hears_of_its_gpus_and_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[VllmOptions] = []
    monkeypatch.setattr("server.engines.vllm.engine.VllmEngine", lambda options, _: made.append(options))
    spec = VllmModel(name="chat", engine="vllm", path="chat", kv_cache=ByteSize(1 << 30))
    gpus = (Gpu(1, "3", 100), Gpu(2, "5", 100))
    make_engine(spec, models_dir=tmp_path, allotment=Allotment(1, 50, gpus, kv_cache=7 << 30, gpu_share=0.4))
    make_engine(spec, models_dir=tmp_path, allotment=Allotment(1))
    assert [(one.gpus, one.kv_cache, one.gpu_share) for one in made] == [((1, 2), 7 << 30, 0.4), ((), 1 << 30, None)]
