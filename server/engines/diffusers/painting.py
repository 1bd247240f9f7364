"""One run of a pipeline for the pictures of a batch: previews, pictures, and whose fault it is when it breaks."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from server.engines.diffusers.attendance import Attendance
from server.engines.diffusers.batcher import Batch, BeginAgain, Member, NobodyWaits, NoRoom, Row
from server.engines.diffusers.denoising import Step, decoded
from server.engines.diffusers.order import Order, arguments, keeping
from server.errors import EngineFailed, InvalidRequest, Overloaded, SageholdError
from server.media.image_encode import from_pixels, is_picture
from server.media.image_sizes import ImageSizes

if TYPE_CHECKING:
    from server.engines.diffusers.scorer import ClipScorer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Picture `index` of a job as it was drawn. partial: number of a preview, None for the picture itself. score: of
    the scorer, where one was asked for.

    It may wait for its reader. In bytes it takes a quarter of the pipeline's own pixels, and holds none of the others
    of its batch.
    """

    index: int
    image: Image.Image
    partial: int | None = None
    score: float | None = None


class Painting:
    """What a pipeline draws in one run. compiled: whether its denoiser is."""

    def __init__(self, sizes: ImageSizes, scorer: "ClipScorer | None", *, compiled: bool) -> None:
        self._sizes = sizes
        self._scorer = scorer
        self._compiled = compiled

    def __call__(self, batch: Batch) -> None:
        """Draw a batch of Orders, and leave the pipeline as it was.

        Raises NobodyWaits, BeginAgain, NoRoom, SageholdError.
        """
        first: Order = batch.rows[0].member.asked
        try:
            self._draw(batch, first)
            return
        except torch.OutOfMemoryError as error:
            log.error("no memory left on the GPU for %d × %s: %s", len(batch.rows), first, error)
        except torch.AcceleratorError:
            # After a fault of the device every later call in this process fails too: the next worker's won't.
            log.exception("the GPU reports a fault; ending this worker")
            os._exit(1)
        except Exception as error:
            # A call does this at its end, which this one has not come to: an offloaded denoiser would stay on the GPU
            # beside the text encoders of the next run.
            first.form.pipeline.maybe_free_model_hooks()
            if isinstance(error, NobodyWaits | BeginAgain | SageholdError):
                raise
            if not isinstance(error, ValueError) or first.seat.taken:
                raise _broke(error) from error
            # What a class looks at no sooner than in its call; check_inputs has agreed, or the class has none.
            log.warning("the pipeline refuses %s", first, exc_info=True)
            raise first.refused(str(self._sizes)) from error
        # Here the exception is gone, and with its traceback what held the tensors of the drawing.
        first.form.pipeline.maybe_free_model_hooks()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise NoRoom(
            Overloaded(
                "The GPU has too little memory left for this request. A smaller size, or fewer images at once, need "
                "less."
            )
        )

    def _draw(self, batch: Batch, first: Order) -> None:
        pipeline = first.form.pipeline
        # A compiled denoiser would be compiled again for each number of rows.
        denoiser = None if self._compiled else getattr(pipeline, "transformer", None) or getattr(pipeline, "unet", None)
        pictures = [(row.member.asked, row.index) for row in batch.rows]
        with Attendance(denoiser, len(pictures)) as attendance:

            def listen(step: Step) -> None:
                there = batch.attend()
                batch.let_join(step.done, first.share(step.total))
                attendance.keep(there)
                _preview(pipeline, first, [batch.rows[place] for place in there], there, step)
                for member in batch.members:
                    member.tell(None)

            # On the processor whatever the device is: the same seed then gives the same noise everywhere.
            generators = [torch.Generator("cpu").manual_seed(order.seed_of(index)) for order, index in pictures]
            pipeline.scheduler = first.seat.scheduler
            with first.seat.heard_by(listen, keeping(pictures)):
                result = pipeline(**arguments(pictures, generators))
        self._hand_out(batch, result)

    def _hand_out(self, batch: Batch, result: Any) -> None:
        """To each member its pictures, or why it has none."""
        flags = getattr(result, "nsfw_content_detected", None) or [False] * len(batch.rows)
        drawn = list(zip(batch.rows, result.images, flags, strict=True))
        finished: list[tuple[Member, list[Drawn]]] = []
        for member in batch.members:
            own = [(row, pixels, flag) for row, pixels, flag in drawn if row.member is member]
            if any(flag for _, _, flag in own):
                blocked = "The model's safety checker refused the picture."
                member.fail(InvalidRequest(blocked, param="prompt", code="moderation_blocked"))
            elif broken := [row.index for row, pixels, _ in own if not is_picture(pixels)]:
                log.error(
                    "picture %d is not made of finite numbers (seed %d)", broken[0], member.asked.seed_of(broken[0])
                )
                member.fail(
                    EngineFailed("The model's arithmetic broke down on this picture, so there is none to show.")
                )
            elif not member.gone:
                images = [(row.index, from_pixels(pixels)) for row, pixels, _ in own]
                finished.append((member, self._scored(member.asked, images)))
        # Nothing is given before all are judged: a run that fails is done again.
        for member, pictures in finished:
            for picture in pictures:
                member.give(picture)

    def _scored(self, order: Order, pictures: Sequence[tuple[int, Image.Image]]) -> list[Drawn]:
        scores: Sequence[float | None] = [None] * len(pictures)
        if order.job.score and self._scorer is not None:
            scores = self._scorer.scores(order.job.prompt, [image for _, image in pictures])
        return [Drawn(index, image, score=score) for (index, image), score in zip(pictures, scores, strict=True)]


def _preview(pipeline: Any, first: Order, rows: Sequence[Row], places: Sequence[int], step: Step) -> None:
    """Tell those of the rows, which are at these places of the batch, for whom a preview is due."""
    due: list[tuple[Row, int]] = []
    for row, place in zip(rows, places, strict=True):
        wanted = row.member.asked.job.partial_images
        reached = step.done * (wanted + 1) // first.share(step.total)
        if row.stage < reached <= wanted:
            row.stage = reached
            due.append((row, place))
    if not due:
        return
    whole = len(due) == len(step.latents)
    pixels = decoded(pipeline, step.latents if whole else step.latents[[place for _, place in due]], *first.drawn)
    if pixels is None:
        return
    for (row, _), image in zip(due, pixels, strict=True):
        # A preview that can't be shown is left out; the finished picture decides whether anything is wrong.
        if is_picture(image):
            row.member.tell(Drawn(row.index, from_pixels(image), partial=row.sent))
            row.sent += 1


def _broke(error: Exception) -> EngineFailed:
    log.error("the pipeline broke on a request", exc_info=error)
    return EngineFailed("The model's pipeline broke on this request; the server's log has the details.")
