"""What an attack found: one line of the report, and of the table in docs/reliability.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """attack: what was done. measured, wanted: in words with figures and units. held: whether the server held."""

    attack: str
    measured: str
    wanted: str
    held: bool
