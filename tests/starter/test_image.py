"""The starter image model: its training code without training, and the shipped weights where they are present."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
import yaml
from PIL import Image

from server.models.config.spec import DiffusersModel

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from starter_image.captions import HELD_OUT, Captions, read_paraphrases  # noqa: E402
from starter_image.corpus import Concept, colours, name_of_colour, turn_hue, variants  # noqa: E402

CAT = Concept("1f431", "cat face", ("animal", "cat", "face", "pet"), ("cat",), "cat.png", "yellow")
RED_FISH = Concept("1f41f-red", "red fish", ("animal", "fish", "ocean"), (), "fish.png", "red", shift=0.4, base="fish")
PARAPHRASES = ROOT / "scripts" / "starter_image" / "paraphrases.yaml"


def test_config_obeys_the_schema() -> None:
    raw = yaml.safe_load((ROOT / "model_configs" / "starter-image.yaml").read_text())
    spec = DiffusersModel.model_validate(raw)
    assert spec.size == (64, 64)
    assert spec.resample == "lanczos"
    assert {"64x64", "1024x1024"} <= set(spec.sizes)


def test_paraphrases_are_never_trained_on() -> None:
    texts = [text for texts in read_paraphrases(PARAPHRASES).values() for text in texts]
    assert len(texts) >= 200
    assert len(set(texts)) == len(texts)
    captions = Captions([*texts, "cat face"])
    rng = Random(3)
    drawn = [captions.draw(concept, rng) for concept in (CAT, RED_FISH) for _ in range(3000)]
    assert not set(drawn) & {*texts, "cat face"}
    assert not any(HELD_OUT.search(text) for text in drawn)


def test_captions_vary_and_keep_the_colour() -> None:
    captions = Captions(())
    rng = Random(0)
    drawn = [captions.draw(RED_FISH, rng) for _ in range(500)]
    assert len(set(drawn)) > 150
    assert all("red" in text for text in drawn)
    assert [captions.draw(CAT, Random(9)) for _ in range(3)] == [captions.draw(CAT, Random(9))] * 3


def test_hue_turn_makes_red_blue() -> None:
    red = np.full((64, 64, 3), (220, 40, 40), np.uint8)
    assert colours(red)[0] == "red"
    assert colours(turn_hue(red, 215 / 360))[0] == "blue"
    assert name_of_colour(0.5, 0.3, 0.1) == "brown"


def test_variants_are_as_drawn_tilted_and_mirrored(tmp_path: Path) -> None:
    folder = tmp_path / "img" / "google" / "64"
    folder.mkdir(parents=True)
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, :32] = (255, 0, 0, 255)
    Image.fromarray(pixels).save(folder / "cat.png")
    made = variants(CAT, tmp_path)
    assert [picture.shape for picture in made] == [(64, 64, 3)] * 4
    assert made[0][32, 5].tolist() == [255, 0, 0]
    assert made[0][32, 60].tolist() == [255, 255, 255]
    assert np.array_equal(made[2], made[0][:, ::-1])


LEARN = """
import sys
from pathlib import Path
import torch
from torch import nn
from starter_image.crew import Course, Run, train

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 3))
workers = int(sys.argv[2])

def error(net, generator):
    seen = torch.randn(32 // workers, 3, 8, 8, generator=generator)
    return (net(seen).float() - 2 * seen[:, :1, 2:-2, 2:-2] - 1).square().mean()

run = Run(Path(sys.argv[1]), 0, workers)
train(model, lambda net, generator: {"loss": error(net, generator)}, Course("x", 200, 1e-2, 32), run)
with torch.no_grad():
    print("END", error(model, torch.Generator().manual_seed(1)).item(), sum(p.sum().item() for p in model.parameters()))
"""


@pytest.mark.models
@pytest.mark.timeout(400)
def test_two_workers_learn_as_one_does_and_a_run_repeats(tmp_path: Path) -> None:
    """Averaged gradients once lay in memory unlike their weights, and the fused optimiser mixed them up."""

    def learn(folder: str, workers: int) -> list[float]:
        (tmp_path / folder).mkdir(exist_ok=True)
        command = [sys.executable, "-c", LEARN, str(tmp_path / folder), str(workers)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return [float(word) for word in done.stdout.split("END")[1].split()]

    two = learn("two", 2)
    assert two[0] < 0.5
    assert learn("one", 1)[0] < 0.5
    assert learn("again", 2) == two
    assert learn("two", 2) == two  # goes on from its checkpoint, with nothing left to do


@pytest.mark.models  # the evaluation imports diffusers, which takes seconds
def test_detail_tells_a_blur_from_the_picture_and_gains_have_a_sign(tmp_path: Path) -> None:
    from eval_starter_image import Judge, gains

    folder = tmp_path / "img" / "google" / "64"
    folder.mkdir(parents=True)
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    Image.fromarray(stripes).save(folder / "cat.png")
    judge = Judge([CAT] * 2, tmp_path)
    blur = np.full_like(stripes, 100)  # the same to the coarse measure, which averages neighbours
    good, bad = judge.detail([stripes, blur])
    assert good.tolist() == [0, 1]
    assert bad[0] > 0.3
    assert bad[1] == 0
    rise, rest = gains({8: np.array([good] * 5), 2: np.array([bad] * 5), 4: np.array([good] * 5)})
    assert (rise.fewer, rise.more, rest.fewer, rest.more) == (2, 4, 4, 8)
    assert rise.fidelity == pytest.approx((bad[0],) * 3, abs=1e-4)
    assert rise.contrast == (1, 1, 1)
    assert rest.fidelity == rest.contrast == (0, 0, 0)


FOLDER = ROOT / "starter" / "image"


@pytest.mark.models
def test_training_goes_on_from_the_shipped_weights(tmp_path: Path) -> None:
    from argparse import Namespace

    import torch
    from safetensors.torch import load_file
    from starter_image.networks import build_autoencoder, build_denoiser, build_text_encoder
    from train_starter_image import take, trained
    from transformers import CLIPTokenizer

    encoder = build_text_encoder(CLIPTokenizer.from_pretrained(FOLDER / "tokenizer"))
    for part, model in {"vae": build_autoencoder(), "text_encoder": encoder, "unet": build_denoiser()}.items():
        take(model, FOLDER / part)
        trained(model, "a stage that has not been run", Namespace(start=FOLDER, work=tmp_path))
        (file,) = (FOLDER / part).glob("*.safetensors")
        shipped = load_file(file)
        weights = {name: weight for name, weight in model.state_dict().items() if name in shipped}
        assert weights.keys() == shipped.keys()
        assert all((weight == shipped[name].float()).all() for name, weight in weights.items())
    with pytest.raises(FileNotFoundError):
        trained(encoder, "text", Namespace(start=None, work=tmp_path))
    with pytest.raises(SystemExit, match="no finished model"):
        take(encoder, tmp_path / "unet")
    torch.save({"averages": [torch.full_like(weight, 7) for weight in encoder.parameters()]}, tmp_path / "text.pt")
    trained(encoder, "text", Namespace(start=FOLDER, work=tmp_path))  # what has been trained since wins
    assert all((weight == 7).all() for weight in encoder.parameters())


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Where other work keeps the processor busy, torch's threads wait for each other for minutes."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.models
@pytest.mark.usefixtures("one_thread")
@pytest.mark.skipif(not (FOLDER / "model_index.json").exists(), reason="the weights are not in this checkout")
def test_shipped_weights_draw_by_name_and_colour() -> None:
    import torch
    from diffusers import DiffusionPipeline

    assert sum(path.stat().st_size for path in FOLDER.rglob("*.safetensors")) < 40e6
    pipeline = DiffusionPipeline.from_pretrained(FOLDER, torch_dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)

    def draw(seed: int) -> list[np.ndarray]:  # type: ignore[type-arg]
        made = pipeline(
            ["red heart", "blue heart", "green heart", "a heart that is red"],
            num_inference_steps=12,
            guidance_scale=2.0,
            generator=[torch.Generator().manual_seed(seed)] * 4,
        )
        return [np.asarray(picture) for picture in made.images]

    first = draw(1)
    assert [colours(picture)[0] for picture in first] == ["red", "blue", "green", "red"]
    assert all(np.array_equal(a, b) for a, b in zip(first, draw(1), strict=True))
    assert not np.array_equal(first[0], draw(2)[0])
