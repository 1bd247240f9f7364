"""Loads that fail, by real files and vLLM's own processes: the reason is one line that an operator can act on.

And what a load needs beyond the weights: adapters, drafts, a template. All with the starter chat model.
"""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from server.core import Ask, ChatJob, Task, TextDelta, Usage
from server.engines.vllm.engine import VllmEngine
from server.engines.vllm.options import VllmOptions
from server.errors import InvalidRequest, ModelUnavailable
from server.models.config.catalog import Catalog
from server.models.factory import make_engine
from server.models.memory.allotment import Allotment
from server.pipeline.modes import plan_for
from server.settings import load_settings
from server.testing import CALLER
from tests.reading import ran

pytestmark = [pytest.mark.anyio, pytest.mark.models, pytest.mark.timeout(300)]

CHAT = "smollm2-135m-instruct"
QUESTION = ({"role": "user", "content": "What is the capital of Japan?"},)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def original() -> Path:
    path = load_settings().models_dir.resolve() / CHAT
    assert path.is_dir(), "scripts/models brings the starter models"
    return path


@pytest.fixture
def model(original: Path, tmp_path: Path) -> Path:
    """The starter chat model, by links that a test may replace."""
    folder = tmp_path / "models" / "our chat"
    folder.mkdir(parents=True)
    for file in original.iterdir():
        (folder / file.name).symlink_to(file)
    return folder


def edit(file: Path, **changes: Any) -> None:
    """Change a JSON file of the copy; None takes a key away."""
    data = json.loads(file.read_text()) | changes
    file.unlink()
    file.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))


@asynccontextmanager
async def loaded(path: Path, **options: Any) -> AsyncGenerator[VllmEngine, None]:
    small: dict[str, Any] = {"kv_cache": 1 << 27, "max_model_len": 512, "max_num_seqs": 8}
    engine = VllmEngine(VllmOptions(name="chat", path=path, **small | options))
    try:
        await engine.start()
        yield engine
    finally:
        await engine.stop()


async def reason(path: Path, **options: Any) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        async with loaded(path, **options):
            pass
    assert str(path.parent) not in caught.value.message
    assert "\n" not in caught.value.message
    line = caught.value.message.removeprefix("The model could not be loaded: ")
    assert line != caught.value.message
    return line


async def answer(engine: Any, job: ChatJob) -> tuple[str, Usage]:
    text, usage = "", None
    async for event in ran(engine, job):
        if isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, Usage):
            usage = event
    assert usage is not None
    return text, usage


def chat_job(**fields: Any) -> ChatJob:
    return ChatJob(**{"messages": QUESTION, "max_tokens": 16, "temperature": 0.0} | fields)


# ---------------------------------------------------------------- loads that fail


async def test_what_config_check_finds_is_found_again_before_anything_is_loaded(model: Path) -> None:
    line = await reason(model, extra={"enforce_egaer": True}, chat_template=model / "none.jinja")
    assert line == (
        "chat_template: there is no file none.jinja; "
        "extra.enforce_egaer: this vLLM knows no engine argument 'enforce_egaer'; did you mean enforce_eager?"
    )
    assert (await reason(model, tool_parser="hermez")).startswith(
        "tool_parser: this vLLM knows no tool parser 'hermez'"
    )


async def test_a_truncated_file_of_weights(model: Path, original: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").write_bytes((original / "model.safetensors").read_bytes()[:1_000_000])
    assert (await reason(model)).startswith("path: model.safetensors is cut short: 1,000,000 bytes are there, and its ")


async def test_weights_that_only_the_worker_finds_wrong(model: Path) -> None:
    (model / "model.safetensors").unlink()
    save_file({"model.norm.weight": np.zeros(7, np.float32)}, model / "model.safetensors")
    line = await reason(model)
    assert "(576,)" in line or "576" in line, line


async def test_a_kv_cache_too_small_for_one_request(model: Path) -> None:
    line = await reason(model, max_model_len=8192, kv_cache=1 << 26)
    assert "0.18 GiB KV cache is needed" in line
    assert "`kv_cache`" in line


async def test_what_the_front_end_finds(model: Path) -> None:
    assert "max_model_len (100000) is greater than" in await reason(model, max_model_len=100_000)
    config = model / "config.json"
    edit(config, quantization_config={"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True})
    line = await reason(model, dtype="float32")
    assert line.startswith("ValueError: torch.float32 is not supported for quantization method awq. Supported dtypes: ")
    edit(config, quantization_config=None, model_type="ours", architectures=["OursForCausalLM"])
    assert "has model type `ours`" in await reason(model)
    edit(config, auto_map={"AutoConfig": "configuration_ours.OursConfig"})
    line = await reason(model)
    assert "our chat contains custom code" in line
    assert "`extra: {trust_remote_code: true}`" in line


async def test_an_adapter_that_is_not_there_or_does_not_fit(model: Path, tmp_path: Path) -> None:
    assert await reason(model, adapters={"pirate": tmp_path / "none"}) == (
        "adapters.0.path: the adapter pirate can't be served: there is no folder none"
    )
    folder = adapter(tmp_path / "models" / "pirate", 1)
    edit(folder / "adapter_config.json", target_modules=["no_such_proj"])
    save_file(
        {
            f"base_model.model.model.layers.0.no_such_proj.lora_{half}.weight": np.ones((1, 1), np.float32)
            for half in "AB"
        },
        folder / "adapter_model.safetensors",
    )
    assert "no_such_proj" in await reason(model, adapters={"pirate": folder})


# ---------------------------------------------------------------- loads that don't


def adapter(folder: Path, seed: int) -> Path:
    """A LoRA adapter that makes babble of every answer, each seed its own."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    layer = "base_model.model.model.layers.29.mlp.down_proj"
    halves = {"A": random.standard_normal((1, 1536)), "B": 5 * random.standard_normal((576, 1))}
    save_file(
        {f"{layer}.lora_{half}.weight": values.astype(np.float32) for half, values in halves.items()},
        folder / "adapter_model.safetensors",
    )
    config = {"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["down_proj"], "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


async def test_adapters_are_names_of_their_own_on_one_engine(model: Path, tmp_path: Path) -> None:
    for number, name in enumerate(("pirate", "poet"), start=1):
        adapter(model.parent / name, number)
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "chat.yaml").write_text(
        "name: chat\nengine: vllm\npath: our chat\nkv_cache: 128MiB\nmax_model_len: 512\n"
        "price: {prompt_token: 1, completion_token: 2}\n"
        "adapters:\n"
        "  - {name: pirate, path: pirate, price: {completion_token: 5}}\n"
        "  - {name: poet, path: poet}\n"
    )
    catalog = Catalog.load(configs, model.parent, None)
    assert [(entry.id, entry.parent) for entry in catalog.public_models()] == [
        ("chat", None),
        ("pirate", "chat"),
        ("poet", "chat"),
    ]
    (spec,) = catalog.models
    engine = make_engine(spec, models_dir=model.parent, allotment=Allotment())
    try:
        await engine.start()
        answers = {}
        for name in ("chat", "pirate", "poet", "chat"):
            plan = plan_for(Ask(caller=CALLER, model=name), chat_job(), catalog)
            assert plan.spec.name == "chat"
            text, usage = await answer(engine, plan.job)
            assert answers.setdefault(name, text) == text
            assert usage.completion_tokens > 0
            assert catalog.resolve(name, Task.CHAT)[1].completion_token == (5 if name == "pirate" else 2)
        assert "Tokyo" in answers["chat"]
        assert len(set(answers.values())) == 3
    finally:
        await engine.stop()


async def test_drafts_from_the_prompt_leave_the_answer_as_it_is(model: Path) -> None:
    async with loaded(model) as engine:
        plain, _ = await answer(engine, chat_job())
    drafting = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4, "prompt_lookup_min": 2}
    async with loaded(model, speculative_config=drafting) as engine:
        assert await answer(engine, chat_job()) == (plain, (await answer(engine, chat_job()))[1])
    assert "Tokyo" in plain


async def test_a_model_without_a_template_is_warned_of(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    (model / "chat_template.jinja").unlink()
    edit(model / "tokenizer_config.json", chat_template=None)
    with caplog.at_level(logging.WARNING, logger="server"):
        async with loaded(model) as engine:
            with pytest.raises(InvalidRequest, match="chat template"):
                await answer(engine, chat_job())
    assert [record.getMessage() for record in caplog.records if record.name.endswith(".template")] == [
        (
            "model chat: the model has no chat template, so chat requests will be refused; "
            "name one by the field `chat_template`"
        )
    ]


async def test_a_picture_for_a_model_that_sees_none(model: Path) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = ({"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]},)
    async with loaded(model) as engine:
        with pytest.raises(InvalidRequest, match="does not see pictures") as caught:
            await answer(engine, chat_job(messages=messages))
    assert caught.value.param == "messages[0].content[1].image_url"
