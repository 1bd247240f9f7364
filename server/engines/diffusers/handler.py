"""Text to image, and pictures redrawn, by any diffusers pipeline: what runs in the worker process of an image model."""

import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import torch
from diffusers.utils import logging as diffusers_logging
from PIL import Image
from transformers.utils import logging as transformers_logging

from server.core import Event, Facts, ImageJob, Job, Picture, Usage
from server.engines.base import WAITING, Waiting
from server.engines.diffusers.canvas import Canvas, size_of
from server.engines.diffusers.denoising import Step, decoded
from server.engines.diffusers.form import Form
from server.engines.diffusers.load import DiffusersOptions, load
from server.engines.diffusers.order import SEEDS, Order
from server.engines.diffusers.schedulers import Schedulers
from server.errors import EngineFailed, InvalidRequest, ModelUnavailable, Overloaded, SageholdError
from server.media import image_sizes
from server.media.image_encode import encoded, from_pixels, is_picture, on_white, resized
from server.media.image_sizes import ImageSizes, Size

if TYPE_CHECKING:
    from server.engines.diffusers.scorer import ClipScorer

log = logging.getLogger(__name__)

_TICK = 0.2  # seconds: how often a job that has no picture yet can be cancelled


class _NobodyWaitsError(Exception):
    """Nobody waits for this picture any more."""


def create(options: Mapping[str, Any]) -> "DiffusersHandler":
    """Load a pipeline folder. Raises ModelUnavailable."""
    chosen = DiffusersOptions.of(options)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    # A worker writes to a log: progress bars are for terminals.
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    pipeline, device = load(chosen)
    scorer = None
    if chosen.scorer is not None:
        from server.engines.diffusers.scorer import ClipScorer

        scorer = ClipScorer.load(Path(chosen.scorer), device, pipeline.dtype)
    return DiffusersHandler(pipeline, chosen, scorer)


class DiffusersHandler:
    """One loaded pipeline. Jobs may come from several threads; they are drawn one batch after another.

    Picture i of a job is drawn from noise of its own, seeded with the job's seed + i, so it doesn't depend on
    which other pictures share its batch (but for the last bits of floating-point sums).
    """

    def __init__(self, pipeline: Any, options: DiffusersOptions, scorer: "ClipScorer | None" = None) -> None:
        self._drawing = Form(pipeline)
        self._options = options
        self._scorer = scorer
        if not {"prompt", "output_type"} <= self._drawing.takes:
            raise ModelUnavailable(f"A {type(pipeline).__name__} draws nothing from a text prompt.")
        own = (options.size[0], options.size[1])
        self._sizes = ImageSizes(
            own=own,
            declared=tuple(size for size in map(image_sizes.parse, options.sizes) if size is not None),
            resampled=options.resample != "none",
            factor=self._drawing.step(own),
            flexible={"width", "height"} <= self._drawing.takes,
            longest=self._drawing.longest,
        )
        self._schedulers = Schedulers(pipeline.scheduler)
        self._redrawing: Form | None = None
        self._making = threading.Lock()
        # A pipeline keeps the state of its one run in itself: a single thread is the lock and the queue at once.
        self._painter = ThreadPoolExecutor(1, thread_name_prefix="painter")

    def read(self, job: Job) -> "DiffusersReading":
        order = self._order(job)
        return DiffusersReading(self, order, Facts(prompt_tokens=self._prompt_tokens(order.job.prompt)))

    def form_for(self, job: ImageJob) -> Form:
        """The form of the pipeline that draws a job; the one that draws over pictures is made by the first such job.

        Raises InvalidRequest where the pipeline has no such form.
        """
        if not job.starts:
            return self._drawing
        with self._making:
            if self._redrawing is None:
                self._redrawing = self._drawing.redrawing()
        return self._redrawing

    def draw(self, order: Order) -> Iterator[Picture | Waiting | None]:
        """Previews and pictures, None after other steps. Closing the iterator stops the loop at the end of its step."""
        for first in range(0, order.job.n, self._options.max_batch):
            yield from self._batch(order, range(first, min(first + self._options.max_batch, order.job.n)))

    # ------------------------------------------------------------ before the work

    def _order(self, job: Job) -> Order:
        if not isinstance(job, ImageJob):
            raise InvalidRequest("This model makes images only.", param="model")
        form = self.form_for(job)
        seat = self._schedulers.seat(job.scheduler)
        guidance = self._options.guidance if job.guidance is None else job.guidance
        form.demand(job, guidance)
        steps = self._options.steps if job.steps is None else job.steps
        limit = seat.most_steps
        if "num_inference_steps" in form.takes and limit is not None and steps > limit:
            raise InvalidRequest(f"This model takes at most {limit} steps.", param="steps")
        target, drawn = self._chosen(job)
        order = Order(
            job=job,
            form=form,
            seat=seat,
            own=self._sizes.own,
            target=target,
            drawn=drawn,
            steps=steps,
            guidance=guidance,
            seed=secrets.randbits(32) if job.seed is None else job.seed % SEEDS,
            canvases=tuple(Canvas.of(data, job.mask, target=target, drawn=drawn) for data in job.starts),
        )
        if "num_inference_steps" in form.takes and limit is not None and order.scheduled > limit:
            raise InvalidRequest(f"Of the model's {limit} steps, this strength would leave none.", param="strength")
        order.demand()
        return order

    def _chosen(self, job: ImageJob) -> tuple[Size, Size]:
        """The size of the files, and the size at which they are drawn. Raises InvalidRequest."""
        if not job.starts:
            return self._sizes.choose(job.width, job.height)
        if job.width is not None or job.height is not None:
            target, drawn = self._sizes.choose(job.width, job.height)
        else:
            start = size_of(job.starts[0])
            target, drawn = self._sizes.near(start)
            # Of a picture that is redrawn in part, the rest can only stay as it is where its size stays too.
            target = start if job.mask is not None else target
        return target, self._sizes.enlarged(drawn, job.enlarge)

    def _prompt_tokens(self, prompt: str) -> int:
        """Tokens of the prompt that the model reads, marks included; 0 where the pipeline has no tokenizer."""
        tokenizer = getattr(self._drawing.pipeline, "tokenizer", None)
        return len(tokenizer(prompt, truncation=True).input_ids) if callable(tokenizer) else 0

    # ------------------------------------------------------------ the work

    def _batch(self, order: Order, indexes: range) -> Iterator[Picture | Waiting | None]:
        """Draw in the painter's thread: each picture as it comes, None after each step, until all are drawn."""
        pictures: SimpleQueue[Picture | None] = SimpleQueue()
        stop = threading.Event()
        painting = self._painter.submit(self._paint, order, indexes, pictures.put, stop)
        painting.add_done_callback(lambda _: pictures.put(None))
        try:
            while not (painting.done() and pictures.empty()):
                try:
                    yield pictures.get(timeout=_TICK)
                except Empty:
                    # While another job is drawn, this one is not the one that may hang.
                    yield WAITING if painting.running() else None
            painting.result()
        finally:
            stop.set()
            if not painting.cancel():
                wait([painting])

    def _paint(
        self, order: Order, indexes: range, tell: Callable[[Picture | None], None], stop: threading.Event
    ) -> None:
        """Draw, and say of what goes wrong whose fault it is. The next job finds the pipeline as it was."""
        try:
            self._draw(order, indexes, tell, stop)
            return
        except (_NobodyWaitsError, SageholdError):
            raise
        except torch.OutOfMemoryError as error:
            log.error("no memory left on the GPU for %d × %s: %s", len(indexes), order, error)
        except torch.AcceleratorError:
            # After a fault of the device every later call in this process fails too: the next worker's won't.
            log.exception("the GPU reports a fault; ending this worker")
            os._exit(1)
        except ValueError as error:
            if order.seat.taken:
                raise _broke(error) from error
            # What a class looks at no sooner than in its call; check_inputs has agreed, or the class has none.
            log.warning("the pipeline refuses %s", order, exc_info=True)
            raise order.refused(str(self._sizes)) from error
        except Exception as error:
            raise _broke(error) from error
        # Here the exception is gone, and with its traceback what held the tensors of the drawing.
        order.form.pipeline.maybe_free_model_hooks()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise Overloaded(
            "The GPU has too little memory left for this request. A smaller size, or fewer images at once, need less."
        )

    def _draw(
        self, order: Order, indexes: range, tell: Callable[[Picture | None], None], stop: threading.Event
    ) -> None:
        pipeline, wanted = order.form.pipeline, order.job.partial_images
        stage = sent = 0

        def listen(step: Step) -> None:
            nonlocal stage, sent
            if stop.is_set():
                raise _NobodyWaitsError
            reached = step.done * (wanted + 1) // order.share(step.total)
            if stage < reached <= wanted:
                stage = reached
                pixels = decoded(pipeline, step.latents, *order.drawn)
                # A preview that can't be shown is left out; the finished picture decides whether anything is wrong.
                if pixels is not None and is_picture(pixels):
                    for index, image in zip(indexes, pixels, strict=True):
                        tell(self._picture(order, index, from_pixels(image), partial=sent))
                    sent += 1
            tell(None)

        # On the processor whatever the device is: the same seed then gives the same noise everywhere.
        generators = [torch.Generator("cpu").manual_seed(order.seed_of(index)) for index in indexes]
        pipeline.scheduler = order.seat.scheduler
        with order.seat.heard_by(listen, order.keeping(indexes)):
            result = pipeline(**order.arguments(indexes, generators))
        if any(getattr(result, "nsfw_content_detected", None) or ()):
            raise InvalidRequest(
                "The model's safety checker refused the picture.", param="prompt", code="moderation_blocked"
            )
        for index, pixels in zip(indexes, result.images, strict=True):
            if not is_picture(pixels):
                log.error("picture %d is not made of finite numbers (seed %d)", index, order.seed_of(index))
                raise EngineFailed("The model's arithmetic broke down on this picture, so there is none to show.")
        images = [from_pixels(pixels) for pixels in result.images]
        for index, image, score in zip(indexes, images, self._scores(order.job, images), strict=True):
            tell(self._picture(order, index, image, score=score))

    def _scores(self, job: ImageJob, images: Sequence[Image.Image]) -> Sequence[float | None]:
        if not job.score or self._scorer is None:
            return [None] * len(images)
        scores: Sequence[float] = self._scorer.scores(job.prompt, images)
        return scores

    def _picture(
        self, order: Order, index: int, image: Image.Image, partial: int | None = None, score: float | None = None
    ) -> Picture:
        # What was drawn larger than it is sent is made smaller, for which the config has no word.
        resample = "lanczos" if self._options.resample == "none" or order.canvases else self._options.resample
        if order.canvases:
            image = order.canvas(index).finished(image)
        image = resized(image, order.target, resample)
        if order.job.opaque:
            image = on_white(image)
        data = encoded(image, order.job.format, order.job.compression)
        return Picture(index, data, image.width, image.height, partial, order.seed_of(index), score)


class DiffusersReading:
    """An ImageJob that has been read."""

    def __init__(self, handler: DiffusersHandler, order: Order, facts: Facts) -> None:
        self._handler = handler
        self._order = order
        self.facts = facts

    def close(self) -> None:
        pass

    def run(self, limit: int | None) -> Iterator[Event | Waiting | None]:  # noqa: ARG002 - pictures have no limit here
        """Previews and pictures, then Usage."""
        order = self._order
        yield from self._handler.draw(order)
        details = {"steps": order.steps, "seed": order.seed, "size": image_sizes.name(order.target)}
        yield Usage(prompt_tokens=self.facts.prompt_tokens, images=order.job.n, details=details)


def _broke(error: Exception) -> EngineFailed:
    log.error("the pipeline broke on a request", exc_info=error)
    return EngineFailed("The model's pipeline broke on this request; the server's log has the details.")
