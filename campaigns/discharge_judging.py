"""Discharge models beside each other: what each says of capacities that it was not fitted to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, pstdev
from typing import Literal

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor

from surrogates.calibration import GAUSSIAN_FACTOR, scores
from surrogates.discharge_forest import CapacityForest
from surrogates.discharge_gp import capacities_of
from surrogates.discharge_gp_fitting import fit_discharge_gp
from surrogates.discharge_models import CapacityScores, DischargeCard
from surrogates.discharge_profiles import ProfileData, metal_combinations
from surrogates.discharge_training import (
    FEWEST_PROFILES,
    ProfileScores,
    ProfileSettings,
    check_profiles,
    member_capacities,
    profile_domain,
    score_profiles,
)
from surrogates.members import Members
from surrogates.splits import Split, holdouts

DischargeRival = Literal["ensemble", "gp", "forest"]
COMPOSITIONS, PROFILES, METALS = "compositions", "profiles of the one composition", "metal combinations"
"""What tests, and what no training profile therefore shares with a test profile."""
SHOWN = {
    "mae": "MAE",
    "rmse": "RMSE",
    "spearman": "Spearman",
    "nll": "NLL",
    "crps": "CRPS",
    "coverage_90": "coverage of 90 %",
    "width_90": "its width",
}
_LEAST_STD_MAH_G = 1e-3
"""Of members that agree to the last digit."""


def profile_splits(
    data: ProfileData, settings: ProfileSettings, repeats: int, fraction: float, seed: int
) -> list[Split]:
    """Return splits by composition, or by profile of a single one, and by combination of metals.

    The latter are left out where there is one combination, or none has two compositions; one of their splits
    that leaves too few profiles to train on is left out too.

    Args:
        data: Discharge profiles.
        settings: Of the ensemble.
        repeats: Of each kind.
        fraction: Share of the compositions, profiles or combinations that test.
        seed: Of the draw.

    Raises:
        InputError: If a split by composition or profile leaves too few profiles to train on.
    """
    if not repeats:
        return []

    def drawn(tested: str, groups: Tensor) -> list[Split]:
        return [
            Split(tested, trains.nonzero()[:, 0], (~trains).nonzero()[:, 0], seed + number)
            for number, trains in enumerate(holdouts(groups, repeats, fraction, seed))
        ]

    several = len(data.batch) > 1
    splits = drawn(COMPOSITIONS, data.composition) if several else drawn(PROFILES, torch.arange(len(data)))
    for split in splits:
        check_profiles(data, split.train, settings)
    metals = metal_combinations(data)
    if 1 < len(metals.unique()) < len(data.batch):
        splits += [split for split in drawn(METALS, metals) if len(split.train) >= FEWEST_PROFILES]
    return splits


def judge_profiles(
    data: ProfileData,
    splits: Sequence[Split],
    models: Sequence[DischargeRival],
    fitted: Callable[[Tensor, int], Members],
) -> tuple[list[ProfileScores], tuple[CapacityScores, ...]]:
    """Return the ensemble's scores of whole profiles on splits of the first kind, and all of capacities.

    Args:
        data: Discharge profiles.
        splits: Which train and which test.
        models: What is judged.
        fitted: Returns the ensemble fitted to some rows, with a seed.
    """
    whole: list[ProfileScores] = []
    found: dict[tuple[str, DischargeRival], list[dict[str, float]]] = {}
    for split in splits:
        members = fitted(split.train, split.seed)
        if split.name != METALS:
            whole.append(score_profiles(members, data, split.test))
        target = capacities_of(data)[split.test]
        for model in models:
            its = scores(target, *_said(model, members, data, split))
            shown = {name: float(getattr(its, name)) for name in SHOWN}
            found.setdefault((split.name, model), []).append(shown)
    return whole, tuple(_summed_up(tested, model, each) for (tested, model), each in found.items())


def print_capacity_scores(card: DischargeCard, console: Console) -> None:
    """Print the scores of capacities, a line for each surrogate on each kind of split."""
    table = Table(
        "test profiles",
        "surrogate",
        *SHOWN.values(),
        box=SIMPLE_HEAD,
        title=f"{card.name}: capacity, mAh/g, mean over splits ± standard deviation",
    )
    for row in card.scores:
        cells = [f"{_number(row.mean[name])} ± {_number(row.std[name])}" for name in SHOWN]
        table.add_row(f"{row.tested} ({row.repeats} splits)", row.model, *cells)
    if card.scores:
        console.print(table)


def _said(
    model: DischargeRival, members: Members, data: ProfileData, split: Split
) -> tuple[Tensor, Tensor, float]:
    """Return mean and standard deviation of test capacities, mAh/g, and how many of these hold 90 %."""
    if model == "forest":
        forest = CapacityForest.fit(data, split.train, split.seed)
        return *forest.predict(data, split.test), forest.calibration.interval_factor
    if model == "gp":
        domain = profile_domain(members, data)  # of which nothing is asked here
        gp = fit_discharge_gp(members, domain, data, split.train, split.seed)
        said = gp.predict(data.table, data.batch[data.composition[split.test]], data.conditions[split.test])
        return said.mean, said.std, gp.calibration.interval_factor
    each = member_capacities(members, data, split.test)
    return each.mean(0), each.std(0).clamp_min(_LEAST_STD_MAH_G), GAUSSIAN_FACTOR


def _summed_up(tested: str, model: DischargeRival, each: Sequence[dict[str, float]]) -> CapacityScores:
    columns = {name: [one[name] for one in each] for name in SHOWN}
    return CapacityScores(
        tested=tested,
        model=model,
        repeats=len(each),
        mean={name: _finite(fmean(values)) for name, values in columns.items()},
        std={
            name: pstdev(values) if all(map(math.isfinite, values)) else None
            for name, values in columns.items()
        },
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
