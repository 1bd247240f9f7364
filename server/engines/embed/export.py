"""An encoder's graph from its safetensors, for folders that come without one.

    python -m server.engines.embed.export FOLDER

writes FOLDER/model.onnx by PyTorch's exporter. A classifier's graph ends in `logits`, any other's in
`last_hidden_state`.
"""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from server.offline import go_offline

OPSET = 17


def export_graph(folder: Path) -> Path:
    """Write model.onnx into `folder`, float32, any number of rows and tokens; the file. Takes seconds.

    Raises what transformers and the exporter raise for models that they can't read or trace.
    """
    go_offline()
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    kinds = AutoConfig.from_pretrained(folder).architectures or ()
    classifies = any(kind.endswith("ForSequenceClassification") for kind in kinds)
    maker, output = (AutoModelForSequenceClassification, "logits") if classifies else (AutoModel, "last_hidden_state")
    # The fused attention is one node of PyTorch's own; spelled out it is what onnxruntime knows.
    model = maker.from_pretrained(folder, attn_implementation="eager", dtype="float32").eval()
    inputs = ["input_ids", "attention_mask"]
    if getattr(model.config, "type_vocab_size", 0) > 1:
        inputs.append("token_type_ids")

    class Graph(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *given: Any) -> Any:
            return getattr(self.model(**dict(zip(inputs, given, strict=True))), output)

    example = torch.ones(2, 8, dtype=torch.long)
    axes = {name: {0: "rows", 1: "tokens"} for name in inputs}
    axes[output] = {0: "rows"} if classifies else {0: "rows", 1: "tokens"}
    file = folder / "model.onnx"
    with warnings.catch_warnings(), torch.inference_mode():
        # Of traced branches, which are the same for every text, and of this exporter, which needs no other package.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Graph(),
            tuple(example for _ in inputs),
            str(file),
            input_names=inputs,
            output_names=[output],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    return file


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or not (Path(arguments[0]) / "config.json").is_file():
        print("usage: python -m server.engines.embed.export FOLDER (one with a config.json)", file=sys.stderr)
        return 2
    print(export_graph(Path(arguments[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
