"""Reading the configs: what they mean, and how what is wrong with them is reported."""

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from server.core import Task
from server.errors import ModelNotFound
from server.models.config.catalog import Catalog, CatalogError, check_configs
from server.models.config.spec import AdaptedModel, PiperModel, VllmModel, WhisperModel

ROOT = Path(__file__).resolve().parents[3]

CHAT = """\
name: tiny-chat
engine: vllm
path: chat
fetch: scripts/models
price: {prompt_token: 0.0004, completion_token: 0.0004}
"""
EARS = "name: ears\nengine: whisper\npath: ears\nprice: {audio_second: 0.001}\n"
VOICE = "name: voice\nengine: piper\npath: voice\nvoices:\n  joe: {file: joe.onnx, names: [alloy]}\n"
BUNDLE = """\
bundle: all
tasks:
  chat: tiny-chat
  transcription: ears
names:
  - id: gpt-4o
    price: {prompt_token: 0.01}
  - id: gpt-4o-mini
    description: Lightweight
"""


class Place:
    """Folders of configs, weights and data for one test."""

    def __init__(self, root: Path) -> None:
        self.configs, self.models, self.data = root / "configs", root / "models", root / "data"
        self.configs.mkdir()
        self.models.mkdir()

    def config(self, **files: str) -> "Place":
        for name, text in files.items():
            (self.configs / f"{name}.yaml").write_text(text)
        return self

    def install(self, *names: str) -> "Place":
        for name in names:
            folder = self.models / name
            folder.mkdir()
            for file in ("config.json", "model.safetensors", "model.bin", "joe.onnx", "joe.onnx.json"):
                (folder / file).write_bytes(b"{}")
        return self

    def load(self, only: tuple[str, ...] = (), now: float = 1000.0) -> Catalog:
        return Catalog.load(self.configs, self.models, self.data, only=only, now=lambda: now)

    def problems(self) -> list[str]:
        with pytest.raises(CatalogError) as caught:
            self.load()
        return str(caught.value).replace(f"{self.configs}/", "").splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def ids(catalog: Catalog) -> list[str]:
    return [entry.id for entry in catalog.public_models()]


# ---------------------------------------------------------------- what the configs mean


def test_models_and_bundles_are_entries(place: Place) -> None:
    catalog = place.config(chat=CHAT, ears=EARS, bundle=BUNDLE).install("chat", "ears").load()
    assert ids(catalog) == ["tiny-chat", "ears", "gpt-4o", "gpt-4o-mini"]
    entry = catalog.public_models()[2]
    assert {task: spec.name for task, spec in entry.tasks.items()} == {
        Task.CHAT: "tiny-chat",
        Task.COMPLETION: "tiny-chat",
        Task.TOKENIZE: "tiny-chat",
        Task.TRANSCRIPTION: "ears",
    }
    assert catalog.public_models()[3].description == "Lightweight"
    assert [spec.name for spec in catalog.models] == ["tiny-chat", "ears"]


def test_several_documents_in_one_file(place: Place) -> None:
    catalog = place.config(all=f"{CHAT}---\n{EARS}---\n").install("chat", "ears").load()
    assert ids(catalog) == ["tiny-chat", "ears"]


def test_a_bundle_price_overrides_field_by_field(place: Place) -> None:
    catalog = place.config(chat=CHAT, ears=EARS, bundle=BUNDLE).install("chat", "ears").load()
    spec, price = catalog.resolve("gpt-4o", Task.CHAT)
    assert spec.name == "tiny-chat"
    assert (price.prompt_token, price.completion_token) == (Decimal("0.01"), Decimal("0.0004"))
    assert catalog.resolve("gpt-4o-mini", Task.CHAT)[1].prompt_token == Decimal("0.0004")
    assert catalog.resolve("gpt-4o", Task.TRANSCRIPTION)[1].audio_second == Decimal("0.001")
    combined = {entry.id: entry.price for entry in catalog.public_models()}["gpt-4o"]
    assert (combined.prompt_token, combined.audio_second) == (Decimal("0.01"), Decimal("0.001"))


ENCODER = "name: enc\nengine: embed\npath: enc\nprice: {prompt_token: 0.00001}\n"


def test_of_two_tasks_with_one_unit_the_first_says_what_a_name_costs(place: Place) -> None:
    bundle = "bundle: b\ntasks: {chat: tiny-chat, embedding: enc, score: enc}\nnames: [{id: both}]\n"
    place.config(chat=CHAT, enc=ENCODER, bundle=bundle).install("chat", "enc")
    for file in ("tokenizer.json", "config.json", "model.onnx"):
        (place.models / "enc" / file).touch()
    catalog = place.load()
    entry = next(one for one in catalog.public_models() if one.id == "both")
    assert entry.price.prompt_token == Decimal("0.0004")
    assert entry.prices[Task.EMBEDDING].prompt_token == Decimal("0.00001")
    assert catalog.resolve("both", Task.SCORE)[1].prompt_token == Decimal("0.00001")


def test_an_encoder_without_its_graph_is_missing(place: Place) -> None:
    place.config(enc=ENCODER).install("enc")
    for file in ("tokenizer.json", "config.json"):
        (place.models / "enc" / file).touch()
    (missing,) = place.load().missing
    assert [file.name for file in missing.files] == ["model.onnx"]
    (place.models / "enc" / "onnx").mkdir()
    (place.models / "enc" / "onnx" / "model.onnx").touch()
    assert [spec.name for spec in place.load().models] == ["enc"]


def test_a_cross_encoder_only_scores(place: Place) -> None:
    place.config(enc=f"{ENCODER}cross_encoder: true\nwindows: 2\n")
    (problem,) = place.problems()
    assert "windows and dimensions are for models that embed" in problem


def test_prices_are_exact(place: Place) -> None:
    catalog = place.config(chat=CHAT).install("chat").load()
    assert catalog.resolve("tiny-chat", Task.CHAT)[1].prompt_token * 35 == Decimal("0.014")


def test_unknown_names_and_missing_tasks_are_told_apart(place: Place) -> None:
    catalog = place.config(chat=CHAT, ears=EARS, bundle=BUNDLE).install("chat", "ears").load()
    with pytest.raises(ModelNotFound, match="The model `nope` does not exist or you do not have access to it"):
        catalog.resolve("nope", Task.CHAT)
    with pytest.raises(ModelNotFound, match=r"`tiny-chat` has no model for transcription\. .*: ears, gpt-4o, gpt-4o-m"):
        catalog.resolve("tiny-chat", Task.TRANSCRIPTION)
    with pytest.raises(ModelNotFound, match=r"no other model here does"):
        catalog.resolve("gpt-4o", Task.IMAGE)


def test_missing_weights_are_known_but_not_served(place: Place) -> None:
    catalog = place.config(chat=CHAT, ears=EARS, bundle=BUNDLE).install("ears").load()
    assert ids(catalog) == ["ears", "gpt-4o", "gpt-4o-mini"]
    assert [spec.name for spec in catalog.models] == ["ears"]
    assert set(catalog.public_models()[1].tasks) == {Task.TRANSCRIPTION}
    assert [(one.spec.name, one.spec.fetch, one.files) for one in catalog.missing] == [
        ("tiny-chat", "scripts/models", (place.models / "chat",))
    ]
    with pytest.raises(ModelNotFound, match="`tiny-chat` is configured here, but its files are not installed"):
        catalog.resolve("tiny-chat", Task.CHAT)
    with pytest.raises(ModelNotFound, match="has no model for chat"):
        catalog.resolve("gpt-4o", Task.CHAT)


def test_a_bundle_with_nothing_installed_vanishes(place: Place) -> None:
    assert place.config(chat=CHAT, ears=EARS, bundle=BUNDLE).load().public_models() == ()


def test_one_missing_file_is_missing_weights(place: Place) -> None:
    place.config(voice=VOICE).install("voice")
    (place.models / "voice" / "joe.onnx.json").unlink()
    assert place.load().missing[0].files == (place.models / "voice" / "joe.onnx.json",)


def test_a_missing_shard_is_missing_weights(place: Place) -> None:
    place.config(chat=CHAT).install("chat")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (place.models / "chat" / "model.safetensors.index.json").write_text(json.dumps(index))
    (place.models / "chat" / "model-1.safetensors").write_bytes(b"x")
    assert [file.name for file in place.load().missing[0].files] == ["model-2.safetensors"]


def test_only_some_models(place: Place) -> None:
    place.config(chat=CHAT, ears=EARS, bundle=BUNDLE).install("chat", "ears")
    catalog = place.load(only=("gpt-4o-mini",))
    assert ids(catalog) == ["gpt-4o-mini"]
    assert [spec.name for spec in catalog.models] == ["tiny-chat", "ears"]
    catalog = place.load(only=("ears",))
    assert [spec.name for spec in catalog.models] == ["ears"]
    assert ids(catalog) == ["ears", "gpt-4o", "gpt-4o-mini"]
    assert list(catalog.public_models()[1].tasks) == [Task.TRANSCRIPTION]
    with pytest.raises(CatalogError, match=r"SAGEHOLD_MODELS: there is no model 'eers'; did you mean ears\?"):
        place.load(only=("eers",))


def test_created_is_stable_over_restarts(place: Place) -> None:
    place.config(chat=CHAT).install("chat", "ears")
    assert [entry.created for entry in place.load(now=1000.9).public_models()] == [1000]
    place.config(ears=EARS)
    assert {entry.id: entry.created for entry in place.load(now=2000).public_models()} == {
        "tiny-chat": 1000,
        "ears": 2000,
    }
    assert [file.name for file in place.data.iterdir()] == ["first_seen.json"]


def test_a_damaged_memory_of_first_times_does_not_stop_the_start(place: Place) -> None:
    place.config(chat=CHAT).install("chat").load()
    (place.data / "first_seen.json").write_text('{"tiny-chat": 10')
    assert place.load(now=3000).public_models()[0].created == 3000


def test_looking_creates_nothing(place: Place) -> None:
    place.config(chat=CHAT).install("chat")
    assert Catalog.load(place.configs, place.models, None).public_models()
    assert not place.data.exists()


def test_templates_are_found_beside_the_config(place: Place) -> None:
    place.config(chat=f"{CHAT}chat_template: templates/x.jinja\n").install("chat")
    assert place.problems() == ["chat.yaml:6: chat_template: there is no file templates/x.jinja"]
    (place.configs / "templates").mkdir()
    (place.configs / "templates" / "x.jinja").write_text("{{ messages }}")
    spec = place.load().models[0]
    assert isinstance(spec, VllmModel)
    assert spec.chat_template == str(place.configs.resolve() / "templates" / "x.jinja")


def test_a_probes_audio_lies_beside_the_config_or_with_the_model(place: Place) -> None:
    place.config(ears=f"{EARS}probe: {{prompt: fox.ogg, expect: fox}}\n").install("ears")
    probe = place.load().models[0].probe
    assert probe is not None
    assert probe.prompt == "fox.ogg"
    (place.configs / "fox.ogg").touch()
    probe = place.load().models[0].probe
    assert probe is not None
    assert probe.prompt == str(place.configs.resolve() / "fox.ogg")


def test_sizes_have_units(place: Place) -> None:
    spec = place.config(chat=f"{CHAT}kv_cache: 2GiB\nhost_memory: 3GB\n").install("chat").load().models[0]
    assert isinstance(spec, VllmModel)
    assert (spec.kv_cache, spec.host_memory) == (2 * 2**30, 3 * 10**9)


# ---------------------------------------------------------------- LoRA adapters

ADAPTED = f"""{CHAT}adapters:
  - name: pirate
    path: pirate
    description: Talks like a pirate
    price: {{completion_token: 0.5}}
  - {{name: poet, path: poet}}
"""


def test_adapters_are_public_names_with_their_own_price(place: Path) -> None:
    catalog = place.config(chat=ADAPTED, ears=EARS).install("chat", "ears").load()
    assert ids(catalog) == ["tiny-chat", "pirate", "poet", "ears"]
    assert [entry.parent for entry in catalog.public_models()] == [None, "tiny-chat", "tiny-chat", None]
    assert catalog.public_models()[1].description == "Talks like a pirate"
    spec, price = catalog.resolve("pirate", Task.CHAT)
    assert isinstance(spec, AdaptedModel)
    assert (spec.name, spec.adapter) == ("tiny-chat", "pirate")
    assert (price.prompt_token, price.completion_token) == (Decimal("0.0004"), Decimal("0.5"))
    assert catalog.resolve("poet", Task.CHAT)[1] == catalog.resolve("tiny-chat", Task.CHAT)[1]
    assert [(type(model), model.name) for model in catalog.models] == [(VllmModel, "tiny-chat"), (WhisperModel, "ears")]


def test_a_bundle_may_name_an_adapter(place: Path) -> None:
    bundle = BUNDLE.replace("chat: tiny-chat", "chat: pirate")
    catalog = place.config(chat=ADAPTED, ears=EARS, bundle=bundle).install("chat", "ears").load()
    spec, price = catalog.resolve("gpt-4o", Task.CHAT)
    assert isinstance(spec, AdaptedModel)
    assert spec.adapter == "pirate"
    assert (price.prompt_token, price.completion_token) == (Decimal("0.01"), Decimal("0.5"))


def test_an_adapter_alone_may_be_served(place: Path) -> None:
    catalog = place.config(chat=ADAPTED).install("chat").load(only=("pirate",))
    assert ids(catalog) == ["pirate"]
    assert [model.name for model in catalog.models] == ["tiny-chat"]


def test_adapters_of_a_model_that_is_not_installed(place: Path) -> None:
    catalog = place.config(chat=ADAPTED).load()
    assert catalog.public_models() == ()
    assert [one.spec.name for one in catalog.missing] == ["tiny-chat"]
    with pytest.raises(ModelNotFound, match="`pirate` is configured here, but its files are not installed"):
        catalog.resolve("pirate", Task.CHAT)


def test_an_adapters_name_is_taken_like_any_other(place: Path) -> None:
    assert place.config(a=ADAPTED, b=EARS.replace("name: ears", "name: poet")).problems() == [
        "b.yaml:1: name: 'poet' is taken already, at a.yaml:11"
    ]
    place.config(a=ADAPTED.replace("name: poet", "name: pirate"), b=EARS)
    assert place.problems() == ["a.yaml:1: adapters: a name is taken twice"]


# ---------------------------------------------------------------- what is wrong with them


def test_unknown_fields_are_refused_with_line_and_hint(place: Place) -> None:
    assert place.config(ears=f"{EARS}beam_sice: 3\n").problems() == [
        "ears.yaml:5: beam_sice: there is no such field; did you mean beam_size? allowed: "
        + ", ".join(WhisperModel.model_fields)
    ]


def test_unknown_fields_deep_inside(place: Place) -> None:
    text = VOICE.replace("names: [alloy]", "nams: [alloy]")
    assert place.config(voice=text).problems() == [
        (
            "voice.yaml:5: voices.joe.nams: there is no such field; did you mean names? allowed: "
            "file, names, speaker, language, description"
        )
    ]
    assert (
        place.config(voice=f"{VOICE}price: {{charakter: 1}}\n")
        .problems()[0]
        .startswith(
            "voice.yaml:6: price.charakter: there is no such field; did you mean character? allowed: prompt_token, "
        )
    )


def test_allowed_values_are_told(place: Place) -> None:
    problems = place.config(ears=f"{EARS}device: gpu\nbeam_size: 99\n", chat=CHAT.replace("vllm", "llama")).problems()
    assert problems == [
        (
            "chat.yaml:2: engine: is 'llama'; allowed: vllm, whisper, piper, diffusers, embed, fake; "
            "or use `bundle` for a bundle of names"
        ),
        "ears.yaml:5: device: Input should be 'auto', 'cpu' or 'cuda', not 'gpu'",
        "ears.yaml:6: beam_size: Input should be less than or equal to 20, not 99",
    ]


def test_modes_name_voices_that_there_are(place: Place) -> None:
    def problems(mapping: str) -> list[str]:
        return place.config(voice=f"{VOICE}quality: {{low: {{voices: {{{mapping}}}}}}}\n").problems()

    for mapping in ("joe: amy", "amy: joe"):
        (problem,) = problems(mapping)
        assert problem.endswith("quality.low.voices names 'amy'; the voices are joe"), problem


def test_missing_fields(place: Place) -> None:
    assert place.config(a="# first\nname: a\nengine: whisper\n").problems() == ["a.yaml:2: path: is missing"]
    assert place.config(a="name: a\n").problems()[0].startswith("a.yaml:1: engine: is missing; allowed: vllm")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: [a\n", "a.yaml:2: not valid YAML: "),
        ("- 1\n", "a.yaml:1: a document must be a mapping of fields"),
        ("name: a\nengine: whisper\nname: b\npath: c\n", "a.yaml:3: name: stands twice, on line 1 and here"),
        ("name: a b\nengine: whisper\npath: c\n", "a.yaml:1: name: String should match pattern"),
        ("bundle: x\ntasks: {chat: tiny, sing: y}\nnames: [{id: z}]\n", "a.yaml:2: tasks.sing"),
    ],
)
def test_broken_documents(place: Place, text: str, problem: str) -> None:
    assert any(line.startswith(problem) for line in place.config(a=text).problems())


def test_bytes_that_are_no_text(place: Place) -> None:
    (place.configs / "a.yaml").write_bytes(b"name: \xff\xfe\n")
    assert place.problems() == ["a.yaml:1: not valid YAML: it must be UTF-8 text"]


def test_an_unreadable_file(place: Place) -> None:
    (place.configs / "a.yaml").symlink_to(place.configs / "nowhere")
    assert place.problems() == [f"a.yaml:1: cannot be read: {os.strerror(2)}"]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="nowhere:1: there is no such folder of model configs"):
        Catalog.load(tmp_path / "nowhere", tmp_path, tmp_path)


def test_duplicate_names(place: Place) -> None:
    more = BUNDLE.replace("bundle: all", "bundle: more").replace("gpt-4o-mini", "ears")
    place.config(a_chat=CHAT, ears=EARS, one=BUNDLE, two=more, zwei=CHAT)
    assert place.problems() == [
        f"two.yaml:6: names.0.id: 'gpt-4o' is taken already, at {place.configs}/one.yaml:6".replace(
            f"{place.configs}/", ""
        ),
        "two.yaml:8: names.1.id: 'ears' is taken already, at ears.yaml:1",
        "zwei.yaml:1: name: 'tiny-chat' is taken already, at a_chat.yaml:1",
    ]


def test_bundles_must_name_models_that_do_the_task(place: Place) -> None:
    text = BUNDLE.replace("transcription: ears", "speech: ears\n  image: starter-image")
    assert place.config(chat=CHAT, ears=EARS, bundle=text).problems() == [
        "bundle.yaml:4: tasks.speech: 'ears' is a model for transcription; models for speech: none",
        "bundle.yaml:5: tasks.image: there is no model 'starter-image'; models for image: none",
    ]


def test_what_hears_and_speaks_for_a_model_must_be_there(place: Place) -> None:
    right = CHAT + "transcriber: ears\nvoice: voice\n"
    place.config(chat=right, ears=EARS, voice=VOICE)
    assert len(check_configs(place.configs).models) == 3
    wrong = CHAT + "transcriber: voice\nvoice: vioce\n"
    assert place.config(chat=wrong).problems() == [
        "chat.yaml:6: transcriber: there is no transcription model 'voice'; models for transcription: ears",
        "chat.yaml:7: voice: there is no speech model 'vioce'; models for speech: voice",
    ]


# ---------------------------------------------------------------- what is shipped


def test_every_shipped_config_and_example_is_valid() -> None:
    configs = check_configs(ROOT / "model_configs")
    names = {one.spec.name for one in configs.models}
    assert {"smollm2-135m-instruct", "whisper-tiny-en", "piper-en-us-joe"} < names
    assert {"qwen3-8b", "sdxl", "flux-schnell", "whisper-large-v3-turbo", "piper-voices"} < names
    assert {"llama-3.3-70b", "llama-3.1-8b", "qwen3-8b-drafts", "qwen3-32b-fp8", "qwen2.5-vl-7b"} < names


@pytest.mark.parametrize("field", ["offload: model", "attention: flash", "attention: _native_cudnn"])
def test_what_is_for_gpus_is_refused_on_a_processor(place: Place, field: str) -> None:
    place.config(art=f"name: art\nengine: diffusers\npath: art\nsize: [64, 64]\ndevice: cpu\n{field}\n")
    [problem] = place.problems()
    assert f"{field} is for GPUs, and device is cpu" in problem


def test_attention_that_diffusers_does_not_know_is_refused_by_the_names_that_it_knows(place: Place) -> None:
    place.config(art="name: art\nengine: diffusers\npath: art\nsize: [64, 64]\nattention: flash_hub\n")
    [problem] = place.problems()
    assert "attention" in problem
    assert "'native'" in problem


def test_examples_are_not_served(tmp_path: Path) -> None:
    catalog = Catalog.load(ROOT / "model_configs", tmp_path, None)
    assert "qwen3-8b" not in {one.spec.name for one in catalog.missing}


def test_the_starter_bundle_has_the_published_names_and_prices(tmp_path: Path) -> None:
    place = Place(tmp_path).install("smollm2-135m-instruct", "whisper-tiny-en", "piper-en-us-joe")
    for file in ("en_US-joe-medium.onnx", "en_US-joe-medium.onnx.json"):
        (place.models / "piper-en-us-joe" / file).touch()
    catalog = Catalog.load(ROOT / "model_configs", place.models, None)
    prices = {
        "deepseek-v4-flash": "0.0004",
        "deepseek-v4-pro": "0.002",
        "deepseek-reasoner": "0.002",
        "claude-sonnet-4-20250514": "0.006",
        "claude-haiku-3.5": "0.002",
        "o3-mini": "0.004",
        "gpt-4o": "0.01",
        "gpt-4o-mini": "0.0008",
    }
    for name, rate in prices.items():
        _, price = catalog.resolve(name, Task.CHAT)
        assert price.prompt_token == price.completion_token == Decimal(rate)
        assert catalog.resolve(name, Task.TRANSCRIPTION)[0].name == "whisper-tiny-en"
        assert catalog.resolve(name, Task.SPEECH)[0].name == "piper-en-us-joe"
    assert catalog.resolve("whisper-1", Task.TRANSCRIPTION)
    for name in ("tts-1", "tts-1-hd", "gpt-4o-mini-tts"):
        assert catalog.resolve(name, Task.SPEECH)


def test_the_starter_voice_answers_to_every_openai_voice_name() -> None:
    configs = check_configs(ROOT / "model_configs")
    (spec,) = [one.spec for one in configs.models if one.spec.name == "piper-en-us-joe"]
    assert isinstance(spec, PiperModel)
    openai = "alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar"
    assert set(spec.voices["joe"].names) == set(openai.split())
