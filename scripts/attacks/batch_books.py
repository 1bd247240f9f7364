"""A batch whose server is killed again and again: how it is ordered, and what its file and the books say in the end."""

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from anyio import to_thread
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.administration import Administration
from server.accounts.ledger.instances import SILENCE, Instance
from server.accounts.ledger.ledger import Ledger
from server.accounts.tables import EntryRow, HoldRow, UsageRow
from server.core import Caller
from server.jobs.batches.batches import Batches
from server.jobs.batches.folder import BatchFolders
from server.jobs.batches.records import Batch
from server.jobs.files.store import Files
from server.settings import Settings

CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
GRANT = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Ordered:
    """A batch and who pays for it. ids: the custom_id of each line."""

    id: str
    caller: Caller
    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one. answers: the bodies, by custom_id; wrong: what must not be, in words."""

    batch: Batch
    answers: dict[str, Any]
    wrong: list[str] = field(default_factory=list)


class Clerk:
    """Orders batches and looks into the books, in a process of its own beside the servers, or without any."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def payer(self, name: str) -> Caller:
        """A new account with credits, and its key."""
        async with Administration.open(self._settings) as administration:
            account, _ = await administration.create_account(name, credits=GRANT, metered=True)
            made = await administration.accounts.create_key(account=account.id)
            return Caller(made.record.id, account.id, metered=True)

    async def order(self, caller: Caller, endpoint: str, bodies: Sequence[dict[str, Any]]) -> Ordered:
        ids = [f"{number}-{secrets.token_hex(4)}" for number in range(len(bodies))]
        lines = [
            orjson.dumps(
                {"custom_id": one, "method": "POST", "url": endpoint, "body": body}, option=orjson.OPT_APPEND_NEWLINE
            )
            for one, body in zip(ids, bodies, strict=True)
        ]
        async with Administration.open(self._settings) as administration:
            files, batches = await self._opened(administration)
            async with files.receive(caller.account_id) as incoming:
                await to_thread.run_sync(incoming.write, b"".join(lines))
                stored = await files.keep(incoming, "lines.jsonl", "batch")
            made = await batches.create(caller, stored.id, endpoint, "24h")
        return Ordered(made.id, caller, ids)

    async def standing(self, ordered: Ordered) -> Batch:
        async with Administration.open(self._settings) as administration:
            _, batches = await self._opened(administration)
            return await batches.find(ordered.caller.account_id, ordered.id)

    def written(self, ordered: Ordered) -> int:
        """Lines that have an answer by now; all of them once the batch is done."""
        try:
            data = (self._settings.data_dir / "batches" / ordered.id / "output.jsonl").read_bytes()
        except FileNotFoundError:
            return len(ordered.ids)
        return data.count(b"\n")

    async def _opened(self, administration: Administration) -> tuple[Files, Batches]:
        settings, database = self._settings, administration.accounts.database
        files = Files(database, settings.data_dir / "files", max_file=2**30, max_account_files=2**40)
        await files.start()
        folders = BatchFolders(settings.data_dir / "batches")
        await folders.start()
        return files, Batches(database, files, folders, lambda _: None, most=100)

    # ------------------------------------------------------------ in the end

    async def told(self, ordered: Ordered, cost: Callable[[Any], Decimal]) -> Told:
        """Once it is done. cost: of an answer, by its body, as the account has to be charged for it."""
        async with Administration.open(self._settings) as administration:
            files, batches = await self._opened(administration)
            batch = await batches.find(ordered.caller.account_id, ordered.id)
            told = Told(batch, {})
            if (batch.status, batch.completed, batch.failed) != ("completed", len(ordered.ids), 0):
                told.wrong.append(
                    f"{batch.status}: {batch.completed} of {len(ordered.ids)} completed, {batch.failed} failed"
                )
            if batch.output_file_id is None:
                told.wrong.append("there is no file of answers")
                return told
            stored = await files.open(ordered.caller.account_id, batch.output_file_id)
            seen = Counter[str]()
            for line in stored.path.read_bytes().splitlines():
                answer = orjson.loads(line)
                seen[answer["custom_id"]] += 1
                told.answers[answer["custom_id"]] = answer["response"]["body"]
            told.wrong.extend(f"{one} has {seen[one]} answers" for one in ordered.ids if seen[one] != 1)
            told.wrong.extend(f"{one} was never asked" for one in set(seen) - set(ordered.ids))
            await self._charged(administration, ordered, told, cost)
        if (self._settings.data_dir / "batches" / ordered.id).exists():
            told.wrong.append("its folder is still there")
        return told

    async def _charged(
        self, administration: Administration, ordered: Ordered, told: Told, cost: Callable[[Any], Decimal]
    ) -> None:
        """Each line once, and exactly: in the ledger, in the usage records, and in what its answer says."""
        charges = dict[int, list[Decimal]]()
        async for entry in administration.ledger.entries(ordered.caller.account_id, kinds=("charge",)):
            if entry.reference.startswith(f"{ordered.id}-"):
                line = int(entry.reference.removeprefix(f"{ordered.id}-").partition(".")[0])
                charges.setdefault(line, []).append(-entry.amount)
        async with administration.accounts.database.read() as session:
            used = await session.scalars(
                select(UsageRow.reference).where(UsageRow.account_id == ordered.caller.account_id)
            )
            noted = Counter(one.partition(".")[0] for one in used if one.startswith(f"{ordered.id}-"))
        for number, one in enumerate(ordered.ids, 1):
            body = told.answers.get(one)
            if body is None:
                continue
            due = cost(body)
            if charges.get(number) != [due]:
                told.wrong.append(f"line {number} was charged {charges.get(number)}, not {due}")
            if Decimal(str(body["usage"].get("credits"))) != due:
                told.wrong.append(f"line {number} says that it cost {body['usage'].get('credits')}, not {due}")
            if noted[f"{ordered.id}-{number}"] != 1:
                told.wrong.append(f"line {number} has {noted[f'{ordered.id}-{number}']} usage records")

    async def books(self, callers: Sequence[Caller]) -> list[str]:
        """What is wrong with them, once holds of servers that died have been given back."""

        async def later(_: AsyncSession) -> datetime:
            return datetime.now(UTC) + 2 * SILENCE

        wrong: list[str] = []
        async with Administration.open(self._settings) as administration:
            database = administration.accounts.database
            ledger = Ledger(database, instance=Instance(later))
            try:
                await ledger.reconcile()
                wrong += [f"the balance of {one} is not its entries' sum" for one in await ledger.discrepancies()]
                async with database.read() as session:
                    if held := await session.scalar(select(func.count()).select_from(HoldRow)):
                        wrong.append(f"{held} holds are open")
                    for caller in callers:
                        of = EntryRow.account_id == caller.account_id
                        charged = await session.scalar(
                            select(func.sum(EntryRow.amount)).where(of, EntryRow.kind == "charge")
                        )
                        left = (await ledger.balance(caller.account_id)).available
                        if left != GRANT + (charged or Decimal(0)):
                            wrong.append(f"{caller.account_id} has {left}, but paid {charged} of {GRANT}")
            finally:
                await ledger.aclose()
        return wrong
