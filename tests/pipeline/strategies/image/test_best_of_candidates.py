"""Ultra on images: candidates are drawn, the best is chosen and drawn over; what is late or fails is left out."""

from collections.abc import Callable
from contextlib import aclosing, asynccontextmanager
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from server.core import Event, Facts, ImageJob, Picture, Quality, Task, Usage
from server.engines.fake.engine import FakeEngine, FakeReading
from server.errors import EngineFailed, InvalidRequest, ModelNotFound
from server.models.config.spec import DiffusersModel, ModelSpec, Price
from server.pipeline.modes import plan_for
from tests.pipeline.working import Working, asking
from tests.reading import ran

pytestmark = pytest.mark.anyio


class Refusing(FakeEngine):
    """Draws, but never over."""

    async def read(self, job: Any) -> FakeReading:
        if job.starts:
            raise InvalidRequest("This model can't draw a picture over.", param="quality")
        return await super().read(job)


class Case(Working):
    """A plan at work on a fake image model, which draws a flat colour for each seed."""

    def __init__(
        self,
        *,
        candidates: int = 4,
        refine: float = 0.0,
        scores: tuple[float, ...] = (),
        engine: Callable[..., FakeEngine] = FakeEngine,
        budget: float | None = None,
        **fields: Any,
    ) -> None:
        ultra = {"candidates": candidates, "refine": refine, "enlarge": 2.0, "steps": 10}
        self.spec = DiffusersModel.model_validate(
            {"name": "brush", "engine": "diffusers", "path": "x", "size": [64, 64], "quality": {"ultra": ultra}}
        )
        job = ImageJob(prompt="a red heart", **fields)
        ask = asking("brush", quality=Quality.ULTRA, budget=budget)
        self.engine = engine(Task.IMAGE, {"scores": scores})
        self.now = 0.0
        super().__init__(plan_for(ask, job, self), self.engine, self.lease, lambda: self.now)

    def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
        if (name, task) != ("brush", Task.IMAGE):
            raise ModelNotFound.named(name)
        return self.spec, Price()

    @asynccontextmanager
    async def lease(self, spec: ModelSpec) -> Any:
        raise AssertionError(f"nobody needs {spec.name}")
        yield

    @property
    def jobs(self) -> list[ImageJob]:
        return [job for job in self.engine.jobs if isinstance(job, ImageJob)]

    async def run(self) -> list[Facts | Event]:
        await self.engine.start()
        return [event async for event in self.events()]

    async def pictures(self) -> list[Picture]:
        return [event for event in await self.run() if isinstance(event, Picture)]


def colour(picture: Picture) -> tuple[int, int, int]:
    pixel = Image.open(BytesIO(picture.data)).convert("RGB").getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return (int(pixel[0]), int(pixel[1]), int(pixel[2]))


def of_seed(seed: int, blue: int = 128) -> tuple[int, int, int]:
    """The colour that the fake draws for a seed."""
    return seed * 67 % 256, seed * 131 % 256, blue


async def test_candidates_are_one_job_and_the_answer_is_one_picture() -> None:
    case = Case(seed=8, format="png")
    accepted, picture, usage = await case.run()
    assert isinstance(accepted, Facts)
    assert isinstance(usage, Usage)
    assert isinstance(picture, Picture)
    (job,) = case.jobs
    assert (job.n, job.seed, job.steps, job.score, job.format, job.starts) == (4, 8, 10, True, "png", ())
    assert (usage.images, usage.prompt_tokens) == (4, 3)
    assert (picture.index, picture.partial, picture.width) == (0, None, 64)


async def test_without_a_scorer_the_one_nearest_to_the_others_is_sent_with_its_seed() -> None:
    # Seeds 8 to 11 are (24, 24), (91, 155), (158, 30), (225, 161): the middle one of red and green is 9's or 10's.
    case = Case(seed=8)
    (picture,) = await case.pictures()
    shades = [of_seed(seed) for seed in range(8, 12)]
    sums = [sum(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) for other in shades) for one in shades]
    assert picture.seed == 8 + sums.index(min(sums)) == 9
    assert colour(picture) == of_seed(9)
    assert case.work.notes == ["the candidate nearest to the others"]


async def test_the_scorer_decides_where_there_is_one() -> None:
    case = Case(seed=8, scores=(0.1, 0.2, 0.15, 0.3, 0.9, 0.2, 0.1, 0.3), n=2)
    first, second = await case.pictures()
    assert (first.index, first.seed, colour(first)) == (0, 11, of_seed(11))
    assert (second.index, second.seed, colour(second)) == (1, 12, of_seed(12))
    assert case.work.notes == ["the candidate that the scorer prefers"]


async def test_scores_below_zero_are_scores() -> None:
    case = Case(seed=8, scores=(-0.3, -0.1, -0.2, -0.4))
    (picture,) = await case.pictures()
    assert picture.seed == 9


async def test_the_best_of_each_is_drawn_over() -> None:
    case = Case(seed=8, n=2, refine=0.3, scores=(0.1, 0.2, 0.15, 0.3), format="webp", compression=90, partial_images=2)
    *events, usage = await case.run()
    first, second = (event for event in events if isinstance(event, Picture))
    drawing, redrawing = case.jobs
    assert (drawing.n, drawing.partial_images, drawing.format) == (8, 0, "png")
    assert (redrawing.n, redrawing.seed, redrawing.strength, redrawing.enlarge) == (2, 8, 0.3, 2.0)
    assert (redrawing.partial_images, redrawing.format, redrawing.compression) == (0, "webp", 90)
    assert [Image.open(BytesIO(start)).getpixel((0, 0)) for start in redrawing.starts] == [of_seed(11), of_seed(15)]
    for picture, index, seed in ((first, 0, 11), (second, 1, 15)):
        assert (picture.index, picture.seed) == (index, seed)
        assert Image.open(BytesIO(picture.data)).format == "WEBP"
        assert colour(picture) == pytest.approx(of_seed(seed, blue=255), abs=4)
    assert isinstance(usage, Usage)
    assert usage.images == 10
    assert [(used.name, used.usage.images) for used in case.work.used] == [("candidates", 8), ("refine", 2)]
    assert case.work.notes[-1] == "drawn over"


async def test_both_passes_get_a_seed_where_the_client_gave_none() -> None:
    case = Case(refine=0.3)
    (picture,) = await case.pictures()
    drawing, redrawing = case.jobs
    assert drawing.seed is not None
    assert redrawing.seed == drawing.seed
    assert picture.seed in range(drawing.seed, drawing.seed + 4)
    other = Case(refine=0.3)
    await other.run()
    assert other.jobs[0].seed != drawing.seed


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
async def test_a_chosen_candidate_is_sent_in_the_format_that_was_asked_for(kind: Any) -> None:
    case = Case(seed=8, format=kind, compression=95)
    (picture,) = await case.pictures()
    assert Image.open(BytesIO(picture.data)).format == kind.upper()
    assert colour(picture) == pytest.approx(of_seed(9), abs=4)
    assert case.jobs[0].format == "png"


async def test_png_is_sent_as_the_engine_made_it() -> None:
    case = Case(seed=8)
    (picture,) = await case.pictures()
    same = [event async for event in ran(case.engine, ImageJob(prompt="x", seed=9)) if isinstance(event, Picture)]
    assert picture.data == same[0].data


async def test_an_edit_is_the_best_of_several_and_drawn_over_behind_its_mask() -> None:
    def encoded(image: Image.Image) -> bytes:
        buffer = BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()

    start, mask = Image.new("RGB", (64, 64), (40, 50, 60)), Image.new("L", (64, 64), 0)
    mask.paste(255, (32, 0, 64, 64))
    begun = {"starts": (encoded(start),), "start_size": (64, 64), "mask": encoded(mask), "strength": 1.0}
    case = Case(seed=8, n=2, refine=0.3, scores=(0.1, 0.2, 0.15, 0.3), **begun)
    first, second = await case.pictures()
    drawing, redrawing = case.jobs
    assert (drawing.n, drawing.starts, drawing.strength) == (8, begun["starts"], 1.0)
    assert (redrawing.n, len(redrawing.starts), redrawing.strength) == (2, 2, 0.3)
    assert drawing.mask == redrawing.mask == begun["mask"]
    for picture in (first, second):
        opened = Image.open(BytesIO(picture.data))
        assert (opened.getpixel((0, 0)), opened.getpixel((63, 0))) == ((40, 50, 60), (40, 50, 255))


# ---------------------------------------------------------------- time and failures


async def test_once_it_is_late_one_candidate_for_each_is_enough() -> None:
    case = Case(seed=8, n=2, refine=0.3, budget=10.0)
    await case.engine.start()
    case.engine.gate.close()
    case.engine.gate.let(4)  # Facts, and three candidates of the first picture
    events = case.events()
    assert isinstance(await anext(events), Facts)
    case.now = 11.0
    case.engine.gate.let(2)  # its last, and the first of the second
    first, second, usage = [event async for event in events]
    assert isinstance(first, Picture)
    assert isinstance(second, Picture)
    assert isinstance(usage, Usage)
    assert (first.seed, second.seed, usage.images) == (9, 12, 5)
    assert case.engine.cut_short == 1
    assert [used.name for used in case.work.used] == ["candidates"]
    assert case.work.notes[0] == "the time budget was used up"


async def test_candidates_that_nobody_waits_for_are_not_drawn_while_the_answer_is_sent() -> None:
    case = Case(seed=8, budget=10.0)
    await case.engine.start()
    async with aclosing(case.events()) as events:
        await anext(events)
        case.now = 10.0
        assert isinstance(await anext(events), Picture)
        assert (case.engine.cut_short, case.engine.running) == (1, 0)


async def test_candidates_that_took_the_whole_budget_are_not_drawn_over() -> None:
    case = Case(seed=8, refine=0.3, budget=10.0, format="jpeg")
    await case.engine.start()
    events = case.events()
    await anext(events)
    case.now = 10.0
    picture, usage = [event async for event in events]
    assert isinstance(picture, Picture)
    assert Image.open(BytesIO(picture.data)).format == "JPEG"
    assert isinstance(usage, Usage)
    assert case.engine.cut_short == 1  # after the first candidate


async def test_a_model_that_cannot_draw_over_sends_the_candidate() -> None:
    case = Case(seed=8, refine=0.3, engine=Refusing)
    (picture,) = await case.pictures()
    assert colour(picture) == of_seed(9)
    assert case.work.notes == ["the candidate nearest to the others", "a pass was given up (invalid_value)"]


async def test_candidates_that_fail_are_an_error() -> None:
    case = Case(seed=8)
    await case.engine.start()
    events = case.events()
    await anext(events)
    case.engine.die()
    with pytest.raises(EngineFailed):
        await anext(events)
