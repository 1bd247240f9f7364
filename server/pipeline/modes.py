"""From what was asked to what will be done: a pure function from a job and the catalog to a Plan."""

from dataclasses import dataclass, replace
from typing import Protocol

from server.core import ChatJob, Job, Task
from server.models.spec import FakeModel, ModelSpec, Price, VllmModel


@dataclass(frozen=True, slots=True)
class Plan:
    """What will run for a job. `job` has the model config's defaults filled in.

    limited: whether the client itself limited the answer's length.
    """

    spec: ModelSpec
    job: Job
    price: Price
    limited: bool = True


class Resolver(Protocol):
    """The part of the catalog that planning needs."""

    def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
        """The model that `name` means for `task`. Raises ModelNotFound."""
        ...


def plan_for(job: Job, catalog: Resolver) -> Plan:
    """Choose the model and fill in its defaults. Raises ModelNotFound or InvalidRequest."""
    spec, price = catalog.resolve(job.model, job.task)
    limited = not isinstance(job, ChatJob) or job.max_tokens is not None
    if isinstance(job, ChatJob) and isinstance(spec, VllmModel | FakeModel):
        defaults = spec.defaults
        job = replace(
            job,
            max_tokens=defaults.max_tokens if job.max_tokens is None else job.max_tokens,
            temperature=defaults.temperature if job.temperature is None else job.temperature,
            top_p=defaults.top_p if job.top_p is None else job.top_p,
        )
    return Plan(spec=spec, job=job, price=price, limited=limited)
