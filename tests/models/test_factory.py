"""Each kind of config gets its engine, with plain values that cross to a worker process."""

import pickle
from pathlib import Path

from server.core import Task
from server.engines.fake import FakeEngine
from server.engines.worker import WorkerEngine
from server.models.factory import WORKERS, make_engine, worker_options
from server.models.memory import Grant
from server.models.spec import DiffusersModel, FakeModel, PiperModel, PiperVoice, WhisperModel

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


def test_paths_may_be_absolute(tmp_path: Path) -> None:
    options = worker_options(BRUSH, tmp_path)
    assert (options["path"], options["size"], options["sizes"]) == ("/abs/i", [64, 64], ["64x64", "128x128"])


def test_a_scorer_lies_in_the_models_folder_too(tmp_path: Path) -> None:
    judged = BRUSH.model_copy(update={"scorer": "clip"})
    assert worker_options(judged, tmp_path)["scorer"] == str(tmp_path.resolve() / "clip")
    assert worker_options(judged.model_copy(update={"scorer": "/abs/clip"}), tmp_path)["scorer"] == "/abs/clip"
    assert worker_options(BRUSH, tmp_path)["scorer"] is None


def test_every_worker_names_a_file_that_exists() -> None:
    root = Path(__file__).resolve().parents[2]
    for factory in WORKERS.values():
        module, function = factory.split(":")
        source = (root / (module.replace(".", "/") + ".py")).read_text()
        assert f"def {function}(options" in source


def test_each_config_gets_its_engine(tmp_path: Path) -> None:
    for spec in (EARS, VOICE, BRUSH):
        engine = make_engine(spec, models_dir=tmp_path, grant=Grant())
        assert isinstance(engine, WorkerEngine)
        assert engine.alive is False
    fake = FakeModel(name="f", engine="fake", serves=Task.SPEECH)
    assert isinstance(make_engine(fake, models_dir=tmp_path, grant=Grant()), FakeEngine)
