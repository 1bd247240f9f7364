"""Pictures and chat on one device at the same time."""

import threading
import time
from statistics import median

from scripts.acceptance.check import Findings
from scripts.acceptance.client import Client, Load, client, tokens_a_second
from scripts.acceptance.setting import Setting
from scripts.acceptance.stands import CHAT, DUMMY_CHAT, DUMMY_PAINTER, PAINTER

LEAST = 0.25
"""What chat keeps of its throughput: two processes on one GPU take turns, and a picture keeps it wholly busy."""


class Painting:
    """Pictures one after another in a thread, until `stop`."""

    def __init__(self, asked: Client, model: str, size: str | None) -> None:
        self.seconds: list[float] = []
        self.errors: list[str] = []
        self._ask = (asked, model, {"size": size} if size else {})
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._paint)
        self._thread.start()

    def _paint(self) -> None:
        asked, model, options = self._ask
        while not self._over.is_set():
            begun = time.monotonic()
            try:
                asked.draw(model, f"a red apple, number {len(self.seconds)}", **options)
            except Exception as error:  # noqa: BLE001 - what went wrong is counted and noted
                self.errors.append(f"{type(error).__name__}: {error}")
                return
            self.seconds.append(time.monotonic() - begun)

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


def check(setting: Setting, findings: Findings) -> None:
    chat, painter = (DUMMY_CHAT, DUMMY_PAINTER) if setting.gpu else (CHAT, PAINTER)
    size = "1024x1024" if setting.gpu else None
    load = Load(16, 96, 128) if setting.gpu else Load(4, 8, 32)
    with client(setting.server) as asked:
        tokens_a_second(asked, chat, Load(load.streams, load.streams, 16), "warm")
        begun = time.monotonic()
        asked.draw(painter, "a red apple", **({"size": size} if size else {}))
        findings.tell("a picture, the first", time.monotonic() - begun, "s")
        begun = time.monotonic()
        asked.draw(painter, "a green apple", **({"size": size} if size else {}))
        findings.tell("a picture, alone", time.monotonic() - begun, "s")
        alone = tokens_a_second(asked, chat, load, "alone")
        painting = Painting(asked, painter, size)
        try:
            beside = tokens_a_second(asked, chat, load, "beside")
        finally:
            painting.stop()
    findings.tell("pictures beside chat", len(painting.seconds), least=1)
    findings.tell("pictures lost", len(painting.errors), most=0)
    for error in painting.errors:
        findings.note(error)
    if painting.seconds:
        findings.tell("a picture beside chat, median", median(painting.seconds), "s")
    findings.tell("chat alone", alone, "tok/s")
    findings.tell("chat beside pictures", beside, "tok/s")
    findings.tell("chat beside pictures / alone", beside / alone, least=LEAST if setting.gpu else None)
