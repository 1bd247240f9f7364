"""The other side of `scripts/bench media`: each library called in a process without a server.

    python -m scripts.benchmarks.media_direct pictures|transcription|speech '{"SETTING": …}'

Each line that it reads is a JSON object of one work, which it does; it answers with one line: `seconds`, from the
work's begin to its end, `first`, to the first piece of its first answer, and `texts`, what was heard.
"""

import io
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

Done = Mapping[str, Any]
Asks = Sequence[Mapping[str, Any]]


def pictures(settings: Mapping[str, Any]) -> Callable[[str, Asks], Done]:
    """settings: path, steps, guidance, width, height, scheduler or None, dtype, device.

    Every picture of every ask is drawn in one batch.
    """
    import diffusers
    import torch
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    diffusers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    pipeline = diffusers.DiffusionPipeline.from_pretrained(
        settings["path"], dtype=getattr(torch, settings["dtype"]), local_files_only=True, use_safetensors=True
    ).to(settings["device"])
    pipeline.set_progress_bar_config(disable=True)
    if settings["scheduler"]:
        pipeline.scheduler = getattr(diffusers, settings["scheduler"]).from_config(pipeline.scheduler.config)

    def draw(_way: str, asks: Asks) -> Done:
        prompts = [ask["prompt"] for ask in asks for _ in range(ask["count"])]
        begun = time.perf_counter()
        images = pipeline(
            prompts,
            num_inference_steps=settings["steps"],
            guidance_scale=settings["guidance"],
            width=settings["width"],
            height=settings["height"],
            generator=[torch.Generator("cpu").manual_seed(number) for number in range(len(prompts))],
        ).images
        for image in images:
            image.save(io.BytesIO(), "PNG")
        return {"seconds": time.perf_counter() - begun}

    return draw


def transcription(settings: Mapping[str, Any]) -> Callable[[str, Asks], Done]:
    """settings: path, device, compute_type, threads, batch. Recordings are heard one after the other, from their
    files; an ask's `options` are those of `WhisperModel.transcribe`."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    model = WhisperModel(
        settings["path"],
        device=settings["device"],
        compute_type=settings["compute_type"],
        cpu_threads=settings["threads"],
        local_files_only=True,
    )
    ways: dict[str, Callable[..., Any]] = {
        "direct": model.transcribe,
        "batched": partial(BatchedInferencePipeline(model).transcribe, batch_size=settings["batch"]),
    }

    def hear(way: str, asks: Asks) -> Done:
        begun = time.perf_counter()
        first, texts = None, []
        for ask in asks:
            segments, _ = ways[way](ask["file"], **ask["options"])
            parts = []
            for segment in segments:
                first = first or time.perf_counter() - begun
                parts.append(segment.text)
            texts.append("".join(parts))
        return {"seconds": time.perf_counter() - begun, "first": first, "texts": texts}

    return hear


def speech(settings: Mapping[str, Any]) -> Callable[[str, Asks], Done]:
    """settings: path. Texts are spoken one after the other, by the library's own settings."""
    from piper.voice import PiperVoice

    voice = PiperVoice.load(Path(settings["path"]))

    def say(_way: str, asks: Asks) -> Done:
        begun = time.perf_counter()
        first = None
        for ask in asks:
            for chunk in voice.synthesize(ask["text"]):
                assert chunk.audio_int16_bytes
                first = first or time.perf_counter() - begun
        return {"seconds": time.perf_counter() - begun, "first": first}

    return say


LIBRARIES: Mapping[str, Callable[[Mapping[str, Any]], Callable[[str, Asks], Done]]] = {
    "pictures": pictures,
    "transcription": transcription,
    "speech": speech,
}


def main() -> None:
    do = LIBRARIES[sys.argv[1]](json.loads(sys.argv[2]))
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(do(asked["way"], asked["asks"])), flush=True)


if __name__ == "__main__":
    main()
