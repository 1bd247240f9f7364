"""Training by several single-threaded processes: each takes a part of every batch, the gradients are averaged.

On a processor that is shared with other work this is several times faster than one process with several threads,
whose every operation waits for its slowest thread. The result depends on the seed and the number of workers only.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch
from torch import multiprocessing, nn

Loss = Callable[[nn.Module, torch.Generator], dict[str, torch.Tensor]]
"""(model, generator of this worker and step) → named losses; `loss` is the one that is minimised."""


@dataclass(frozen=True)
class Course:
    """How long and how fast one stage learns. samples: a step, over all workers."""

    stage: str
    steps: int
    rate: float
    samples: int
    warmup: int = 100
    decay: float = 0.3
    average: float = 0.998
    weight_decay: float = 0.01
    every: int = 250  # steps between checkpoints

    def rate_at(self, step: int) -> float:
        """Warm-up, a plateau, then linear decay over the last `decay` of the steps."""
        left = (self.steps - step) / max(1.0, self.decay * self.steps)
        return self.rate * min(1.0, (step + 1) / self.warmup, max(0.01, left))


PATIENCE = 3600.0
"""Seconds a worker waits for the others before it takes one for dead."""


@dataclass(frozen=True)
class Run:
    """What all stages of one training have in common."""

    folder: Path
    seed: int
    workers: int


def train(model: nn.Module, loss: Loss, course: Course, run: Run) -> None:
    """Leaves averaged weights after `course.steps` steps in the model, going on from `<stage>.pt` if that exists."""
    workers = run.workers
    torch.set_num_threads(1)
    model.to(memory_format=torch.channels_last)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.share_memory()
    gradients = [[torch.zeros_like(parameter).share_memory_() for parameter in parameters] for _ in range(workers)]
    leader = Leader(parameters, course, run.folder)
    start = leader.resume()
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(workers, timeout=PATIENCE)
    arguments = (model, loss, parameters, gradients, barrier, start, course, run.seed)
    helpers = [context.Process(target=work, args=(rank, None, *arguments), daemon=True) for rank in range(1, workers)]
    for helper in helpers:
        helper.start()
    work(0, leader, *arguments)
    for helper in helpers:
        helper.join()
    leader.use_average()


def restore(model: nn.Module, stage: str, folder: Path) -> None:
    """Takes a stage's averaged weights; a stage that trained more than `model` must have had `model` come first."""
    state = torch.load(folder / f"{stage}.pt", weights_only=True)
    with torch.no_grad():
        for parameter, average in zip(model.parameters(), state["averages"], strict=False):
            parameter.copy_(average)


def work(
    rank: int,
    leader: "Leader | None",
    model: nn.Module,
    loss: Loss,
    parameters: list[nn.Parameter],
    gradients: list[list[torch.Tensor]],
    barrier: Barrier,
    start: int,
    course: Course,
    seed: int,
) -> None:
    """One worker's loop. The leader alone changes the weights, which all share, between the two barriers."""
    torch.set_num_threads(1)
    generator = torch.Generator()
    for step in range(start, course.steps):
        generator.manual_seed(seed * 1_000_003 + step * 64 + rank)
        with torch.autocast("cpu", torch.bfloat16):
            losses = loss(model, generator)
        losses["loss"].backward()
        for shared, parameter in zip(gradients[rank], parameters, strict=True):
            if parameter.grad is not None:
                shared.copy_(parameter.grad)
                parameter.grad = None
        barrier.wait()
        if leader is not None:
            leader.step(step, gradients, {name: float(value.detach()) for name, value in losses.items()})
        barrier.wait()


class Leader:
    """Optimiser, averaged weights, checkpoints and the record of one stage."""

    def __init__(self, parameters: list[nn.Parameter], course: Course, folder: Path) -> None:
        self._parameters = parameters
        self._course = course
        self._checkpoint = folder / f"{course.stage}.pt"
        self._record = folder / "metrics.jsonl"
        self._averages = [parameter.detach().clone() for parameter in parameters]
        self._optimiser = torch.optim.AdamW(
            parameters, lr=course.rate, betas=(0.9, 0.99), weight_decay=course.weight_decay, fused=True
        )
        self._sums: dict[str, float] = {}
        self._count = 0
        self._begun = time.monotonic()
        self._spent = 0.0

    def resume(self) -> int:
        """The step to go on from; 0 without a checkpoint."""
        if not self._checkpoint.exists():
            return 0
        state: dict[str, Any] = torch.load(self._checkpoint, weights_only=True)
        with torch.no_grad():
            for parameter, saved in zip(self._parameters, state["parameters"], strict=True):
                parameter.copy_(saved)
        self._averages = state["averages"]
        self._optimiser.load_state_dict(state["optimiser"])
        self._spent = state["seconds"]
        print(f"{self._course.stage}: going on from step {state['step']}", flush=True)
        return int(state["step"])

    @property
    def seconds(self) -> float:
        """Time spent on the stage, earlier runs included."""
        return self._spent + time.monotonic() - self._begun

    def step(self, step: int, gradients: list[list[torch.Tensor]], losses: dict[str, float]) -> None:
        for index, parameter in enumerate(self._parameters):
            # in place: the fused optimiser takes a gradient to be laid out in memory as its parameter is
            parameter.grad = gradients[0][index]
            for others in gradients[1:]:
                parameter.grad += others[index]
            parameter.grad /= len(gradients)
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0, foreach=True)
        for group in self._optimiser.param_groups:
            group["lr"] = self._course.rate_at(step)
        self._optimiser.step()
        self._optimiser.zero_grad()
        keep = min(self._course.average, (step + 1) / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, [parameter.data for parameter in self._parameters], 1 - keep)
        self._note(step + 1, losses)
        if (step + 1) % self._course.every == 0 or step + 1 == self._course.steps:
            self._save(step + 1)

    def _note(self, step: int, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if self._count < 50 and step != self._course.steps:
            return
        means = {name: round(value / self._count, 5) for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        line = {
            "stage": self._course.stage,
            "step": step,
            "of": self._course.steps,
            "samples": step * self._course.samples,
        }
        line |= {"seconds": round(self.seconds, 1), **means}
        with self._record.open("a") as record:
            record.write(json.dumps(line) + "\n")
        print(" ".join(f"{name}={value}" for name, value in line.items()), flush=True)

    def _save(self, step: int) -> None:
        partial = self._checkpoint.with_suffix(".partial")
        state = {
            "step": step,
            "seconds": self.seconds,
            "parameters": [parameter.detach() for parameter in self._parameters],
            "averages": self._averages,
            "optimiser": self._optimiser.state_dict(),
        }
        torch.save(state, partial)
        partial.rename(self._checkpoint)

    def use_average(self) -> None:
        with torch.no_grad():
            for parameter, average in zip(self._parameters, self._averages, strict=True):
                parameter.copy_(average)
