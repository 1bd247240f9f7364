"""`vllm run-batch` with a stopwatch: as its own main (vllm/entrypoints/launchers/run_batch.py), which tells no time."""

import asyncio
import time
from typing import Any


async def main(args: Any) -> None:
    from vllm.entrypoints.launchers.api_server.entry import build_async_engine_client
    from vllm.entrypoints.launchers.run_batch import run_batch, validate_run_batch_args
    from vllm.usage.usage_lib import UsageContext

    validate_run_batch_args(args)
    async with build_async_engine_client(args, usage_context=UsageContext.OPENAI_BATCH_RUNNER) as client:
        begun = time.monotonic()
        await run_batch(client, args)
        print(f"requests in {time.monotonic() - begun:.1f} s,", flush=True)


if __name__ == "__main__":
    from vllm.entrypoints.launchers.run_batch import parse_args

    asyncio.run(main(parse_args()))
