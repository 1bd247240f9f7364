#!/usr/bin/env python
"""Measure the starter image model: does it draw what was asked, do steps, guidance, seeds and colour words matter?

The measure is the nearest training picture. A drawn picture and every training picture (tilted and mirrored ones too)
are averaged down to 32×32 and to 8×8 pixels; the distance is the root of the mean of the two mean squared RGB
differences, 0–1. An answer is right where the nearest picture is one of the concept that was asked for, or one that
looks the same to this measure (some emoji have one picture in two code points).

What steps bring is measured at full size, where a blur can't pass: the distance to the training picture that is most
like the drawn one (root mean squared RGB difference, 0–1), and the contrast at edges as a share of that picture's. One
prompt and seed is compared with itself at other steps; the intervals are 95%, by a bootstrap over the prompts.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image, ImageDraw
from starter_image.captions import read_paraphrases
from starter_image.corpus import PICTURES, WORDS, Concept, Pixels, colours, fetch, read_concepts, variants

HERE = Path(__file__).parent
COLOURED = ("heart", "circle", "square", "automobile", "star", "door", "dress", "butterfly")


@dataclass(frozen=True)
class Prompt:
    kind: str
    text: str
    concept: int


@dataclass(frozen=True)
class Score:
    """One row of the report. right: share of prompts; distance: mean to the nearest training picture."""

    kind: str
    prompts: int
    steps: int
    guidance: float
    right: float
    distance: float
    seconds: float


@dataclass(frozen=True)
class Gain:
    """What going on from `fewer` steps to `more` changes, over all prompts: a mean and the bounds of its interval.

    fidelity: fall of the full-size distance to the nearest training picture, 0–1. contrast: rise of the share of that
    picture's contrast at edges. Above 0 is better, for contrast as long as it ends at no more than 1.
    """

    fewer: int
    more: int
    fidelity: tuple[float, float, float]
    contrast: tuple[float, float, float]


def prompts_for(concepts: Sequence[Concept], paraphrases: dict[str, list[str]], labels: int, tags: int) -> list[Prompt]:
    """Labels as trained, tags only, and paraphrases; the first two are a fixed sample."""
    rng = Random(7)
    made = [
        Prompt("label", concepts[i].label, i)
        for i in sorted(rng.sample(range(len(concepts)), min(labels, len(concepts))))
    ]
    plain = [i for i, concept in enumerate(concepts) if concept.base is None and len(concept.tags) >= 3]
    sets = [set(concept.tags) for concept in concepts]
    alone = [
        i
        for i in plain
        if not any(
            set(concepts[i].tags[:6]) <= other for j, other in enumerate(sets) if j != i and concepts[j].base is None
        )
    ]
    made += [
        Prompt("tags", ", ".join(concepts[i].tags[:6]), i) for i in sorted(rng.sample(alone, min(tags, len(alone))))
    ]
    places = {concept.label: i for i, concept in enumerate(concepts)}
    made += [Prompt("paraphrase", text, places[label]) for label, texts in paraphrases.items() for text in texts]
    return made


def features(pictures: Sequence[Pixels]) -> torch.Tensor:
    """(count, 3264): 32×32 and 8×8 averages, weighted so that the squared distance is the mean of the two."""
    tensor = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    parts = [torch.nn.functional.avg_pool2d(tensor, factor).flatten(1) for factor in (2, 8)]
    return torch.cat([part / (2 * part.shape[1]) ** 0.5 for part in parts], 1)


class Judge:
    """Knows every training picture and which concept it shows."""

    def __init__(self, concepts: Sequence[Concept], source: Path) -> None:
        pictures = [variants(concept, source) for concept in concepts]
        self.owner = torch.tensor([i for i, own in enumerate(pictures) for _ in own])
        self.known = torch.cat([features(own) for own in pictures])
        self.pictures = np.stack([picture for own in pictures for picture in own])

    def nearest(self, drawn: Sequence[Pixels], asked: Sequence[int]) -> tuple[list[bool], list[float]]:
        distances = torch.cdist(features(drawn), self.known)
        best, place = distances.min(1)
        right = []
        for row, concept in enumerate(asked):
            own = self.known[self.owner == concept]
            same = torch.cdist(self.known[place[row]][None], own).min() < 0.02
            right.append(bool(self.owner[place[row]] == concept or same))
        return right, best.tolist()

    def detail(self, drawn: Sequence[Pixels]) -> np.ndarray[Any, Any]:
        """(pictures, 2): full-size distance to the most like of the eight nearest, and share of its edge contrast."""
        near = torch.cdist(features(drawn), self.known).topk(8, largest=False).indices.numpy()
        rows = []
        for picture, places in zip(drawn, near, strict=True):
            mine, others = picture / 255, self.pictures[places] / 255
            apart = np.sqrt(((others - mine) ** 2).mean((1, 2, 3)))
            best = int(apart.argmin())
            rows.append((apart[best], contrast(mine) / contrast(others[best])))
        return np.array(rows)


def contrast(picture: np.ndarray[Any, Any]) -> float:
    """Mean difference of neighbouring pixels, of a picture (height, width, 3) of 0–1."""
    return float(np.abs(np.diff(picture, axis=0)).mean() + np.abs(np.diff(picture, axis=1)).mean())


def interval(values: np.ndarray[Any, Any]) -> tuple[float, float, float]:
    """The mean, and the bounds of its 95% bootstrap interval."""
    resampled = np.random.default_rng(0).choice(values, (2000, len(values))).mean(1)
    low, high = np.quantile(resampled, (0.025, 0.975))
    return round(float(values.mean()), 4), round(float(low), 4), round(float(high), 4)


def gains(details: dict[int, np.ndarray[Any, Any]]) -> list[Gain]:
    """From each number of steps to the next; details: what `Judge.detail` says, by steps."""
    order = sorted(details)
    changes = [(fewer, more, details[more] - details[fewer]) for fewer, more in pairwise(order)]
    return [Gain(fewer, more, interval(-change[:, 0]), interval(change[:, 1])) for fewer, more, change in changes]


def draw(
    pipeline: DiffusionPipeline, texts: Sequence[str], seeds: Sequence[int], steps: int, guidance: float
) -> list[Pixels]:
    made: list[Pixels] = []
    for start in range(0, len(texts), 16):
        part = slice(start, start + 16)
        pictures = pipeline(
            list(texts[part]),
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds[part]],
        ).images
        made += [np.asarray(picture) for picture in pictures]
    return made


def measure(
    pipeline: DiffusionPipeline, judge: Judge, prompts: Sequence[Prompt], steps: int, guidance: float
) -> tuple[list[Score], list[Pixels], list[bool]]:
    begun = time.monotonic()
    drawn = draw(pipeline, [prompt.text for prompt in prompts], range(1000, 1000 + len(prompts)), steps, guidance)
    seconds = (time.monotonic() - begun) / len(prompts)
    right, distance = judge.nearest(drawn, [prompt.concept for prompt in prompts])
    scores = []
    for kind in dict.fromkeys(prompt.kind for prompt in prompts):
        rows = [i for i, prompt in enumerate(prompts) if prompt.kind == kind]
        share, mean = sum(right[i] for i in rows) / len(rows), sum(distance[i] for i in rows) / len(rows)
        scores.append(Score(kind, len(rows), steps, guidance, round(share, 4), round(mean, 4), round(seconds, 3)))
    return scores, drawn, right


def colour_words(pipeline: DiffusionPipeline, steps: int, guidance: float) -> dict[str, str | None]:
    """The dominant colour of what is drawn, for each "COLOUR THING"."""
    texts = [f"{word} {thing}" for thing in COLOURED for word in ("red", "green", "blue", "purple")]
    drawn = draw(pipeline, texts, [5] * len(texts), steps, guidance)
    return {text: colours(picture)[0] for text, picture in zip(texts, drawn, strict=True)}


def seeds(pipeline: DiffusionPipeline, steps: int, guidance: float) -> dict[str, float | bool]:
    """same: one seed draws one picture, to the byte; differ: mean absolute difference of two seeds, 0–1."""
    texts = ["rocket", "cat face", "a heart that is red", "snail", "bicycle", "parrot", "guitar", "mushroom"]
    first, again, other = (draw(pipeline, texts, [seed] * len(texts), steps, guidance) for seed in (1, 1, 2))
    same = all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    differ = [float(np.abs(a.astype(float) - b).mean() / 255) for a, b in zip(first, other, strict=True)]
    return {"same": same, "differ": round(sum(differ) / len(differ), 4), "least": round(min(differ), 4)}


def sheet(
    path: Path, pictures: Sequence[Pixels], texts: Sequence[str], right: Sequence[bool], columns: int = 10
) -> None:
    """A contact sheet: each picture at 96 px with its prompt; a prompt whose picture was wrong is red."""
    side, foot = 96, 34
    rows = -(-len(pictures) // columns)
    ground = Image.new("RGB", (columns * (side + 14), rows * (side + foot)), "white")
    pen = ImageDraw.Draw(ground)
    for i, (picture, text, good) in enumerate(zip(pictures, texts, right, strict=True)):
        left, top = i % columns * (side + 14), i // columns * (side + foot)
        ground.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS), (left + 7, top))
        for line in range(2):
            pen.text(
                (left + 3, top + side + 1 + 12 * line),
                text[line * 17 : line * 17 + 17],
                fill="black" if good else "#d00000",
            )
    ground.save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=HERE.parent / "starter" / "image")
    parser.add_argument(
        "--sources", type=Path, default=Path("build/starter-image/sources"), help="the npm tarballs' folder"
    )
    parser.add_argument("--out", type=Path, default=Path("build/starter-image/eval"), help="report and contact sheets")
    parser.add_argument("--labels", type=int, default=150, help="labels as trained to try")
    parser.add_argument("--tags", type=int, default=100, help="tag lists to try")
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 12, 30], help="the last is the main one")
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 2.0, 3.0, 5.0], help="tried at 12 steps")
    parser.add_argument("--main-guidance", type=float, default=2.0)
    parser.add_argument("--quick", action="store_true", help="the main steps and guidance only")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    source = fetch(PICTURES, options.sources)
    concepts = read_concepts(source, fetch(WORDS, options.sources))
    paraphrases = read_paraphrases(HERE / "starter_image" / "paraphrases.yaml")
    prompts = prompts_for(concepts, paraphrases, options.labels, options.tags)
    pipeline = DiffusionPipeline.from_pretrained(options.model, torch_dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    judge = Judge(concepts, source)
    trials = [(steps, options.main_guidance) for steps in options.steps]
    others = [(12, guidance) for guidance in options.guidance if (12, guidance) not in trials]
    trials = trials[-1:] if options.quick else others + trials
    scores: list[Score] = []
    details: dict[int, np.ndarray[Any, Any]] = {}
    for steps, guidance in trials:
        rows, drawn, right = measure(pipeline, judge, prompts, steps, guidance)
        scores += rows
        if guidance == options.main_guidance:
            details[steps] = judge.detail(drawn)
        for row in rows:
            print(f"{row.kind:10} {row.prompts:4} steps {steps:3} guidance {guidance:4.1f} right {row.right:6.1%} "
                  f"distance {row.distance:.4f} {row.seconds:.2f} s a picture", flush=True)  # fmt: skip
        for kind in ("label", "tags", "paraphrase"):
            some = [i for i, prompt in enumerate(prompts) if prompt.kind == kind][:100]
            sheet(options.out / f"{kind}-{steps}-steps-guidance-{guidance:g}.png", [drawn[i] for i in some],
                  [prompts[i].text for i in some], [right[i] for i in some])  # fmt: skip
    steps, guidance = trials[-1]
    words, seed = colour_words(pipeline, steps, guidance), seeds(pipeline, steps, guidance)
    obeyed = sum(word == text.split()[0] for text, word in words.items())
    print(f"colour words obeyed {obeyed} of {len(words)}; seeds {seed}")
    for steps, detail in sorted(details.items()):
        print(f"{steps} steps: full-size distance {interval(detail[:, 0])}, edge contrast {interval(detail[:, 1])}")
    for gain in gains(details):
        print(f"{gain.fewer} to {gain.more} steps: fidelity {gain.fidelity}, contrast {gain.contrast}")
    report = {"scores": [asdict(score) for score in scores], "colours": words, "seeds": seed,
              "gains": [asdict(gain) for gain in gains(details)],
              "wrong": [prompt.text for prompt, good in zip(prompts, right, strict=True) if not good]}  # fmt: skip
    (options.out / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
