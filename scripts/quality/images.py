"""Images: the starter model's own evaluation, in each mode. Is the nearest training picture one of what was asked for?

The prompts are those of scripts/eval_starter_image.py: labels as trained, lists of tags, and paraphrases that were
never in a training caption. `detail.distance` of each row is how far that nearest picture is (0–1, see there), which
tells two pictures apart where both are right:

    .venv/bin/python -m scripts.quality.images data/quality/images.json

prints the table of the distances. The training pictures come from npm, once, into build/starter-image/sources.
"""

import base64
import importlib
import io
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import numpy as np
from PIL import Image

from scripts.quality.frame import MODES, Item, Measure, Outcome, Row, checked, outcome

NAME = "images"
MODELS = ("starter-image",)
UNIT = "share right"
HIGHER_IS_BETTER = True
SIZE = 419
AT_ONCE = 1

SCRIPTS = Path(__file__).parents[1]
SOURCES = Path("build/starter-image/sources")
LABELS, TAGS = 150, 100
"""As many as the evaluation takes by default; tag lists that mean one thing only are fewer."""


@dataclass(frozen=True, kw_only=True)
class Prompt(Item):
    """A prompt, the place of the concept that it means, and the seed that it is drawn with in every mode."""

    text: str
    concept: int
    seed: int


@cache
def evaluation() -> Any:
    """The module of scripts/eval_starter_image.py, whose folder is not a package. Imports torch."""
    if str(SCRIPTS) not in sys.path:
        sys.path.insert(0, str(SCRIPTS))
    return importlib.import_module("eval_starter_image")


@cache
def corpus() -> tuple[list[Any], Path]:
    """The concepts, and the folder of their pictures."""
    module = evaluation()
    source = module.fetch(module.PICTURES, SOURCES)
    return module.read_concepts(source, module.fetch(module.WORDS, SOURCES)), source


@cache
def judge() -> Any:
    """Knows every training picture."""
    return evaluation().Judge(*corpus())


def prepare() -> None:
    """Bring the training pictures, and look at them all."""
    judge()


def items(size: int, seed: int) -> Sequence[Prompt]:
    """As many of the evaluation's prompts, of each kind its share. All seeds draw from these prompts."""
    concepts, _ = corpus()
    paraphrases = evaluation().read_paraphrases(SCRIPTS / "starter_image" / "paraphrases.yaml")
    prompts = evaluation().prompts_for(concepts, paraphrases, LABELS, TAGS)
    chosen = sampled([prompt.kind for prompt in prompts], size, seed)
    return [
        Prompt(
            id=f"{place:03d}-{prompts[place].kind}",
            kind=prompts[place].kind,
            drawn_as=f"{place:03d}",
            text=prompts[place].text,
            concept=prompts[place].concept,
            seed=1000 * seed + place,
        )
        for place in chosen
    ]


def sampled(kinds: Sequence[str], size: int, seed: int) -> list[int]:
    """Places, in order, of `size` of them at most: of each kind as near to its share as whole numbers allow."""
    rng = np.random.default_rng(seed)
    order = []
    for kind in dict.fromkeys(kinds):
        places = [place for place, one in enumerate(kinds) if one == kind]
        # Evenly over 0–1, so that the first of all kinds together are a sample of each.
        order += [((rank + 0.5) / len(places), int(place)) for rank, place in enumerate(rng.permutation(places))]
    return sorted(place for _, place in sorted(order)[:size])


async def ask(client: httpx.AsyncClient, item: Prompt, mode: str) -> Outcome:
    """One picture at the model's own size."""
    body = {
        "model": MODELS[0],
        "prompt": item.text,
        "seed": item.seed,
        "quality": mode,
        "response_format": "b64_json",
    }
    begun = time.perf_counter()
    response = checked(await client.post("/v1/images/generations", json=body))
    seconds = time.perf_counter() - begun
    answer = response.json()
    picture = Image.open(io.BytesIO(base64.b64decode(answer["data"][0]["b64_json"]))).convert("RGB")
    (right,), (distance,) = judge().nearest([np.asarray(picture)], [item.concept])
    return outcome(
        float(right),
        answer["usage"],
        response.headers,
        seconds=seconds,
        detail={"distance": round(distance, 5), "seed": answer["data"][0]["seed"]},
    )


def distances(rows: Sequence[Any]) -> list[Row]:
    """The rows of a file of figures, with the distance for the score. A failed request counts as 1."""
    return [
        Row(
            Item(**{name: row["item"][name] for name in ("id", "kind", "of_seed", "drawn_as")}),
            row["mode"],
            Outcome(
                score=row["detail"].get("distance", 1.0),
                tokens=row["tokens"],
                credits=row["credits"],
                passes=row["passes"],
                seconds=row["seconds"],
                failed=row["failed"],
            ),
        )
        for row in rows
    ]


def main() -> None:
    from scripts.quality.report import markdown

    kept = json.loads(Path(sys.argv[1]).read_text())
    rows = distances(kept["rows"])
    modes = [mode for mode in MODES if any(row.mode == mode for row in rows)]
    measure = SimpleNamespace(UNIT="distance", HIGHER_IS_BETTER=False)
    print(markdown(cast("Measure[Any]", measure), rows, modes), end="")


if __name__ == "__main__":
    main()
