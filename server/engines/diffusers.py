"""Text to image by any diffusers pipeline: what runs inside the worker process of an image model."""

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from PIL import Image
from transformers.utils import logging as transformers_logging

from server.core import Accepted, Event, ImageJob, Job, Picture, Usage
from server.engines import image_sizes
from server.engines.denoising import Step, decoded
from server.engines.image_encode import encoded, from_pixels, is_picture, resized
from server.engines.image_order import SEEDS, Order
from server.engines.image_sizes import ImageSizes, Size
from server.engines.pipeline_form import Form
from server.engines.schedulers import Schedulers
from server.errors import EngineFailed, InvalidRequest, ModelUnavailable

if TYPE_CHECKING:
    from server.engines.image_scorer import ClipScorer

log = logging.getLogger(__name__)

_TICK = 0.2  # seconds: how often a job that has nothing to tell can be cancelled


@dataclass(frozen=True, slots=True)
class DiffusersOptions:
    """The fields of `DiffusersModel` in server/models/spec.py that the engine needs, described there."""

    path: str
    size: tuple[int, int]
    sizes: tuple[str, ...] = ()
    resample: str = "none"
    steps: int = 30
    guidance: float = 7.5
    dtype: str = "auto"
    device: str = "auto"
    offload: str = "none"
    tiling: bool = False
    compile: bool = False
    variant: str | None = None
    max_batch: int = 4
    scorer: str | None = None
    threads: int = 0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "DiffusersOptions":
        """From a mapping that may hold more than these."""
        return cls(**{field.name: options[field.name] for field in fields(cls) if field.name in options})


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
    pipeline = _load(chosen)
    scorer = None
    if chosen.scorer is not None:
        from server.engines.image_scorer import ClipScorer

        scorer = ClipScorer.load(Path(chosen.scorer), pipeline.device, pipeline.dtype)
    return DiffusersHandler(pipeline, chosen, scorer)


def _load(options: DiffusersOptions) -> Any:
    folder = Path(options.path)
    if not (folder / "model_index.json").is_file():
        raise ModelUnavailable("The image model's folder holds no model_index.json.")
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    name = options.dtype
    if name == "auto":
        name = "bfloat16" if device == "cuda" else "float32"
    try:
        pipeline = DiffusionPipeline.from_pretrained(
            folder,
            dtype=getattr(torch, name),
            variant=options.variant,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError) as error:
        log.error("the pipeline in %s could not be loaded: %s", folder, error)
        raise ModelUnavailable(
            "The image model's folder is incomplete, wants code of its own, or its weights are not safetensors."
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


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
        processor = getattr(pipeline, "image_processor", None)
        self._sizes = ImageSizes(
            own=(options.size[0], options.size[1]),
            declared=tuple(size for size in map(image_sizes.parse, options.sizes) if size is not None),
            resampled=options.resample != "none",
            factor=1 if processor is None else int(processor.config.vae_scale_factor),
            flexible={"width", "height"} <= self._drawing.takes,
        )
        self._schedulers = Schedulers(pipeline.scheduler)
        self._redrawing: Form | None = None
        self._making = threading.Lock()
        # A pipeline keeps the state of its one run in itself: a single thread is the lock and the queue at once.
        self._painter = ThreadPoolExecutor(1, thread_name_prefix="painter")

    def handle(self, job: Job) -> Iterator[Event | None]:
        """Previews and pictures of an ImageJob. Closing the iterator stops the loop at the end of its step."""
        order = self._order(job)
        tokens = self._prompt_tokens(order.job.prompt)
        yield Accepted(prompt_tokens=tokens)
        for first in range(0, order.job.n, self._options.max_batch):
            yield from self._batch(order, range(first, min(first + self._options.max_batch, order.job.n)))
        details = {"steps": order.steps, "seed": order.seed, "size": image_sizes.name(order.target)}
        yield Usage(prompt_tokens=tokens, images=order.job.n, details=details)

    # ------------------------------------------------------------ before the work

    def _order(self, job: Job) -> Order:
        if not isinstance(job, ImageJob):
            raise InvalidRequest("This model makes images only.", param="model")
        form = self._form_for(job)
        seat = self._schedulers.seat(job.scheduler)
        steps = self._options.steps if job.steps is None else job.steps
        limit = seat.most_steps
        if "num_inference_steps" in form.takes and limit is not None and steps > limit:
            raise InvalidRequest(f"This model takes at most {limit} steps.", param="steps")
        if job.guidance is not None and form.guidance_parameter is None:
            raise InvalidRequest("This model takes no guidance scale.", param="guidance")
        if job.negative_prompt is not None and "negative_prompt" not in form.takes:
            raise InvalidRequest("This model takes no negative prompt.", param="negative_prompt")
        target, drawn = self._sizes.choose(job.width, job.height)
        if job.starts:
            drawn = self._sizes.enlarged(drawn, job.enlarge)
        return Order(
            job=job,
            form=form,
            seat=seat,
            target=target,
            drawn=drawn,
            steps=steps,
            guidance=self._options.guidance if job.guidance is None else job.guidance,
            seed=secrets.randbits(32) if job.seed is None else job.seed % SEEDS,
            starts=tuple(_start(data, drawn) for data in job.starts),
        )

    def _form_for(self, job: ImageJob) -> Form:
        if not job.starts:
            return self._drawing
        with self._making:
            if self._redrawing is None:
                self._redrawing = self._drawing.redrawing()
        return self._redrawing

    def _prompt_tokens(self, prompt: str) -> int:
        """Tokens of the prompt that the model reads, marks included; 0 where the pipeline has no tokenizer."""
        tokenizer = getattr(self._drawing.pipeline, "tokenizer", None)
        return len(tokenizer(prompt, truncation=True).input_ids) if callable(tokenizer) else 0

    # ------------------------------------------------------------ the work

    def _batch(self, order: Order, indexes: range) -> Iterator[Picture | None]:
        """Draw in the painter's thread; tell what it tells, and None between, until it is done."""
        told: SimpleQueue[Picture | None] = SimpleQueue()
        stop = threading.Event()
        painting = self._painter.submit(self._paint, order, indexes, told.put, stop)
        painting.add_done_callback(lambda _: told.put(None))
        try:
            while not (painting.done() and told.empty()):
                try:
                    yield told.get(timeout=_TICK)
                except Empty:
                    yield None
            painting.result()
        finally:
            stop.set()
            if not painting.cancel():
                wait([painting])

    def _paint(
        self, order: Order, indexes: range, tell: Callable[[Picture | None], None], stop: threading.Event
    ) -> None:
        pipeline, wanted = order.form.pipeline, order.previews
        stage = sent = 0

        def listen(step: Step) -> None:
            nonlocal stage, sent
            if stop.is_set():
                raise _NobodyWaitsError
            reached = step.done * (wanted + 1) // step.total
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
        with order.seat.heard_by(listen):
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
        resample = "lanczos" if self._options.resample == "none" or order.starts else self._options.resample
        image = resized(image, order.target, resample)
        data = encoded(image, order.job.format, order.job.compression)
        return Picture(index, data, image.width, image.height, partial, order.seed_of(index), score)


def _start(data: bytes, size: Size) -> Image.Image:
    """An encoded picture at the size that it is to be redrawn at. Raises InvalidRequest for one with transparency."""
    with Image.open(BytesIO(data)) as image:
        # Four channels would be taken for latents.
        if image.mode != "RGB":
            raise InvalidRequest("This model can't draw a picture over that is not plain RGB.", param="quality")
        image.load()
        return resized(image, size, "lanczos")
