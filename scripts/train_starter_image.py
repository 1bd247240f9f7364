#!/usr/bin/env python
"""Train the starter text-to-image model and write it as a folder that diffusers loads.

Stages: autoencoder, text encoder, decoder (the autoencoder's second half, for longer), denoiser, export. Each keeps its
checkpoint and is resumed from it when the command is run again; `metrics.jsonl` beside them has the record. The same
seed, steps and number of workers give the same model. To train the shipped model further, whose checkpoints are too
large to ship, begin with its weights: `--start starter/image --work FOLDER --only denoiser`, then the same with `--only
export`. Needs npm for the two source packages (see starter_image/corpus.py) unless their tarballs are there already.
"""

import argparse
import json
from pathlib import Path
from random import Random

import torch
from diffusers import AutoencoderTiny, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file
from starter_image import stages
from starter_image.captions import Captions, read_paraphrases
from starter_image.corpus import PICTURES, WORDS, fetch, read_concepts
from starter_image.crew import Course, Run, restore
from starter_image.networks import build_autoencoder, build_denoiser, build_scheduler, build_text_encoder
from starter_image.words import build_tokenizer
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

HERE = Path(__file__).parent
PARAPHRASES = HERE / "starter_image" / "paraphrases.yaml"
STAGES = ("autoencoder", "text", "decoder", "denoiser", "export")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/starter-image"), help="checkpoints, latents, metrics")
    parser.add_argument(
        "--sources", type=Path, default=None, help="where the npm tarballs are or go (default: WORK/sources)"
    )
    parser.add_argument(
        "--out", type=Path, default=HERE.parent / "starter" / "image", help="the finished model's folder"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="single-threaded processes that share each batch")
    parser.add_argument("--start", type=Path, help="a finished model's folder, whose weights the stages begin with")
    parser.add_argument("--only", choices=STAGES, help="run this stage alone")
    parser.add_argument("--autoencoder-steps", type=int, default=2400, help="of 32 pictures")
    parser.add_argument("--text-steps", type=int, default=1200, help="of 128 captions")
    parser.add_argument("--decoder-steps", type=int, default=2000, help="of 32 pictures, after the autoencoder's")
    parser.add_argument("--denoiser-steps", type=int, default=6000, help="of 128 latents")
    return parser.parse_args()


def take(model: nn.Module, folder: Path) -> None:
    """The weights of one of a finished model's parts. Raises SystemExit where there is none."""
    files = list(folder.glob("*.safetensors"))
    if len(files) != 1:
        raise SystemExit(f"--start: there is no finished model's part in {folder}")
    model.load_state_dict({name: value.float() for name, value in load_file(files[0]).items()})


def begun_with(options: argparse.Namespace) -> CLIPTokenizer:
    """The tokenizer of the model that training begins with."""
    return CLIPTokenizer.from_pretrained(options.start / "tokenizer")


def trained(model: nn.Module, stage: str, options: argparse.Namespace) -> None:
    """Leaves what the stage has learned in the model; without a checkpoint, that is what it began with."""
    if options.start is None or (options.work / f"{stage}.pt").exists():
        restore(model, stage, options.work)


def export(
    autoencoder: AutoencoderTiny,
    encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    denoiser: UNet2DConditionModel,
    scheduler: DPMSolverMultistepScheduler,
    options: argparse.Namespace,
) -> None:
    """Writes the folder that diffusers loads."""
    work: Path = options.work
    trained(autoencoder, "autoencoder", options)
    if (work / "decoder.pt").exists():
        restore(autoencoder.decoder, "decoder", work)
    trained(encoder, "text", options)
    trained(denoiser, "denoiser", options)
    pipeline = StableDiffusionPipeline(
        vae=autoencoder, text_encoder=encoder, tokenizer=tokenizer, unet=denoiser.eval(), scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.to(torch.float16).save_pretrained(options.out, safe_serialization=True)
    config = options.out / "vae" / "config.json"
    kept = {name: value for name, value in json.loads(config.read_text()).items() if name != "block_out_channels"}
    config.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")  # the class works it out by itself
    for path in options.out.rglob("*.safetensors"):
        path.chmod(0o644)
    print(f"written to {options.out}", flush=True)


def main() -> None:
    options = parse()
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    run = Run(work, options.seed, options.workers)
    wanted = STAGES if options.only is None else (options.only,)
    sources = options.sources or work / "sources"
    source = fetch(PICTURES, sources)
    concepts = read_concepts(source, fetch(WORDS, sources))
    captions = Captions(text for texts in read_paraphrases(PARAPHRASES).values() for text in texts)
    if not (work / "tokenizer").exists():  # kept: the text encoder's weights are for this vocabulary only
        begun = None if options.start is None else begun_with(options)
        (begun or build_tokenizer(concepts, captions, Random(options.seed))).save_pretrained(work / "tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(work / "tokenizer")
    if options.start is not None and tokenizer.get_vocab() != begun_with(options).get_vocab():
        raise SystemExit(f"--start: {work} has the vocabulary of another model; choose another --work")
    speaker = stages.Speaker(concepts, captions, tokenizer)
    torch.manual_seed(options.seed)
    autoencoder, encoder, denoiser = build_autoencoder(), build_text_encoder(tokenizer), build_denoiser()
    if options.start is not None:
        for model, part in ((autoencoder, "vae"), (encoder, "text_encoder"), (denoiser, "unet")):
            take(model, options.start / part)
    scheduler = build_scheduler()
    if wanted != ("export",):
        pictures = stages.Pictures(concepts, source)
        print(f"{len(concepts)} concepts, {len(pictures.pixels)} pictures", flush=True)

    if "autoencoder" in wanted:
        course = Course("autoencoder", options.autoencoder_steps, rate=1e-3, samples=32, decay=0.5)
        stages.train_autoencoder(autoencoder, pictures, course, run)
    if "text" in wanted:
        course = Course("text", options.text_steps, rate=1e-3, samples=128, decay=0.6, weight_decay=0.05)
        stages.train_text(encoder, speaker, stages.look(pictures), course, run)
    if "decoder" in wanted or "denoiser" in wanted:
        trained(autoencoder, "autoencoder", options)
        latents = stages.encode(autoencoder, pictures)
    if "decoder" in wanted:
        course = Course("decoder", options.decoder_steps, rate=5e-4, samples=32, decay=0.8)
        stages.train_decoder(autoencoder, pictures, latents, course, run)
    if "denoiser" in wanted:
        trained(encoder, "text", options)
        course = Course(
            "denoiser", options.denoiser_steps, rate=8e-4, samples=128, warmup=200, decay=0.35, average=0.999
        )
        stages.train_denoiser(denoiser, encoder.eval(), scheduler, speaker, pictures, latents, course, run)
    if "export" in wanted:
        export(autoencoder, encoder, tokenizer, denoiser, scheduler, options)


if __name__ == "__main__":
    main()
