"""Walk-forward training of the chart model: an ensemble for each year, which saw only the years before it.

A chart belongs to the training of a year if its longest label ends before the year begins. The last part of these
charts stops the training early, and the same gap lies before it. Every network has its own seed, and every epoch its
own order, so an interrupted training resumes at the epoch that it was in and ends with the same network.

Each network is trained in a process of its own, as many at once as there are processors.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from processors.arrays import Days, Indexer
from processors.chart_labels import GAP
from processors.charts import draw, numbers
from processors.days import TradingCalendar, to_date, to_day
from processors.logistic import fit
from streams.charts.card import Year
from streams.charts.errors import ChartModelError
from streams.charts.network import Network, to_onnx
from streams.charts.samples import Samples
from streams.files import replaced


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How a network is trained.

    Parameters
    ----------
    seeds : one network each; their chances are averaged.
    epochs : at most as many passes over the charts.
    patience : passes without a smaller loss on the last part after which a training ends.
    validation : the share of the days, the last ones, that stop the training.
    """

    seeds: tuple[int, ...] = (1, 2)
    epochs: int = 6
    patience: int = 1
    batch: int = 256
    learning_rate: float = 1e-3
    validation: float = 0.15


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where a training is: batches of all epochs that are possible, and the mean loss and accuracy of this epoch."""

    year: int
    seed: int
    epoch: int
    done: int
    total: int
    loss: float
    accuracy: float


Advance = Callable[[TrainingProgress], None]


def split(days: Days, year: int, validation: float, calendar: TradingCalendar) -> tuple[Indexer, Indexer]:
    """Return the charts that a year's network learns from, and those that stop its training.

    Parameters
    ----------
    days : (m,) the day of each chart, ascending.

    Raises
    ------
    ChartModelError : if there are too few days before the year.
    """
    known = np.unique(days)
    usable = _before(known, to_day(date(year, 1, 1)), calendar)
    last = usable[len(usable) - max(1, int(validation * len(usable))) :]
    first = _before(usable, int(last[0]), calendar) if len(last) else last
    if not len(first):
        raise ChartModelError(
            f"there are too few charts before {year}: a network needs {GAP} sessions between learning, "
            "stopping and scoring; choose later --years or add earlier files"
        )
    return np.flatnonzero(np.isin(days, first)), np.flatnonzero(np.isin(days, last))


def _before(days: Days, day: int, calendar: TradingCalendar) -> Days:
    """Return the days whose longest label ends before a day."""
    end = calendar.before(day)
    latest = None if end is None else calendar.shift(end, -GAP)
    return days[:0] if latest is None else days[days <= latest]


def train_year(
    samples: Samples, year: int, plan: TrainingPlan, calendar: TradingCalendar, state: Path, advance: Advance
) -> tuple[Year, bytes]:
    """Train the ensemble of a year; return its entry of the model card and its ONNX file.

    Parameters
    ----------
    state : folder of the unfinished trainings.

    Raises
    ------
    ChartModelError : if there are too few charts before the year, or the process of a network ends too early.
    """
    _compute_in_one_thread()
    rows, check = split(samples.days, year, plan.validation, calendar)
    state.mkdir(parents=True, exist_ok=True)
    task = _Task(samples, rows, check, year, plan, state)
    at_once = len(os.sched_getaffinity(0))
    for start in range(0, len(plan.seeds), at_once):
        _train_in_processes(task, plan.seeds[start : start + at_once], advance)
    found = [task.training(seed) for seed in plan.seeds]
    known = rows[~np.isnan(samples.labels[rows, 0])]
    entry = Year(
        year=year,
        first=to_date(int(samples.days[rows[0]])),
        last=to_date(int(samples.days[check[-1]])),
        charts=len(rows),
        names=len(np.unique(samples.keys[rows])),
        losses=[one.best_loss for one in found],
        accuracies=[one.best_accuracy for one in found],
        epochs=[one.epoch for one in found],
        logistic=fit(numbers(samples.heights[known]), samples.labels[known, 0]).tolist(),
    )
    return entry, to_onnx([one.best_network() for one in found])


class _Training:
    """The training of one network, as it is saved behind every epoch."""

    def __init__(self, seed: int, plan: TrainingPlan) -> None:
        torch.manual_seed(seed)
        self.network = Network()
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=plan.learning_rate, weight_decay=1e-2)
        self.epoch = self.waited = 0
        self.best_loss, self.best_accuracy = float("inf"), 0.0
        self.best: dict[str, Any] = {}

    _FIGURES = ("epoch", "waited", "best_loss", "best_accuracy", "best")

    def save(self, path: Path, identity: str) -> None:
        content = {name: getattr(self, name) for name in self._FIGURES}
        content |= {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "of": identity}
        with replaced(path) as part:
            torch.save(content, part)

    def load(self, path: Path, identity: str) -> None:
        """Continue a saved training; one of other charts or another plan is ignored."""
        if not path.is_file():
            return
        content = torch.load(path, weights_only=True)
        if content.pop("of") != identity:
            return
        self.network.load_state_dict(content.pop("network"))
        self.optimizer.load_state_dict(content.pop("optimizer"))
        for name, value in content.items():
            setattr(self, name, value)

    def keep(self, loss: float, accuracy: float) -> None:
        """Count the epoch, and keep the network if its loss on the last part is the smallest so far."""
        self.epoch += 1
        self.waited = 0 if loss < self.best_loss else self.waited + 1
        if not self.waited:
            self.best_loss, self.best_accuracy = loss, accuracy
            self.best = {name: values.clone() for name, values in self.network.state_dict().items()}

    def best_network(self) -> Network:
        out = Network()
        out.load_state_dict(self.best)
        return out


def _compute_in_one_thread() -> None:
    """Keep sums the same on every machine: those of several threads differ in the last bits."""
    torch.set_num_threads(1)


@dataclass(frozen=True, slots=True)
class _Task:
    """What the networks of a year are trained on."""

    samples: Samples
    rows: Indexer
    check: Indexer
    year: int
    plan: TrainingPlan
    state: Path

    def training(self, seed: int) -> _Training:
        """Return the training of a network where it was saved, or a new one."""
        out = _Training(seed, self.plan)
        out.load(self.path(seed), self.identity)
        return out

    def path(self, seed: int) -> Path:
        return self.state / f"{self.year}-{seed}.pt"

    @property
    def identity(self) -> str:
        return f"{self.samples.digest}/{replace(self.plan, seeds=())}"


def _train_in_processes(task: _Task, seeds: Sequence[int], advance: Advance) -> None:
    """Train networks at once; no process outlives this call."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])  # PyTorch is imported once for all processes
    with ExitStack() as stack:
        processes: dict[int, ForkServerProcess] = {}
        receivers: list[Connection] = []
        for seed in seeds:
            receiver, sender = context.Pipe(duplex=False)
            process = processes[seed] = context.Process(target=_work, args=(task, seed, sender), daemon=True)
            process.start()
            stack.callback(process.terminate)
            sender.close()
            receivers.append(receiver)
        while receivers:
            ready = wait(receivers)
            for receiver in [one for one in receivers if one in ready]:
                try:
                    advance(receiver.recv())
                except EOFError:
                    receivers.remove(receiver)
        for seed, process in processes.items():
            process.join()
            if process.exitcode:
                raise ChartModelError(
                    f"the process of network {seed} for {task.year} ended with exit code {process.exitcode}; the same "
                    "command resumes the training"
                )


def _work(task: _Task, seed: int, sender: Connection) -> None:
    """Train a network in this process, and send every batch's `TrainingProgress`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    _compute_in_one_thread()
    _train(task, seed, sender.send)


def _train(task: _Task, seed: int, advance: Advance) -> None:
    samples, plan, training = task.samples, task.plan, task.training(seed)
    batches = -(-len(task.rows) // plan.batch)
    while training.epoch < plan.epochs and training.waited <= plan.patience:
        torch.manual_seed(seed * 1_000 + training.epoch)  # of the dropout
        order = np.random.default_rng((seed, training.epoch)).permutation(task.rows)
        training.network.train()
        losses = hits = cases = 0.0
        for number, start in enumerate(range(0, len(order), plan.batch), 1):
            batch = order[start : start + plan.batch]
            logits, labels = training.network(_images(samples, batch)), torch.from_numpy(samples.labels[batch])
            known = ~torch.isnan(labels)
            if len(batch) < 2 or not known.any():
                continue
            loss = binary_cross_entropy_with_logits(logits[known], labels[known].float())
            training.optimizer.zero_grad()
            loss.backward()
            training.optimizer.step()
            losses += float(loss.detach())
            hits += float(((logits[:, 0] > 0) == (labels[:, 0] > 0.5))[known[:, 0]].sum())
            cases += float(known[:, 0].sum())
            done = training.epoch * batches + number
            advance(
                TrainingProgress(
                    task.year,
                    seed,
                    training.epoch + 1,
                    done,
                    plan.epochs * batches,
                    losses / number,
                    hits / max(cases, 1),
                )
            )
        training.keep(*_evaluate(training.network, samples, task.check))
        training.save(task.path(seed), task.identity)


def _images(samples: Samples, rows: Indexer) -> torch.Tensor:
    return torch.from_numpy(draw(samples.heights[rows]))


def _evaluate(network: Network, samples: Samples, rows: Indexer) -> tuple[float, float]:
    """Return mean loss over both labels, and accuracy of the first one."""
    network.eval()
    with torch.no_grad():
        logits = torch.cat([network(_images(samples, part)) for part in _parts(rows)])
    labels = torch.from_numpy(samples.labels[rows])
    known = ~torch.isnan(labels)
    loss = binary_cross_entropy_with_logits(logits[known], labels[known].float())
    hits = ((logits[:, 0] > 0) == (labels[:, 0] > 0.5))[known[:, 0]]
    return float(loss), float(hits.float().mean())


def _parts(rows: Indexer) -> Sequence[Indexer]:
    return np.array_split(rows, max(1, len(rows) // 1024))
