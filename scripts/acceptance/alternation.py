"""Two lazy chat models in turn, where memory is enough for one: each answer puts the other one away."""

import time
from statistics import median

from scripts.acceptance.check import Findings
from scripts.acceptance.client import Client, RefusedError, client
from scripts.acceptance.setting import Setting
from scripts.acceptance.stands import PAIR

TURNS, QUICK_TURNS = 20, 4
ON_GPU = 10.0
"""Seconds for the median turn: the weights come back from host memory."""


def check(setting: Setting, findings: Findings) -> None:
    turns = QUICK_TURNS if setting.quick else TURNS
    lost = 0
    loads: list[float] = []
    wakes: list[float] = []
    ways: set[str] = set()
    answers: set[str] = set()
    with client(setting.server) as asked:
        for turn in range(turns):
            model, other = PAIR[turn % 2], PAIR[1 - turn % 2]
            begun = time.monotonic()
            try:
                answers.add(asked.chat(model, "What is the capital of Japan?", max_tokens=16))
            except RefusedError as error:
                lost += 1
                findings.note(f"turn {turn + 1}: {error}")
                continue
            (loads if turn < len(PAIR) else wakes).append(time.monotonic() - begun)
            if turn:
                ways.add(_state(asked, other))
    findings.tell("turns", turns)
    findings.tell("lost", lost, most=0)
    findings.tell("different answers to one question", len(answers), least=1, most=1)
    away = ways and not ways & {"ready", "loading"}
    findings.tell("the other one was put away", "yes" if away else f"no: {', '.join(sorted(ways))}", wanted="yes")
    findings.tell("how", ", ".join(sorted(ways)))
    if loads:
        findings.tell("first answer of each, load included, longest", max(loads), "s")
    if wakes:
        findings.tell("a turn, median", median(wakes), "s", most=ON_GPU if setting.gpu else None)
        findings.tell("a turn, longest", max(wakes), "s")


def _state(asked: Client, model: str) -> str:
    return str(asked.ready()[1].get(model, "unknown"))
