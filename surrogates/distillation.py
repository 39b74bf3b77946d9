"""Distillation of the published DRXNet: five networks with monotonic profiles, one from each published one.

A student starts from its teacher: the network of cations and the gates of rate and cycle are the
teacher's and stay as they are, so that both see the same state of a cathode. The state network, which the
teacher's offset at V_high and its falling charge come from, is replaced by the monotonic one, which
learns what the teacher says of sampled compositions under sampled conditions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from surrogates.composition_batches import CompositionBatch, CompositionTable, Conditions
from surrogates.compositions import charges_of
from surrogates.conditions import Ranges
from surrogates.discharge import embed_compositions
from surrogates.discharge_domain import FLUORINE_AMOUNT, LITHIUM, LITHIUM_AMOUNT, MANGANESE, METALS
from surrogates.encoders.drxnet import DRXNet, DRXNetSettings
from surrogates.errors import InputError, Problem
from surrogates.members import Members
from surrogates.training import TrainingSettings, optimise

STUDENT = DRXNetSettings(log_conditions=False, voltage=96, steps=32)
MOST_METALS = 6
_METALS_SHARE = (0.1, 0.1, 0.2, 0.2, 0.2, 0.2)
"""Of compositions with one metal, two, ..., before those that do not balance are left out."""
RANGES: Ranges = {
    "rate_mA_g": (5.0, 1000.0),
    "V_low": (1.5, 2.5),
    "V_high": (4.0, 5.0),
    "cycle": (1.0, 50.0),
}
"""Of the sampled conditions."""
MOST_CHARGE = 500.0
"""A capacity that no such cathode can have, mAh/g: the lightest would have to give off all its lithium. Where
a teacher says more, which one of the five does at late cycles, nothing is taught and nothing is compared."""
_MANGANESE_ONLY = 0.1
"""Share of the sample from the Li-Mn-O-F space, of which a bundled job makes a map."""
_POINTS = 16
_AT_ONCE = 512
_TAUGHT = "charge."
"""What the names of the state network's parameters start with."""
_SLOPE_BETA = 10.0
"""Error of the slope, mAh/g/V, from which it counts in proportion and no longer squared."""


@dataclass(frozen=True)
class DistillationSettings:
    """How students are taught.

    Attributes:
        conditions: Sampled for training, each with a composition of its own.
        unseen: Sampled for the scores, from another seed.
        slope_weight: Weight of the derivative's error beside the charge's.
        training: How the students are trained.
    """

    conditions: int = 40_000
    unseen: int = 2_000
    slope_weight: float = 0.1
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(
            epochs=80, batch_size=256, learning_rate=5e-3, weight_decay=1e-4
        )
    )


@dataclass(frozen=True)
class Sample:
    """`n` compositions, each under a condition of its own."""

    table: CompositionTable
    batch: CompositionBatch
    conditions: Conditions

    def __len__(self) -> int:
        return len(self.batch)


def sample(count: int, seed: int) -> Sample:
    """Return charge-balanced disordered rocksalts under conditions, both at random.

    Li 1.0 to 1.35 and F 0 to 0.7 for two anions, 1 to 6 metals that fill the cation sites; one in ten
    holds Mn alone. Half of the windows are that of most tests, 1.5 to 4.8 V. Rates are even in their
    logarithm; a third of the cycles are the first, a third even in their logarithm, a third even.
    """
    random = np.random.default_rng(seed)
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    while sum(len(fluorine) for *_, fluorine in parts) < count:
        parts.append(_balanced(count, random))
    cations, amounts, fluorine = (np.concatenate(each)[:count] for each in zip(*parts, strict=True))
    batch = CompositionBatch.from_amounts(
        torch.from_numpy(cations), torch.from_numpy(amounts).float(), torch.from_numpy(fluorine).float()
    )
    usual, kind = random.random(count) < 0.5, random.integers(0, 3, count)
    cycles = (
        np.ones(count),
        _log_uniform(random, count, *RANGES["cycle"]),
        random.uniform(*RANGES["cycle"], count),
    )
    columns = (
        _log_uniform(random, count, *RANGES["rate_mA_g"]),
        np.round(np.choose(kind, cycles)),
        np.where(usual, 1.5, random.uniform(*RANGES["V_low"], count)),
        np.where(usual, 4.8, random.uniform(*RANGES["V_high"], count)),
    )
    conditions = Conditions(*(torch.from_numpy(column).float() for column in columns))
    return Sample(CompositionTable.of((LITHIUM, *METALS)), batch, conditions)


def _log_uniform(random: np.random.Generator, count: int, low: float, high: float) -> np.ndarray:
    values: np.ndarray = np.exp(random.uniform(np.log(low), np.log(high), count))
    return values


def _balanced(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return those of `count` random compositions whose charges balance: cations, amounts, fluorine."""
    lowest, highest = np.array([charges_of(metal) for metal in METALS], dtype=float).T
    lithium = random.uniform(*LITHIUM_AMOUNT, count)
    fluorine = random.uniform(*FLUORINE_AMOUNT, count) * (random.random(count) < 0.8)
    order = np.argsort(random.random((count, len(METALS))), axis=1)[:, :MOST_METALS]
    taken = 1 + random.choice(MOST_METALS, count, p=_METALS_SHARE)
    manganese = random.random(count) < _MANGANESE_ONLY
    taken[manganese], order[manganese, 0] = 1, METALS.index(MANGANESE)
    shares = random.exponential(size=(count, MOST_METALS)) * (np.arange(MOST_METALS) < taken[:, None])
    amounts = (2 - lithium)[:, None] * shares / shares.sum(1, keepdims=True)
    asked = 4 - fluorine - lithium
    kept = ((amounts * lowest[order]).sum(1) <= asked) & (asked <= (amounts * highest[order]).sum(1))
    cations = np.concatenate([np.zeros((count, 1), dtype=np.int64), order + 1], axis=1)
    everything = np.concatenate([lithium[:, None], amounts], axis=1)
    return cations[kept], everything[kept], fluorine[kept]


def distil(
    teachers: Members,
    settings: DistillationSettings,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Members:
    """Return a student of each teacher; the same seed gives the same numbers on one machine.

    Args:
        teachers: The published networks.
        settings: How.
        seed: Of starting weights, sample and order.
        progress: Called with the epochs done and their number.

    Raises:
        InputError: If the teachers say of every sampled cathode what none can hold.
    """
    taught = sample(settings.conditions, seed)
    window = taught.conditions.window()
    voltage = _voltages(window, torch.Generator().manual_seed(seed))
    # A student's state is its teacher's throughout: the layers that make it are not trained.
    state = _states(teachers, taught)
    charge, slope = _profiles(teachers, state, window, voltage)
    rows = _possible(charge).nonzero()[:, 0]
    if not len(rows):
        wrong = f"of every sampled cathode one of them says more than {MOST_CHARGE:g} mAh/g"
        raise InputError(Problem("teachers", wrong, "Give the published weights."))

    def loss(students: Members, some: Tensor, _: torch.Generator) -> Tensor:
        some = rows[some]
        own = students.each("discharge_slope", window[some], voltage[some], mine=(state[:, some],))
        miss = smooth_l1_loss(own[0], charge[:, some], reduction="none")
        tilt = smooth_l1_loss(own[1], slope[:, some], reduction="none", beta=_SLOPE_BETA)
        # The first voltage is V_low: what a screen asks for counts once more.
        return (miss.mean(-1) + miss[..., 0] + settings.slope_weight * tilt.mean(-1)).mean(1).sum()

    return optimise(
        _untaught(teachers, seed),
        loss,
        lambda students: torch.zeros(len(students)),  # nothing is held out: there is no noise to fit
        len(rows),
        settings.training,
        seed,
        progress,
        learns=lambda name: name.startswith(_TAUGHT),
    )


@dataclass(frozen=True)
class DistillationErrors:
    """How far students are from their teachers on compositions that they were not taught.

    Attributes:
        conditions: Compared, each with a composition of its own.
        left_out: Others, where a teacher says more than any such cathode can hold.
        capacity_mae_mAh_g: Of each student against its teacher.
        charge_mae_mAh_g: The same at voltages over the whole window.
        slope_mae_mAh_g_V: Of the derivative by the voltage.
        mean_capacity_mae_mAh_g: Of the students' mean against the teachers' mean.
        spread_spearman: Between the students' standard deviations and the teachers'.
    """

    conditions: int
    left_out: int
    capacity_mae_mAh_g: tuple[float, ...]
    charge_mae_mAh_g: tuple[float, ...]
    slope_mae_mAh_g_V: tuple[float, ...]
    mean_capacity_mae_mAh_g: float
    spread_spearman: float


def compare(students: Members, teachers: Members, count: int, seed: int) -> DistillationErrors:
    """Return the students' errors on a sample of `count` conditions; `seed` is not that of the training."""
    unseen = sample(count, seed)
    window = unseen.conditions.window()
    voltage = _voltages(window, torch.Generator().manual_seed(seed))
    theirs = _profiles(teachers, _states(teachers, unseen), window, voltage)
    own = _profiles(students, _states(students, unseen), window, voltage)
    rows = _possible(theirs[0])
    charge, slope = ((a - b)[:, rows].abs() for a, b in zip(own, theirs, strict=True))
    capacity, asked = own[0][:, rows, 0], theirs[0][:, rows, 0]
    return DistillationErrors(
        conditions=int(rows.sum()),
        left_out=int((~rows).sum()),
        capacity_mae_mAh_g=tuple(charge[..., 0].mean(1).tolist()),
        charge_mae_mAh_g=tuple(charge[..., 1:].mean((1, 2)).tolist()),
        slope_mae_mAh_g_V=tuple(slope[..., 1:].mean((1, 2)).tolist()),
        mean_capacity_mae_mAh_g=float((capacity.mean(0) - asked.mean(0)).abs().mean()),
        spread_spearman=float(spearmanr(capacity.std(0), asked.std(0)).statistic),
    )


def _untaught(teachers: Members, seed: int) -> Members:
    """Return the students before they are taught: the teachers' weights but for the state network."""
    torch.manual_seed(seed)
    students = Members.of([DRXNet(STUDENT) for _ in range(len(teachers))])
    theirs = {n: t for n, t in teachers.parameters.items() if not n.startswith(_TAUGHT)}
    return students.with_state(students.state() | theirs)[:]


def _states(members: Members, some: Sample) -> Tensor:
    """Return each member's state of each composition under its condition, `K x n x width`."""
    embedding = embed_compositions(members, some.table, some.batch)
    with torch.no_grad():
        _, now = members.each("states", mine=(embedding, members.each("condition", some.conditions)))
    state: Tensor = now
    return state


def _voltages(window: Tensor, generator: torch.Generator) -> Tensor:
    """Return V_low and, in each of even parts of the window, a voltage at random, `n x v`."""
    parts = torch.rand(len(window), _POINTS, generator=generator) + torch.arange(_POINTS)
    inside = torch.lerp(window[:, :1], window[:, 1:], parts / _POINTS)
    return torch.cat([window[:, :1], inside], dim=1)


def _profiles(members: Members, state: Tensor, window: Tensor, voltage: Tensor) -> tuple[Tensor, Tensor]:
    """Return charge and slope of states at their own voltages, each `K x n x v`."""
    with torch.no_grad():
        parts = [
            members.each("discharge_slope", window[rows], voltage[rows], mine=(state[:, rows],))
            for rows in torch.arange(len(window)).split(_AT_ONCE)
        ]
    charge, slope = (torch.cat(each, dim=1) for each in zip(*parts, strict=True))
    return charge, slope


def _possible(charge: Tensor) -> Tensor:
    """Return the rows in which no teacher says more than a cathode can hold, `n`, bool."""
    return (charge[..., 0] <= MOST_CHARGE).all(0)
