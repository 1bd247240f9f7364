"""What each stage learns: the autoencoder pictures, the text encoder concepts, the denoiser latents from text."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import torch
from diffusers import AutoencoderTiny, DPMSolverMultistepScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from starter_image.captions import Captions
from starter_image.corpus import SIZE, Concept, Pixels, variants
from starter_image.crew import Course, Run, train
from starter_image.words import LENGTH
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

WEIGHTS = (0.5, 0.15, 0.25, 0.1)
"""How often each of a concept's pictures is shown: as drawn, tilted, mirrored, mirrored and tilted."""


class Pictures:
    """Every picture in one array: `pixels` (count, 64, 64, 3) uint8; `first[i]` is where concept i's pictures begin."""

    def __init__(self, concepts: Sequence[Concept], source: Path) -> None:
        made: list[Pixels] = []
        first: list[int] = []
        for concept in concepts:
            first.append(len(made))
            made += variants(concept, source)
        self.pixels = np.stack(made)
        self.first = torch.tensor([*first, len(made)])

    def batch(self, index: Tensor) -> Tensor:
        """(batch, 3, 64, 64), −1 to 1."""
        picked = torch.from_numpy(self.pixels[index.numpy()]).permute(0, 3, 1, 2)
        return (picked.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)

    def draw(self, concept: Tensor, generator: torch.Generator) -> Tensor:
        """One picture's index for each concept, by WEIGHTS."""
        count = self.first[concept + 1] - self.first[concept]
        weights = torch.tensor(WEIGHTS).expand(len(concept), -1) * (torch.arange(len(WEIGHTS)) < count[:, None])
        return self.first[concept] + torch.multinomial(weights, 1, generator=generator).squeeze(1)


def edges(picture: Tensor) -> tuple[Tensor, Tensor]:
    return picture[..., 1:] - picture[..., :-1], picture[..., 1:, :] - picture[..., :-1, :]


def likeness(drawn: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """How far a decoded picture is from the true one: absolute, squared, and edges, which keep it sharp."""
    absolute = (drawn - wanted).abs().mean()
    square = (drawn - wanted).square().mean()
    edge = sum(((a - b).abs().mean() for a, b in zip(edges(drawn), edges(wanted), strict=True)), torch.zeros(()))
    return {"loss": absolute + square + 0.5 * edge, "absolute": absolute, "square": square}


def train_autoencoder(model: AutoencoderTiny, pictures: Pictures, course: Course, run: Run) -> None:
    def loss(net: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        index = torch.randint(len(pictures.pixels), (course.samples // run.workers,), generator=generator)
        wanted = pictures.batch(index)
        latent = net.encode(wanted).latents.float()
        # the denoiser wants latents of mean 0 and deviation 1, and it leaves a little noise in them
        centre, spread = latent.mean((0, 2, 3)), latent.std((0, 2, 3))
        shape = centre.square().mean() + (spread - 1).square().mean()
        noise = 0.12 * torch.randn(latent.shape, generator=generator)
        losses = likeness(net.decode(latent + noise).sample.float(), wanted)
        return losses | {"loss": losses["loss"] + 0.05 * shape, "shape": shape}

    train(model, loss, course, run)


def train_decoder(model: AutoencoderTiny, pictures: Pictures, latents: Tensor, course: Course, run: Run) -> None:
    """The autoencoder's decoder alone, for latents that stay as they are: it may go on after the denoiser has begun."""

    def loss(net: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        index = torch.randint(len(pictures.pixels), (course.samples // run.workers,), generator=generator)
        noise = 0.12 * torch.randn(latents[index].shape, generator=generator)
        noisy = (latents[index] + noise).contiguous(memory_format=torch.channels_last)
        return likeness(net(noisy).float(), pictures.batch(index))

    train(model.decoder, loss, course, run)


def encode(model: AutoencoderTiny, pictures: Pictures) -> Tensor:
    """Latents of all pictures, (count, 12, 8, 8) float32."""
    parts = torch.arange(len(pictures.pixels)).split(64)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        return torch.cat([model.encode(pictures.batch(part)).latents.float() for part in parts])


def look(pictures: Pictures, kept: int = 64) -> Tensor:
    """What each concept's first picture looks like, coarsely: its principal components at 16×16, (concepts, kept)."""
    small = torch.cat(
        [functional.avg_pool2d(pictures.batch(part), SIZE // 16) for part in pictures.first[:-1].split(256)]
    )
    flat = small.flatten(1)
    flat = flat - flat.mean(0)
    _, _, axes = torch.linalg.svd(flat, full_matrices=False)
    components = flat @ axes[:kept].T
    return components / components[:, 0].std()


class TextLearner(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """The text encoder with two heads that are thrown away: which concept is meant, and what it looks like."""

    def __init__(self, encoder: CLIPTextModel, concepts: int, components: int) -> None:
        super().__init__()
        self.encoder = encoder
        width = encoder.config.hidden_size
        self.concept = nn.Linear(width, concepts)
        self.look = nn.Linear(width, components)


class Speaker:
    """Captions as token batches, drawn from a torch generator's numbers."""

    def __init__(self, concepts: Sequence[Concept], captions: Captions, tokenizer: CLIPTokenizer) -> None:
        self._concepts = concepts
        self._captions = captions
        self._tokenizer = tokenizer

    def say(self, index: Tensor, generator: torch.Generator, silent: float = 0.0, full: bool = True) -> Tensor:
        """(batch, tokens) token ids. silent: share of empty captions. full: padded as diffusers' pipelines pad."""
        rng = Random(int(torch.randint(2**62, (1,), generator=generator)))
        texts = ["" if rng.random() < silent else self._captions.draw(self._concepts[i], rng) for i in index.tolist()]
        ids: Tensor = self._tokenizer(
            texts, padding="max_length" if full else "longest", max_length=LENGTH, truncation=True, return_tensors="pt"
        ).input_ids
        return ids


def train_text(encoder: CLIPTextModel, speaker: Speaker, wanted: Tensor, course: Course, run: Run) -> None:
    """wanted: see `look`. The encoder learns to tell concepts apart however they are put, and like looks lie near."""
    learner = TextLearner(encoder, len(wanted), wanted.shape[1])

    def loss(net: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        index = torch.randint(len(wanted), (course.samples // run.workers,), generator=generator)
        pooled = net.encoder(speaker.say(index, generator, full=False)).pooler_output.float()
        logits = net.concept(pooled).float()
        meant = functional.cross_entropy(logits, index, label_smoothing=0.02)
        seen = (net.look(pooled).float() - wanted[index]).square().mean()
        right = (logits.argmax(1) == index).float().mean()
        return {"loss": meant + 4 * seen, "meant": meant, "seen": seen, "right": right}

    train(learner, loss, course, run)


def train_denoiser(
    model: UNet2DConditionModel,
    encoder: CLIPTextModel,
    scheduler: DPMSolverMultistepScheduler,
    speaker: Speaker,
    pictures: Pictures,
    latents: Tensor,
    course: Course,
    run: Run,
) -> None:
    encoder.requires_grad_(False)
    model.set_attn_processor(AttnProcessor())  # for so few tokens plain products are faster than the fused kernel
    kept = scheduler.alphas_cumprod.sqrt().float()[:, None, None, None]
    lost = (1 - scheduler.alphas_cumprod).sqrt().float()[:, None, None, None]
    concepts = len(pictures.first) - 1

    def loss(net: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        index = torch.randint(concepts, (course.samples // run.workers,), generator=generator)
        clean = latents[pictures.draw(index, generator)]
        noise = torch.randn(clean.shape, generator=generator)
        # evenly spread over each part of the range, and denser where there is more noise: there the text decides
        place = (torch.arange(len(index)) + torch.rand(len(index), generator=generator)) / len(index)
        time = (place**0.7 * 1000).long().clamp(max=999)
        noisy = kept[time] * clean + lost[time] * noise
        velocity = kept[time] * noise - lost[time] * clean
        with torch.no_grad():
            text = encoder(speaker.say(index, generator, silent=0.1)).last_hidden_state
        guess = net(noisy.contiguous(memory_format=torch.channels_last), time, text).sample.float()
        error = (guess - velocity).square().mean((1, 2, 3))
        return {
            "loss": error.mean(),
            "noisiest": error[-len(error) // 8 :].mean(),
            "clearest": error[: len(error) // 4].mean(),
        }

    train(model, loss, course, run)
