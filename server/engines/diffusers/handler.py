"""Text to image, and pictures redrawn, by any diffusers pipeline: what runs in the worker process of an image model."""

import copy
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from server.core import Event, Facts, ImageJob, Job, Picture, Usage
from server.engines import openmp
from server.engines.base import Waiting
from server.engines.diffusers.batcher import Batcher, Member
from server.engines.diffusers.canvas import Canvas, size_of
from server.engines.diffusers.form import Form
from server.engines.diffusers.load import DiffusersOptions, device_for, load
from server.engines.diffusers.order import SEEDS, Order
from server.engines.diffusers.painting import Drawn, Painting
from server.engines.diffusers.schedulers import Schedulers
from server.errors import InvalidRequest, ModelUnavailable
from server.media import image_sizes
from server.media.image_encode import encoded, on_white, resized
from server.media.image_sizes import ImageSizes, Size

if TYPE_CHECKING:
    from server.engines.diffusers.scorer import ClipScorer


def create(options: Mapping[str, Any]) -> "DiffusersHandler":
    """Load a pipeline folder. Raises ModelUnavailable."""
    chosen = DiffusersOptions.of(options)
    if device_for(chosen.device).type == "cpu":
        openmp.give_way()
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
    """One loaded pipeline. Jobs may come from several threads; those that fit together share a batch.

    Picture i of a job is drawn from noise of its own, seeded with the job's seed + i, so it doesn't depend on
    which other pictures share its batch (but for the last bits of floating-point sums).
    """

    def __init__(self, pipeline: Any, options: DiffusersOptions, scorer: "ClipScorer | None" = None) -> None:
        self._drawing = Form(pipeline)
        self._options = options
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
        self._reading = threading.Lock()
        # A tokenizer keeps in itself how it pads and cuts, and the pipeline's own may be at work.
        self._tokenizer = copy.deepcopy(getattr(pipeline, "tokenizer", None))
        painting = Painting(self._sizes, scorer, compiled=options.compile)
        self._batcher = Batcher(painting, options.max_batch, options.max_batch * own[0] * own[1])

    def read(self, job: Job) -> "DiffusersReading":
        order = self._order(job)
        return DiffusersReading(self, order, Facts(prompt_tokens=self._prompt_tokens(order.job.prompt)))

    def form_for(self, job: ImageJob) -> Form:
        """The form of the pipeline that draws a job; the one that draws over pictures is made by the first such job.

        Raises InvalidRequest where the pipeline has no such form.
        """
        if not job.starts:
            return self._drawing
        with self._reading:
            if self._redrawing is None:
                self._redrawing = self._drawing.redrawing()
        return self._redrawing

    def announce(self, order: Order) -> Member:
        """What draws an order, together with others; see Batcher.announce."""
        return self._batcher.announce(order)

    def withdraw(self, member: Member) -> None:
        self._batcher.withdraw(member)

    def draw(self, member: Member) -> Iterator[Picture | Waiting | None]:
        """Previews and pictures, None after other steps. Closing the iterator ends it at the end of its step."""
        # Not generators in each other: the close of this one has to close the other one now.
        with closing(self._batcher.work(member)) as events:
            for event in events:
                yield self._picture(member.asked, event) if isinstance(event, Drawn) else event

    # ------------------------------------------------------------ before the work

    def _order(self, job: Job) -> Order:
        if not isinstance(job, ImageJob):
            raise InvalidRequest("This model makes images only.", param="model")
        form = self.form_for(job)
        with self._reading:
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
        if not callable(self._tokenizer):
            return 0
        with self._reading:
            return len(self._tokenizer(prompt, truncation=True).input_ids)

    # ------------------------------------------------------------ the work

    def _picture(self, order: Order, drawn: Drawn) -> Picture:
        # What was drawn larger than it is sent is made smaller, for which the config has no word.
        resample = "lanczos" if self._options.resample == "none" or order.canvases else self._options.resample
        image = order.canvas(drawn.index).finished(drawn.image) if order.canvases else drawn.image
        image = resized(image, order.target, resample)
        if order.job.opaque:
            image = on_white(image)
        data = encoded(image, order.job.format, order.job.compression)
        seed = order.seed_of(drawn.index)
        return Picture(drawn.index, data, image.width, image.height, drawn.partial, seed, drawn.score)


class DiffusersReading:
    """An ImageJob that has been read."""

    def __init__(self, handler: DiffusersHandler, order: Order, facts: Facts) -> None:
        self._handler = handler
        self._order = order
        self._member = handler.announce(order)
        self.facts = facts

    def close(self) -> None:
        self._handler.withdraw(self._member)

    def run(self, limit: int | None) -> Iterator[Event | Waiting | None]:  # noqa: ARG002 - pictures have no limit here
        """Previews and pictures, then Usage."""
        order = self._order
        yield from self._handler.draw(self._member)
        details = {"steps": order.steps, "seed": order.seed, "size": image_sizes.name(order.target)}
        yield Usage(prompt_tokens=self.facts.prompt_tokens, images=order.job.n, details=details)
