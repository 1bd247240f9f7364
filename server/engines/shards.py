"""Safetensors files that are not whole, found by their headers: the libraries' errors name neither file nor size.

The format: eight bytes of the header's length, little-endian; the header, JSON; the tensors, at offsets from its end.
"""

import json
from pathlib import Path

LONGEST_HEADER = 100 * 2**20
"""Bytes, by the format."""


def problem(folder: Path) -> str | None:
    """The first file of a model's folder that was cut short or damaged, in a line with its name."""
    for file in sorted(folder.glob("*.safetensors")):
        try:
            whole = file.stat().st_size
            with file.open("rb") as stream:
                length = int.from_bytes(stream.read(8), "little")
                if length > LONGEST_HEADER:
                    return f"{file.name} is no safetensors file, or a damaged one"
                header = stream.read(length)
            if whole < 8 + length:
                return f"{file.name} is cut short: its header alone needs {8 + length:,} bytes, and {whole:,} are there"
            ends = [part["data_offsets"][1] for name, part in json.loads(header).items() if name != "__metadata__"]
        except FileNotFoundError:
            return f"{file.name} is missing"
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return f"{file.name} is no safetensors file, or a damaged one"
        except OSError as error:
            return f"{file.name} can't be read: {error.strerror}"
        if whole != (needed := 8 + length + max(ends, default=0)):
            short = "is cut short" if whole < needed else "is longer than it says"
            return f"{file.name} {short}: {whole:,} bytes are there, and its header tells of {needed:,}"
    return None
