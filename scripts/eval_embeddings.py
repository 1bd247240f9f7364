"""What an embedding model finds: `python scripts/eval_embeddings.py [MODEL] [--models-dir DIR]`, in seconds.

Questions are put to passages, each of which answers one of them, in other words than the question's; and passages again
that stand behind a page about something else, so that a model which reads a beginning only can't find them.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from server.core import EmbeddingJob, Embeddings
from server.engines.embed.handler import EmbedHandler, create
from server.models.config.catalog import Catalog
from server.models.factory import worker_options

PAIRS = (
    ("How much vacation do I get?", "Employees have twenty-eight days of paid leave a year."),
    ("What happens if I am ill?", "Whoever can't work for reasons of health tells the manager before nine o'clock."),
    ("When will my bill be settled?", "Invoices are paid within thirty days of their receipt."),
    ("Who reimburses my train ticket?", "Costs of business travel are refunded by the finance department."),
    ("What time do you close?", "The office is open from nine in the morning to six in the evening."),
    ("Can I bring my dog?", "Pets may come along on Fridays if nobody on the floor is allergic."),
    ("How do I get a new laptop?", "Hardware is ordered through the IT portal and arrives within a week."),
    ("I forgot my password.", "Credentials are reset at the help desk on showing an identity card."),
    ("When is maintenance done?", "The servers restart every Sunday at midnight for updates."),
    ("Where are copies of our data kept?", "Backups are stored in two other cities for ninety days."),
    ("May I work from home?", "Staff can do their job remotely on up to three days a week."),
    ("Is there something to eat?", "The canteen on the second floor serves lunch between noon and two."),
    ("Where do I leave my car?", "Parking is under the building; the barrier opens with the staff card."),
    ("What do I do in a fire?", "When the alarm sounds, leave by the stairs and meet at the fountain."),
    ("How long is the trial period?", "During the first six months either side may end the contract in two weeks."),
    ("Who may see personal records?", "Files about employees are open to human resources only."),
    ("Which languages does support speak?", "Customers are answered in English, Spanish and Polish."),
    ("How fast do you react to outages?", "Critical incidents are taken up within fifteen minutes at any hour."),
    ("Can I return a product?", "Goods may be sent back within fourteen days if they are unused."),
    ("How heavy may a parcel be?", "We ship packages of up to thirty kilograms."),
)
FILLER = "The river rises in the northern hills and flows slowly past the old mills of the valley. " * 25
"""Some 450 tokens."""


def vectors(model: EmbedHandler, texts: list[str], **fields: Any) -> np.ndarray[Any, Any]:
    reading = model.read(EmbeddingJob(inputs=tuple(texts), **fields))
    (made,) = [event for event in reading.run(None) if isinstance(event, Embeddings)]
    found = np.frombuffer(made.data, "<f4").reshape(len(texts), -1)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def found(questions: np.ndarray[Any, Any], passages: np.ndarray[Any, Any]) -> str:
    """How many questions have their own passage first, and the mean of 1 / place. Passages alike come all last."""
    scores = questions @ passages.T
    places = (scores >= np.diag(scores)[:, None] - 1e-6).sum(1)
    return f"{(places == 1).sum()} of {len(places)} first, mean reciprocal place {(1 / places).mean():.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", nargs="?", default="all-minilm-l6-v2")
    parser.add_argument("--models-dir", type=Path, default=Path("models"))
    options = parser.parse_args()
    models_dir = options.models_dir.resolve()
    catalog = Catalog.load(Path(__file__).resolve().parents[1] / "model_configs", models_dir, None)
    spec = next(one for one in catalog.models if one.name == options.model)
    model = create(worker_options(spec, models_dir))
    questions = vectors(model, [question for question, _ in PAIRS])
    passages = [passage for _, passage in PAIRS]
    behind = [FILLER + passage for passage in passages]
    print("passages:", found(questions, vectors(model, passages)))
    print("behind a page, read in parts:", found(questions, vectors(model, behind)))
    print("behind a page, beginning only:", found(questions, vectors(model, behind, truncate=-1)))


if __name__ == "__main__":
    main()
