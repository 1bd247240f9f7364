"""What the front end's own process holds: the figures in which a leak shows first."""

import asyncio
from collections.abc import Iterable

from prometheus_client.metrics_core import GaugeMetricFamily, Metric


class Tasks:
    """asyncio's tasks, counted when they are scraped: a request has a few, and none of them may outlive it."""

    def collect(self) -> Iterable[Metric]:
        try:
            count = len(asyncio.all_tasks())
        except RuntimeError:  # asked from outside of the event loop
            return
        yield GaugeMetricFamily("sagehold_tasks", "asyncio tasks of the front end", value=count)
