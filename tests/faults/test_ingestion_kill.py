"""kill -9 of a real server in the midst of ingestion, at each of its steps: the next start finishes the document.

One server after the other works on the same data folder. Each first finishes what the one before it has left, and is
then killed at the next step.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text

from server.knowledge.tables import ChunkRow, DatasetRow, DocumentRow, VectorBlockRow
from server.settings import Settings
from server.storage.database import Database
from tests.faults.served import Payer, Served, lines, payer, serving, settings_in
from tests.postgres import Postgres

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

EMBEDDING = "name: embedding\nengine: fake\nserves: embedding\nprice: {prompt_token: 1}\n"
TEXT = "\n\n".join(f"Paragraph {number}. " + f"word{number} " * 200 for number in range(150))
"""More than two batches of chunks."""
DIES = """
import os, signal
from pathlib import Path
from server.knowledge.claims import Claims
from server.knowledge.parsing import reader
from server.knowledge.submissions import Submissions
KILLED = Path({folder!r})

def die(step, name):
    # Once at each step, and only for the document that is named after it.
    if name == step + ".txt" and not (KILLED / step).exists():
        (KILLED / step).touch()
        os.kill(os.getpid(), signal.SIGKILL)

def before(owner, method, step, name):
    was = getattr(owner, method)
    async def changed(self, *arguments, **options):
        die(step, name(self, *arguments))
        return await was(self, *arguments, **options)
    setattr(owner, method, changed)

def after(owner, method, step, name):
    was = getattr(owner, method)
    async def changed(self, *arguments, **options):
        result = await was(self, *arguments, **options)
        die(step, name(self, *arguments))
        return result
    setattr(owner, method, changed)

added = lambda self, caller, document_id, dataset, filename, *rest: filename
claimed = lambda self, claim, *rest: claim.document.filename
before(Submissions, "add", "unnamed", added)
after(Submissions, "add", "queued", added)
read, blocks, name = reader.read, reader._blocks, ""
async def reading(path, filename, **options):
    global name
    name = filename
    return await read(path, filename, **options)
async def while_the_process_reads(*arguments):
    die("reading", name)
    return await blocks(*arguments)
reader.read, reader._blocks = reading, while_the_process_reads
after(Claims, "store", "half", claimed)
before(Claims, "publish", "whole", claimed)
after(Claims, "publish", "published", claimed)
"""
"""Where a server dies: step by step, as `STEPS` has them."""
STEPS = ("unnamed", "queued", "reading", "half", "whole", "published")
NEVER_ADDED = ("unnamed",)
"""Those of which no row was written: whoever added it had no answer, and adds it again."""
BATCHES = 3
"""Charges for a document."""
EMBEDDED_IN_VAIN = {"half": 1, "whole": BATCHES}
"""Batches that were embedded before the server died, and are once more after it."""


@dataclass
class House:
    folder: Path
    settings: Settings
    one: Payer

    def serving(self) -> Any:
        changed = DIES.format(folder=str(self.folder / "killed"))
        return serving(self.folder, self.settings.database, silence=0, models={"embedding": EMBEDDING}, changed=changed)

    async def add(self, served: Served, step: str) -> None:
        """Until the server dies of it."""
        async with self.client(served) as client:
            with suppress(httpx.TransportError):
                file = {"file": (f"{step}.txt", TEXT.encode(), "text/plain")}
                answer = await client.post("/server/train-with-file", data={"dataset": "handbook"}, files=file)
                raise AssertionError(answer.text)
        assert served.process.wait(30) == -9

    def client(self, served: Served) -> httpx.AsyncClient:
        headers = {"x-access-tokens": self.one.key}
        return httpx.AsyncClient(base_url=served.url, headers=headers, trust_env=False, timeout=60)

    async def documents(self, served: Served) -> list[dict[str, Any]]:
        async with self.client(served) as client:
            answer = (await client.post("/server/get-all-files-ingested", json={"dataset": "handbook"})).json()
        assert answer["status"] == 200, answer
        documents: list[dict[str, Any]] = answer["response"]
        return documents

    async def ready(self, served: Served, count: int) -> None:
        """Return once so many documents are, and no other is under way."""
        while True:
            states = [one["state"] for one in await self.documents(served)]
            assert set(states) <= {"queued", "reading", "embedding", "ready"}, states
            if states.count("ready") == len(states):
                assert len(states) == count
                return

    def files(self) -> list[str]:
        return [one.name for one in (self.settings.data_dir / "documents").iterdir() if one.name[0] != "."]

    async def check(self) -> None:
        """As it lies in the database: nothing that is found is half there."""
        database = Database(self.settings.database)
        try:
            async with database.read() as session:
                documents = (await session.execute(select(DocumentRow))).scalars().all()
                [dataset] = (await session.execute(select(DatasetRow))).scalars().all()
                query = select(ChunkRow.document_number, func.count(), func.count(ChunkRow.place.distinct()))
                stored = {row[0]: row[1:] for row in await session.execute(query.group_by(ChunkRow.document_number))}
                for one in documents:
                    if one.state == "ready":
                        assert stored[one.number] == (one.chunks, one.chunks), one.filename
                assert set(stored) <= {one.number for one in documents}
                assert dataset.model in (None, "embedding")
        finally:
            await database.aclose()

    async def check_nothing_is_left_over(self) -> None:
        """At the end: as many words and vectors as chunks, chunks of ready documents only, and no file."""
        database = Database(self.settings.database)
        try:
            async with database.read() as session:
                chunks = await session.scalar(select(func.count()).select_from(ChunkRow))
                assert chunks == await session.scalar(
                    select(func.sum(DocumentRow.chunks)).where(DocumentRow.state == "ready")
                )
                if database.sqlite:
                    vectors = await session.scalar(select(func.sum(VectorBlockRow.size)))
                    words = await session.scalar(text("SELECT count(*) FROM chunk_fts_1"))
                else:
                    vectors = await session.scalar(text("SELECT count(*) FROM chunk_vectors_1"))
                    words = await session.scalar(text("SELECT count(*) FROM chunk_words_1"))
                assert (words, vectors) == (chunks, chunks)
        finally:
            await database.aclose()
        assert self.files() == []


async def house(tmp_path: Path, url: str) -> House:
    settings = settings_in(tmp_path, url)
    (tmp_path / "killed").mkdir()
    return House(tmp_path, settings, await payer(settings, "one", 10_000_000))


async def killed_at(house: House, steps: Sequence[str]) -> None:
    added = 0
    for number, step in enumerate(steps):
        with house.serving() as served:
            if number == 0:
                async with house.client(served) as client:
                    made = await client.post("/user/add-dataset", json={"dataset": "handbook"})
                assert made.json()["status"] == 200, made.text
            await house.ready(served, added)
            await house.add(served, step)
        await house.check()
        added += step not in NEVER_ADDED
    with house.serving() as served:
        await house.ready(served, added)
        await house.check()
        served.stop()
    await house.check_nothing_is_left_over()
    entries = await lines(house.settings, house.one.account)
    kinds = Counter(kind for kind, _ in entries)
    assert kinds["hold"] == kinds["release"], "something is held for a server that is dead"
    # A server may die before it has written what a batch costs; nobody pays for it then.
    whole, vain = added * BATCHES, sum(EMBEDDED_IN_VAIN.get(step, 0) for step in steps)
    assert whole <= kinds["charge"] <= whole + vain


async def test_a_server_that_is_killed_while_it_ingests(tmp_path: Path) -> None:
    made = await house(tmp_path, f"sqlite+aiosqlite:///{tmp_path / 'data' / 'sagehold.db'}")
    await killed_at(made, STEPS)


async def test_the_like_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    made = await house(tmp_path, postgres.create("killed_while_it_ingests"))
    await killed_at(made, ("half", "published"))
