"""Turns the starter chat model's GGUF into safetensors: vLLM reads no GGUF without a plugin."""

import os
import sys
from pathlib import Path

from server.offline import go_offline


def dequantize_gguf(folder: Path) -> None:
    """Replace the one GGUF file in `folder` by bfloat16 safetensors, config, tokenizer and chat template.

    Sixteen bits hold all that the 4-bit weights still had. Takes some 20 seconds for 135 million parameters.
    """
    go_offline()
    if not sys.stderr.isatty():
        os.environ["TQDM_DISABLE"] = "1"  # transformers draws a bar, which is a mess in a log
    # Two seconds of imports, only where there is something to convert.
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    (gguf,) = folder.glob("*.gguf")
    packed = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=gguf.name, quantization_config=packed, dtype="bfloat16"
    )
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=gguf.name)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    gguf.unlink()
