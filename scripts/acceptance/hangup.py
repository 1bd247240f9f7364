"""A client that closes its connection in the midst of an answer."""

from itertools import islice

from scripts.acceptance.check import Findings
from scripts.acceptance.client import client
from scripts.acceptance.processes import until
from scripts.acceptance.setting import Setting
from scripts.acceptance.stands import CHAT

WITHIN = 2.0
READ = 5


def check(setting: Setting, findings: Findings) -> None:
    with client(setting.server) as asked:
        with asked.stream(CHAT, "Tell a very long story.", max_tokens=4000, ignore_eos=True) as events:
            findings.tell("events read before", len(list(islice(events, READ))), least=READ)
            findings.tell("jobs that run meanwhile", asked.running(CHAT), least=1)
        took = until(lambda: asked.running(CHAT) == 0, 30)
        findings.tell("until nothing runs", "never" if took is None else took, "s", most=WITHIN)
        answer = asked.chat(CHAT, "What is the capital of Japan?", max_tokens=32)
        findings.tell("the next answer", "Tokyo" if "tokyo" in answer.lower() else answer, wanted="Tokyo")
