"""The one training loop: all members in one optimiser, each with its own rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from surrogates.members import Members, beta_nll

_HUBER = 0.1
"""Standardised distance from the teacher beyond which the pull no longer grows."""
_WATCH_FROM = 0.4
"""Share of the epochs after which the validation error is watched: before, the step is still large."""


@dataclass(frozen=True)
class TrainingSettings:
    """How members are trained.

    Attributes:
        epochs: Passes over the training rows.
        batch_size: Rows a step; as many taught mixtures join them.
        learning_rate: Highest of a one-cycle schedule.
        weight_decay: Of AdamW.
        beta: Of `beta_nll`.
        teacher_weight: Weight of the taught mixtures' loss.
        watch_every: Epochs from one look at the validation error to the next.
    """

    epochs: int = 150
    batch_size: int = 64
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    beta: float = 0.25
    teacher_weight: float = 1.0
    watch_every: int = 2


Forward = Callable[[Members, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Mean and variance, each `K x rows`, of measured rows and, behind them, of taught rows."""


def train(
    members: Members,
    forward: Forward,
    target: Tensor,
    trains: Tensor,
    validates: Tensor,
    taught: Tensor,
    settings: TrainingSettings,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Members:
    """Train all members together and return each at its best epoch on the rows it holds out.

    All members see the same rows in the same order; what a member holds out has weight 0 for it. They
    differ by their starting weights and by what they hold out.

    Args:
        members: `K` networks with starting weights.
        forward: Evaluates members on measured rows and taught rows, given as indices.
        target: `n`, standardised, of the measured rows.
        trains: `K x n`, bool; on which rows a member trains.
        validates: `K x n`, bool; on which it is watched.
        taught: `K x t`, standardised targets of mixtures nobody measured; `t` may be 0. A member is not
            taught what is NaN for it.
        settings: How.
        seed: Of the order of rows.
        progress: Called with the epochs done and their number.
    """
    weight = trains.to(target)
    n_taught = taught.shape[1]
    told, labels = taught.isfinite().to(target), taught.nan_to_num()
    told = told / told.mean(1, keepdim=True)  # what a member is not taught leaves more weight for the rest

    def loss(learner: Members, measured: Tensor, generator: torch.Generator) -> Tensor:
        size = len(measured)
        asked = torch.randint(max(n_taught, 1), (size if n_taught else 0,), generator=generator)
        mean, variance = forward(learner, measured, asked)
        fit = beta_nll(target[measured], mean[:, :size], variance[:, :size], settings.beta)
        total = (fit * weight[:, measured]).mean(1).sum()
        if len(asked):
            pull = smooth_l1_loss(mean[:, size:], labels[:, asked], beta=_HUBER, reduction="none")
            total = total + settings.teacher_weight * (pull * told[:, asked]).mean(1).sum()
        return total

    def error(learner: Members) -> Tensor:
        return _validation_error(learner, forward, target, validates)

    return optimise(members, loss, error, len(target), settings, seed, progress)


Loss = Callable[[Members, Tensor, torch.Generator], Tensor]
"""Sum of the members' losses on some rows; the generator is for what it draws itself."""


def optimise(
    members: Members,
    loss: Loss,
    error: Callable[[Members], Tensor],
    rows: int,
    settings: TrainingSettings,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
    learns: Callable[[str], bool] = lambda name: True,
) -> Members:
    """Return each member where its error was least, the last of equals.

    Args:
        members: `K` networks with starting weights.
        loss: What is minimised; a member's part depends on its own parameters only.
        error: Of each member, `K`, on what it does not train on.
        rows: That there are to train on.
        settings: Of these `beta` and `teacher_weight` are the loss's affair.
        seed: Of the order of rows.
        progress: Called with the epochs done and their number.
        learns: Whether the parameter of a name is trained; the others stay as they are.
    """
    generator = torch.Generator().manual_seed(seed)
    learning = {
        name: tensor.detach().clone().requires_grad_(learns(name))
        for name, tensor in members.parameters.items()
    }
    learner = Members(members.network, learning, members.buffers)
    size = min(settings.batch_size, rows)
    steps = rows // size
    optimiser = torch.optim.AdamW(
        [tensor for tensor in learning.values() if tensor.requires_grad],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=max(settings.epochs * steps, 11), pct_start=0.1
    )
    least = torch.full((len(members),), torch.inf)
    kept = {name: tensor.detach().clone() for name, tensor in learning.items()}
    for epoch in range(settings.epochs):
        order = torch.randperm(rows, generator=generator)
        learner.network.train()
        for some in order[: steps * size].split(size):
            total = loss(learner, some, generator)
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            optimiser.step()
            schedule.step()
        learner.network.eval()
        last = epoch == settings.epochs - 1
        if last or (epoch >= _WATCH_FROM * settings.epochs and epoch % settings.watch_every == 0):
            now = error(learner)
            better = now <= least
            least = torch.where(better, now, least)
            for name, tensor in learning.items():
                kept[name][better] = tensor.detach()[better]
        progress(epoch + 1, settings.epochs)
    return Members(members.network, kept, members.buffers)


def _validation_error(learner: Members, forward: Forward, target: Tensor, validates: Tensor) -> Tensor:
    """Return each member's mean absolute error on what it is watched on, `K`; 0 if that is nothing."""
    with torch.no_grad():
        mean, _ = forward(learner, torch.arange(len(target)), torch.empty(0, dtype=torch.int64))
    error = (mean - target).abs() * validates
    return error.sum(1) / validates.sum(1).clamp_min(1)
