"""Models of random weights, and the stands' configs: what the server's own code makes of them."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from transformers import AutoTokenizer

from scripts.acceptance import stands
from scripts.acceptance.answers import understood
from scripts.acceptance.books import by_device, device_name, front_end_is_booked
from scripts.acceptance.dummies import SHAPES, fitting, write_chat
from scripts.acceptance.gpu import Device
from scripts.acceptance.runner import StandError
from scripts.acceptance.setting import Setting
from scripts.acceptance.stands import BUDGETS, PAIR, plan_for, same_as, settle
from scripts.acceptance.throughput import BESIDE
from server.models.config import weights
from server.models.config.catalog import Catalog
from server.models.config.spec import VllmModel
from server.settings import load_settings
from tests.reading import handled

GIB = 2**30


def test_a_dummy_of_eight_billion_has_its_size_and_takes_no_disk(tmp_path: Path) -> None:
    folder = write_chat(tmp_path / "llama-8b", SHAPES["llama-8b"])
    file = folder / "model.safetensors"
    assert 13 * GIB < file.stat().st_size < 17 * GIB
    assert file.stat().st_blocks * 512 < 2**20
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/dummy.yaml").write_text(json.dumps(stands.chat_config("dummy", folder)))
    (spec,) = Catalog.load(tmp_path / "configs", tmp_path, None).models
    stored = weights.stored(spec, tmp_path)
    assert stored.as_loaded(2) == pytest.approx(file.stat().st_size, rel=0.001)
    assert not stands.has_weights(folder)


def test_a_dummy_has_a_tokenizer_that_reads_back_what_it_writes(tmp_path: Path) -> None:
    folder = write_chat(tmp_path / "tiny", SHAPES["tiny"])
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    text = "The quick brown fox: 42 × größer"
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert max(tokens) < json.loads((folder / "config.json").read_text())["vocab_size"]
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "hello"}], tokenize=False)
    assert "user\nhello" in asked


def test_the_dummy_fits_the_gpu_twice() -> None:
    assert [fitting(gib * GIB) for gib in (12, 24, 80)] == ["llama-1b", "llama-3b", "llama-8b"]


def test_a_dummy_pipeline_of_sdxl_s_kind_draws_through_the_engine(tmp_path: Path) -> None:
    from scripts.acceptance.answers import contrast
    from scripts.acceptance.dummy_pictures import write_pictures
    from server.core import ImageJob, Picture
    from server.engines.diffusers.handler import create

    folder = write_pictures(tmp_path / "tiny", "tiny")
    handler = create({"path": str(folder), "size": (64, 64), "steps": 2, "dtype": "float32", "device": "cpu"})
    events = list(handled(handler, ImageJob(prompt="a red apple", seed=1)))
    (picture,) = [event for event in events if isinstance(event, Picture)][-1:]
    assert contrast(picture.data) > 0


# ---------------------------------------------------------------- stands


@pytest.mark.parametrize(("name", "gpu"), [("pair", False), ("pair", True), ("tight", True)])
def test_a_pair_has_memory_for_one(tmp_path: Path, name: str, gpu: bool) -> None:
    setting = Setting(models_dir=tmp_path / "models", work=tmp_path / "work", gpu=gpu)
    write_chat(setting.models_dir / stands.CHAT, SHAPES["tiny"])
    plan = plan_for(name, setting, tmp_path)
    models = Catalog.load(plan.configs, setting.models_dir, None).models
    assert tuple(spec.name for spec in models) == PAIR
    assert {spec.load for spec in models} == {"lazy"}
    kind = "gpu" if gpu and name == "pair" else "host"
    (budget,) = map(int, plan.settings.values())
    needs = [int(getattr(spec, f"{kind}_memory") or 0) for spec in models]
    assert max(needs) < budget < sum(needs)


@pytest.fixture
def eighty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Setting:
    """A machine with a GPU of 80 GB, by word only, whose dummies an earlier run has made and kept."""
    device = Device(0, "stand-in", 80 * GIB, GIB, (9, 0), mig=False, virtual=False)
    monkeypatch.setattr(stands.gpu, "devices", lambda: [device])

    setting = Setting(models_dir=tmp_path / "models", work=tmp_path / "work", gpu=True)
    chat, pictures = setting.work / "dummies/llama-8b", setting.work / "dummies/sdxl"
    write_chat(chat, SHAPES["llama-8b"])
    pictures.mkdir()
    (pictures / "model_index.json").write_text("{}")
    for folder in (chat, pictures):
        (folder / ".complete").touch()
    return setting


def test_chat_and_pictures_share_a_gpu_by_configs_that_the_server_takes(eighty: Setting, tmp_path: Path) -> None:
    plan = plan_for("shared", eighty, tmp_path)
    painter, chat = sorted(Catalog.load(plan.configs, eighty.models_dir, None).models, key=lambda spec: spec.engine)
    assert (painter.name, chat.name) == (stands.DUMMY_PAINTER, stands.DUMMY_CHAT)
    assert chat.gpu_memory == int(80 * GIB * 0.4)
    assert "llama-8b" in chat.path


def test_the_benchmark_s_two_servers_fit_one_gpu(eighty: Setting, tmp_path: Path) -> None:
    configs = stands.dummy_chat_configs(eighty, tmp_path, gpu_memory_utilization=BESIDE)
    (spec,) = Catalog.load(configs, eighty.models_dir, None).models
    assert isinstance(spec, VllmModel)
    assert spec.gpu_memory_utilization is not None
    assert 2 * spec.gpu_memory_utilization < 0.9
    assert spec.max_num_seqs is not None
    assert spec.max_num_seqs >= 256


def test_budgets_are_settings_that_the_server_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**BUDGETS["gpu"], **BUDGETS["host"]}.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.gpu_memory, settings.host_memory) == (6 * GIB, 6.5 * GIB)


def test_a_processor_has_one_kind_of_memory_to_be_short_of() -> None:
    assert (same_as("tight", gpu=False), same_as("shared", gpu=False)) == ("pair", "starters")
    assert (same_as("tight", gpu=True), same_as("starters", gpu=False)) == ("tight", "starters")


def test_without_starter_models_the_stand_says_who_brings_them(tmp_path: Path) -> None:
    setting = Setting(models_dir=tmp_path / "none", work=tmp_path / "work", gpu=False)
    with pytest.raises(StandError, match="scripts/models brings them"):
        plan_for("starters", setting, tmp_path)


def test_a_server_that_ends_is_told_by_its_log(tmp_path: Path) -> None:
    class Ended:
        ended = True
        url = "http://127.0.0.1:1"

        def tail(self) -> str:
            return "Your API key: sk-sage-secret\nModuleNotFoundError: No module named 'typer'"

    with pytest.raises(StandError, match="No module named 'typer'") as refused:
        settle(Ended(), (), 0.0, within=1)  # type: ignore[arg-type]
    assert "sk-sage" not in str(refused.value)


def test_a_server_is_up_once_it_has_said_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no model to load, the first answer of /ready comes before the key is printed."""

    class Opening:
        ended = False
        url = "http://127.0.0.1:1"
        asked = 0

        @property
        def key(self) -> str | None:
            return None if self.asked < 3 else "sk-sage-of-test"

        def tail(self) -> str:
            return ""

    opening = Opening()

    def ready(url: str, **_: object) -> httpx.Response:
        opening.asked += 1
        return httpx.Response(503, json={"status": "not ready", "models": {}})

    monkeypatch.setattr(httpx, "get", ready)
    assert settle(opening, (), time.monotonic(), within=20) == {}  # type: ignore[arg-type]
    assert opening.asked == 3


# ---------------------------------------------------------------- what checks make of answers


def test_words_are_counted_in_their_order() -> None:
    assert understood("The quick brown fox jumps over the lazy dog.") == 9
    assert understood("the quick brown fox jumped over the lazy dog") == 8
    assert understood("") == 0


def test_bytes_are_summed_by_device_whatever_the_device_is_called() -> None:
    samples = [
        ("sagehold_memory_held_bytes", {"model": "a", "device": "host"}, 5.0),
        ("sagehold_memory_held_bytes", {"model": "b", "device": "host"}, 7.0),
        ("sagehold_memory_held_bytes", {"model": "a", "device": "gpu0"}, 11.0),
        ("sagehold_memory_reported_bytes", {"model": "a", "device": "gpu0"}, 12.0),
        ("sagehold_model_state", {"model": "a", "state": "ready"}, 1.0),
        ("sagehold_model_state", {"model": "b", "state": "ready"}, 1.0),
    ]
    assert by_device(samples, "sagehold_memory_held_bytes") == {"host": 12.0, "GPU 0": 11.0}
    assert [device_name(label) for label in ("cpu", "cuda:1", "2", "gpu")] == ["host", "GPU 1", "GPU 2", "GPU 0"]
    assert not front_end_is_booked(samples)
    assert front_end_is_booked(
        [*samples, ("sagehold_memory_held_bytes", {"model": "front end", "device": "host"}, 1.0)]
    )
