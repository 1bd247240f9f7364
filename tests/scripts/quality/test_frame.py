"""How `scripts/eval_quality` asks: the order of items and modes, failures, what answers tell."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
import typer

from scripts.quality.__main__ import seeds_of
from scripts.quality.frame import Failure, Item, Outcome, Row, checked, items_of, outcome, run, turned
from scripts.quality.report import keep_all, markdown
from scripts.quality.transcription import Clip

ITEMS = [Item(id=str(i), kind="k") for i in range(4)]


@dataclass
class Fake:
    """A measure in which high is always right, low never, and item 2 fails in high."""

    NAME: str = "fake"
    MODELS: tuple[str, ...] = ()
    UNIT: str = "share right"
    HIGHER_IS_BETTER: bool = True
    SIZE: int = 4
    AT_ONCE: int = 2
    asked: list[tuple[str, str]] = field(default_factory=list)
    most: int = 0
    now: int = 0

    def items(self, size: int, seed: int) -> Sequence[Item]:
        return ITEMS[:size]

    async def ask(self, client: httpx.AsyncClient, item: Item, mode: str) -> Outcome:
        self.asked.append((item.id, mode))
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        if (item.id, mode) == ("2", "high"):
            raise Failure("503: busy")
        return Outcome(score=float(mode == "high"), seconds=5.0 if item.id == "1" else None)


async def asked(measure: Fake) -> list[Row]:
    ticks = iter(range(1000))
    async with httpx.AsyncClient() as client:
        return await run(measure, client, ITEMS, ["low", "high"], clock=lambda: float(next(ticks)))


def test_each_mode_comes_first_equally_often() -> None:
    pairs = turned(ITEMS, ["low", "high"])
    assert [(item.id, mode) for item, mode in pairs] == [
        ("0", "low"), ("0", "high"), ("1", "high"), ("1", "low"),
        ("2", "low"), ("2", "high"), ("3", "high"), ("3", "low"),
    ]  # fmt: skip


def test_every_seed_has_its_items() -> None:
    made = items_of(Fake(), 2, [7, 8])
    assert [(item.of_seed, item.id) for item in made] == [(7, "0"), (7, "1"), (8, "0"), (8, "1")]
    assert len({item.unit for item in made}) == 4


def test_the_sound_of_a_clip_goes_with_it() -> None:
    """It is no field, so that it is not kept beside the figures."""

    class Clips(Fake):
        def items(self, size: int, seed: int) -> list[Item]:
            return [Clip(id=str(n), kind="fast", text="said", recording=bytes([n, seed])) for n in range(size)]

    made = items_of(Clips(), 2, [7, 8])
    sounds = [item.sound for item in made if isinstance(item, Clip)]
    assert sounds == [bytes([number, seed]) for seed in (7, 8) for number in range(2)]
    assert [item.of_seed for item in made] == [7, 7, 8, 8]


def test_seeds_are_whole_numbers_and_none_comes_twice() -> None:
    assert seeds_of("7001, 7002") == [7001, 7002]
    for wrong in ("7001,x", "", "1,1"):
        with pytest.raises(typer.BadParameter):
            seeds_of(wrong)


@pytest.mark.anyio
async def test_the_report_has_a_line_for_each_seed() -> None:
    rows = await asked(Fake())
    of_two = [replace(row, item=replace(row.item, of_seed=seed)) for seed in (7, 8) for row in rows]
    shown = markdown(Fake(), of_two, ["low", "high"])
    assert "| seed | n | low | high |" in shown
    assert "| 7 | 4 | 0.0 | 75.0 |" in shown
    assert "| seed |" not in markdown(Fake(), rows, ["low", "high"])


@pytest.mark.anyio
async def test_everything_is_asked_once_and_no_more_at_once_than_the_measure_says() -> None:
    measure = Fake()
    rows = await asked(measure)
    assert measure.asked == [(row.item.id, row.mode) for row in rows]
    assert len(set(measure.asked)) == 8
    assert measure.most == 2


@pytest.mark.anyio
async def test_a_failure_is_the_worst_score_and_is_told() -> None:
    rows = await asked(Fake())
    (row,) = [row for row in rows if row.outcome.failed]
    assert (row.item.id, row.mode, row.outcome.score) == ("2", "high", 0.0)
    assert row.outcome.detail == {"error": "Failure: 503: busy"}
    shown = markdown(Fake(), rows, ["low", "high"])
    assert "| high | 4 | 75.0 (" in shown
    assert "Failed requests, counted as the worst score: {'high': 1}" in shown


@pytest.mark.anyio
async def test_a_failure_is_all_wrong_where_errors_are_counted() -> None:
    rows = await asked(Fake(HIGHER_IS_BETTER=False))
    assert [row.outcome.score for row in rows if row.outcome.failed] == [1.0]


@pytest.mark.anyio
async def test_seconds_are_measured_unless_the_measure_tells_them() -> None:
    measure = Fake(AT_ONCE=1)
    rows = await asked(measure)
    assert {row.item.id: row.outcome.seconds for row in rows} == {"0": 1.0, "1": 5.0, "2": 1.0, "3": 1.0}


@pytest.mark.anyio
async def test_figures_and_rows_are_kept(tmp_path: Path) -> None:
    rows = await asked(Fake())
    keep_all(tmp_path / "new" / "fake.json", Fake(), rows, ["low", "high"], {"seed": 3})
    kept = json.loads((tmp_path / "new" / "fake.json").read_text())
    assert kept["seed"] == 3
    assert [one["score"]["mean"] for one in kept["figures"]] == [0.0, 0.75]
    assert kept["rows"][0]["item"] == {"id": "0", "kind": "k", "weight": 1.0, "of_seed": 0, "drawn_as": ""}


def test_an_outcome_is_read_from_usage_and_headers() -> None:
    usage = {"total_tokens": 70, "credits": 0.25, "quality": {"passes": 3, "notes": ["kept"]}}
    made = outcome(1.0, usage, {"x-quality-reason": "asked for"}, detail={"answer": "4"}, seconds=2.0)
    assert (made.score, made.tokens, made.credits, made.passes, made.seconds) == (1.0, 70, 0.25, 3, 2.0)
    assert made.detail == {"quality": usage["quality"], "reason": "asked for", "answer": "4"}


def test_what_is_no_answer_fails_with_its_text() -> None:
    with pytest.raises(Failure, match="402: no credits"):
        checked(httpx.Response(402, text="no credits"))
