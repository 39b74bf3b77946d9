"""An ensemble of DRXNet learnt from discharge profiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from surrogates.composition_batches import CompositionBatch, Conditions
from surrogates.conditions import CONDITIONS
from surrogates.discharge import embed_compositions
from surrogates.discharge_domain import DischargeDomain, spread_limit
from surrogates.discharge_profiles import ProfileData
from surrogates.encoders.drxnet import DRXNet, DRXNetSettings
from surrogates.errors import InputError, Problem
from surrogates.members import Members, too_few_members
from surrogates.splits import holdouts
from surrogates.training import TrainingSettings, optimise

CHARGE_WEIGHT, SLOPE_WEIGHT, FIRST_WEIGHT = 1.0, 1.0, 5.0
"""Of the squared error of the charge, that of its derivative and the absolute error of the first cycle's
charge, as in the paper and the published script."""
SMOOTHNESS = 3e-3
"""Of the norm of the gradient of a profile's mean charge by the amounts of its cations: what the published
script's 1e-4 for the sum over a batch of 32 points is for a mean."""
FEWEST_PROFILES = 4
_GROUPS_TO_HOLD_OUT = 10
"""With fewer compositions than this, members hold out single profiles."""


@dataclass(frozen=True)
class ProfileSettings:
    """What is fitted and how.

    Attributes:
        members: Networks, at least 2.
        holdout: Share that each member holds out for early stopping, its own draw.
        steps: Of the optimiser, about; whole passes over the profiles.
        batch_size: Profiles a step.
        learning_rate: Highest of a one-cycle schedule.
        network: Of each member.
    """

    members: int = 5
    holdout: float = 0.1
    steps: int = 1500
    batch_size: int = 32
    learning_rate: float = 3e-3
    network: DRXNetSettings = field(default_factory=DRXNetSettings)

    def training(self, rows: int) -> TrainingSettings:
        """Return the settings of the loop for a number of profiles."""
        a_pass = rows // min(self.batch_size, rows)
        epochs = math.ceil(self.steps / a_pass)
        return TrainingSettings(epochs, self.batch_size, self.learning_rate, weight_decay=1e-4)


@dataclass(frozen=True)
class ProfileScores:
    """How good predictions of profiles are, over `profiles` test profiles, by the members' mean.

    Attributes:
        profiles: Number of test profiles.
        capacity_mae_mAh_g: At the lowest voltage of each.
        charge_mae_mAh_g: Over all points.
        slope_mae_mAh_g_V: Over all points, of the derivative.
        capacity_std_mAh_g: Mean standard deviation of the members' capacities.
        top_charge_mAh_g: Mean charge at V_high, where it should be 0.
        rising: Share of points at which the charge grows with the voltage, which it should not.
    """

    profiles: int
    capacity_mae_mAh_g: float
    charge_mae_mAh_g: float
    slope_mae_mAh_g_V: float
    capacity_std_mAh_g: float
    top_charge_mAh_g: float
    rising: float


def check_profiles(data: ProfileData, rows: Tensor, settings: ProfileSettings) -> None:
    """Check that an ensemble can be fitted to some profiles.

    Raises:
        InputError: For fewer than 2 members or 4 profiles.
    """
    problems = too_few_members(settings.members)
    if len(rows) < FEWEST_PROFILES:
        wrong = f"{len(rows)} profiles to train on; at least {FEWEST_PROFILES} are needed"
        problems.append(Problem(data.source, wrong, "Add profiles."))
    if problems:
        raise InputError(problems)


def fit_profiles(
    data: ProfileData,
    rows: Tensor,
    settings: ProfileSettings,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Members:
    """Return the members; each has its own starting weights and holds out its own part of the profiles.

    Args:
        data: Discharge profiles.
        rows: Indices of those to learn from; no other is looked at.
        settings: What and how.
        seed: Of starting weights, held-out parts and order.
        progress: Called with the epochs done and their number.

    Raises:
        InputError: For fewer than 2 members or 4 profiles.
    """
    check_profiles(data, rows, settings)
    groups = data.composition[rows]
    if len(groups.unique()) < _GROUPS_TO_HOLD_OUT:
        groups = torch.arange(len(rows))
    trains = holdouts(groups, settings.members, settings.holdout, seed)
    torch.manual_seed(seed)
    networks = [DRXNet(settings.network) for _ in range(settings.members)]
    weight = trains.float()

    def loss(members: Members, some: Tensor, _: torch.Generator) -> Tensor:
        each, rough = _misses(members, data, rows[some])
        return (each * weight[:, some]).mean(1).sum() + SMOOTHNESS * rough.sum()

    def error(members: Members) -> Tensor:
        with torch.no_grad():
            charge, _, _ = _said(members, data, rows)
        miss = (charge - data.charge[rows]).abs().mean(-1) * ~trains
        return miss.sum(1) / (~trains).sum(1)

    training = settings.training(len(rows))
    return optimise(Members.of(networks), loss, error, len(rows), training, seed, progress)


def score_profiles(members: Members, data: ProfileData, rows: Tensor) -> ProfileScores:
    """Return the scores of the members' mean on some profiles."""
    with torch.no_grad():
        charge, slope, _ = _said(members, data, rows)
        top, _, _ = _said(members, data, rows, data.conditions[rows].window()[:, 1:])
    mean = charge.mean(0)
    miss = (mean - data.charge[rows]).abs()
    return ProfileScores(
        profiles=len(rows),
        capacity_mae_mAh_g=float(miss[:, 0].mean()),
        charge_mae_mAh_g=float(miss.mean()),
        slope_mae_mAh_g_V=float((slope.mean(0) - data.slope[rows]).abs().mean()),
        capacity_std_mAh_g=float(charge[..., 0].std(0).mean()),
        top_charge_mAh_g=float(top.mean()),
        rising=float((slope.mean(0) > 0).float().mean()),
    )


def member_capacities(members: Members, data: ProfileData, rows: Tensor) -> Tensor:
    """Return the charge that each member gives some profiles at their lowest voltage, `K x r`, mAh/g."""
    with torch.no_grad():
        charge, _, _ = _said(members, data, rows, data.voltage[rows, :1])
    return charge[..., 0]


def profile_domain(members: Members, data: ProfileData) -> DischargeDomain:
    """Return what an ensemble knows that was fitted to all of some data.

    The members' spread is looked at under the condition of most profiles, in its first cycle.
    """
    lithium = 2 * (data.batch.weights * _is_lithium(data)[data.batch.cations]).sum(-1)
    rate, V_low, V_high = data.rows.value_counts(["rate_mA_g", "V_low", "V_high"]).index[0]
    condition = (float(rate), float(V_low), float(V_high), 1.0)
    embedding = embed_compositions(members, data.table, data.batch)
    return DischargeDomain(
        cations=data.table.elements,
        lithium=(float(lithium.min()), float(lithium.max())),
        fluorine=(2 * float(data.batch.fluorine.min()), 2 * float(data.batch.fluorine.max())),
        ranges={name: (float(data.rows[name].min()), float(data.rows[name].max())) for name in CONDITIONS},
        condition=condition,
        spread_mAh_g=spread_limit(members, embedding, condition),
        origin="the training profiles; spread: 95 % of their compositions do not exceed it",
    )


def _is_lithium(data: ProfileData) -> Tensor:
    return torch.tensor([element == "Li" for element in data.table.elements])


def _misses(members: Members, data: ProfileData, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return each member's loss on each profile, `K x n`, and its roughness, `K`."""
    kinds, which = data.composition[rows].unique(return_inverse=True)
    some = data.batch[kinds]
    weights = some.weights.expand(len(members), *some.weights.shape).clone().requires_grad_()
    embedding = members.each("embed_amounts", data.table, some, mine=(weights,))[:, which]
    charge, slope, first = _of_embedding(members, embedding, data.conditions[rows], data.voltage[rows])
    asked = data.first_charge[rows]
    first_miss = (first - asked.where(asked.isfinite(), first.detach())).abs()  # 0 where it is not known
    each = (
        CHARGE_WEIGHT * (charge - data.charge[rows]).square()
        + SLOPE_WEIGHT * (slope - data.slope[rows]).square()
        + FIRST_WEIGHT * first_miss
    ).mean(-1)
    (steep,) = torch.autograd.grad(charge.mean(-1).sum(), weights, create_graph=True)
    rough = (steep.square().sum(-1) + 1e-12).sqrt().sum(-1) / len(rows)
    return each, rough


def _said(
    members: Members, data: ProfileData, rows: Tensor, voltage: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return charge, slope and first charge of profiles at their own voltages, each `K x n x v`."""
    batch: CompositionBatch = data.batch
    embedding = embed_compositions(members, data.table, batch)[:, data.composition[rows]]
    volts = data.voltage[rows] if voltage is None else voltage
    return _of_embedding(members, embedding, data.conditions[rows], volts)


def _of_embedding(
    members: Members, embedding: Tensor, conditions: Conditions, voltage: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    window = conditions.window()
    first, now = members.each("states", mine=(embedding, members.each("condition", conditions)))
    charge, slope = members.each("discharge_slope", window, voltage, mine=(now,))
    return charge, slope, members.each("discharge", window, voltage, mine=(first,))
