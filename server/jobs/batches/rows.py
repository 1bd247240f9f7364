"""Batches between their rows and what is known of them."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from server.jobs.batches.records import OPEN, Batch, LineError, Pause, Reason, Status
from server.jobs.tables import BatchRow


def batch_of(row: BatchRow) -> Batch:
    status = Status(row.status)
    done = status not in OPEN
    paused = None if row.paused is None else Pause(Reason(row.paused), row.pause_message or "")
    return Batch(
        number=row.number,
        id=row.id,
        account_id=row.account_id,
        endpoint=row.endpoint,
        input_file_id=row.input_file_id,
        completion_window=row.completion_window,
        status=status,
        model=row.model,
        metadata=None if row.details is None else json.loads(row.details),
        errors=[] if row.errors is None else [LineError(**one) for one in json.loads(row.errors)],
        usage=None if row.usage is None else json.loads(row.usage),
        total=row.total,
        completed=row.completed,
        failed=row.failed,
        paused=paused,
        paused_at=row.paused_at,
        # Their ids are chosen before there are files.
        output_file_id=row.output_file_id if done else None,
        error_file_id=row.error_file_id if done else None,
        created_at=row.created_at,
        expires_at=row.expires_at,
        in_progress_at=row.in_progress_at,
        finalizing_at=row.finalizing_at,
        completed_at=row.completed_at,
        failed_at=row.failed_at,
        expired_at=row.expired_at,
        cancelling_at=row.cancelling_at,
        cancelled_at=row.cancelled_at,
    )


def errors_text(errors: Sequence[LineError]) -> str | None:
    """As a row has them."""
    return json.dumps([asdict(error) for error in errors]) if errors else None
