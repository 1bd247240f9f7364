"""Turns the starter embedding model's safetensors into a graph: a third of the memory, and no torch to load it."""

from pathlib import Path


def write_graph(folder: Path) -> None:
    """Replace model.safetensors in `folder` by model.onnx, of the same float32 weights. Takes about ten seconds."""
    # Seconds of imports, only where there is something to convert.
    from server.engines.embed.export import export_graph

    export_graph(folder)
    (folder / "model.safetensors").unlink()
