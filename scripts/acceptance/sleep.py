"""Level-1 sleep: the weights go to host memory and come back; nothing else may differ."""

import time

from scripts.acceptance import gpu
from scripts.acceptance.check import Findings
from scripts.acceptance.client import client
from scripts.acceptance.setting import Setting
from scripts.acceptance.stands import PAIR

QUESTION = "Name three cities, and say what each is known for."
LEAST_BACK = 0.6
"""Share of the awake model's bytes that must be free while it sleeps; its CUDA context and graphs stay."""


def check(setting: Setting, findings: Findings) -> None:
    first, second = PAIR
    with client(setting.server) as asked:
        before = asked.chat(first, QUESTION, max_tokens=64)
        empty = sum(setting.server.gpu_before.values())
        # One process tree for both: what sleeps shows by the difference that it makes to the devices.
        asked.chat(second, QUESTION, max_tokens=1)
        state = asked.ready()[1].get(first, "unknown")
        findings.tell("the first one, once the second has answered", state, wanted="asleep")
        both = sum(gpu.used().values()) - empty
        begun = time.monotonic()
        after = asked.chat(first, QUESTION, max_tokens=64)
        findings.tell("sleep of one, wake of the other, and 64 tokens", time.monotonic() - begun, "s", most=10)
        findings.tell("the answer after it", "the same" if after == before else after, wanted="the same")
    findings.tell("in use with one awake and one asleep", both / 2**30, "GiB")
    # The pair's budget is 6 GiB, of which one awake model has 4.
    findings.tell("of that, beyond the awake one's 4 GiB", both / 2**30 - 4, "GiB", most=4 * (1 - LEAST_BACK))
