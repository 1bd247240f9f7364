"""A chat model that is stopped to make room, under the eyes of the server that goes on."""

import psutil

from scripts.acceptance.check import Findings
from scripts.acceptance.client import client
from scripts.acceptance.processes import alive, named, tree, until
from scripts.acceptance.setting import Setting
from scripts.acceptance.stands import PAIR

WITHIN = 5.0
QUESTION = "What is the capital of Japan?"


def check(setting: Setting, findings: Findings) -> None:
    first, second = PAIR
    pid = setting.server.pid
    begun = psutil.Process(pid).create_time()
    with client(setting.server) as asked:
        asked.chat(second, QUESTION, max_tokens=1)  # so that the first one is loaded anew, whatever was before
        kept = set(tree(pid))
        asked.chat(first, QUESTION, max_tokens=1)
        its = [one for one in tree(pid) if one not in kept]
        findings.tell("processes of the first one", len(its), least=1)
        asked.chat(second, QUESTION, max_tokens=1)
        findings.tell(
            "the first one, once the second has answered", asked.ready()[1].get(first, "unknown"), wanted="unloaded"
        )
        took = until(lambda: not any(map(alive, its)), WITHIN)
        left = [named(one) for one in its if alive(one)]
        findings.tell("until its processes are gone", f"left: {left}" if took is None else took, "s", most=WITHIN)
        same = psutil.pid_exists(pid) and psutil.Process(pid).create_time() == begun
        findings.tell("the server is the same process", "yes" if same else "no", wanted="yes")
        answered = asked.chat(second, QUESTION, max_tokens=1)
        findings.tell("the second one answers", "yes" if answered else "no", wanted="yes")
