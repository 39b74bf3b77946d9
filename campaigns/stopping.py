"""Whether going on is worth it: what the next experiment is expected to bring, against noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from activelearn.acquisition import Kind
from activelearn.asked import Proposals
from campaigns.campaign_history import StoredMeasurement
from surrogates.laboratories import REPEATABILITY
from surrogates.quantities import conductivities
from surrogates.repeatability import is_log10_conductivity, repeatability

_SMALL = 0.1
"""Of the noise: a gain below this cannot be told from none without a hundred repeats."""
_NEGLIGIBLE = 0.01
"""Of the noise: a gain below this is next to nothing."""
REPEAT_THE_BEST = "Repeat the best before going on, so that it is known better."
NEXT_TO_NOTHING = "next to nothing is to be gained: less than 1 % of the noise of a measurement"
_WARNING = (
    "the best that is left is expected to gain less than 1 % of the noise of a measurement: it is hardly "
    "worth making. Widen the space, loosen a constraint, or stop"
)


@dataclass(frozen=True)
class Scatter:
    """How far measurements of one mixture lie apart.

    Attributes:
        std: Standard deviation, in the target's unit.
        percent: The same of a conductivity, in percent of it; None of any other target.
        source: Whose noise it is, in words.
    """

    std: float
    percent: float | None
    source: str


def same_candidates(rows: Sequence[StoredMeasurement]) -> list[list[StoredMeasurement]]:
    """Return measurements by candidate, in the order of the first of each."""
    found: list[list[StoredMeasurement]] = []
    of: dict[frozenset[str], list[list[StoredMeasurement]]] = {}
    for row in rows:
        alike = of.setdefault(row.candidate.components(), [])
        same = next((group for group in alike if group[0].candidate.is_same(row.candidate)), None)
        if same is None:
            alike.append([row])
            found.append(alike[-1])
        else:
            same.append(row)
    return found


def scatter_of(target: str, rows: Sequence[StoredMeasurement], best: float, stated: float) -> Scatter:
    """Return how measurements repeat: by the replicates of a campaign, drawn towards what is expected.

    Of a conductivity 3 % is expected (`surrogates.laboratories.REPEATABILITY`), of what is none the noise
    that the model states, which may be far from what the laboratory repeats to.

    Args:
        target: What is measured, with its unit.
        rows: The measurements that count.
        best: Best of them, in the target's unit.
        stated: Standard deviation of a measurement around the truth that the model states, likewise.
    """
    groups = same_candidates(rows)
    values = torch.tensor([m.values.get(target, math.nan) for group in groups for m in group]).double()
    group = torch.tensor([number for number, alike in enumerate(groups) for _ in alike], dtype=torch.int64)
    is_conductivity, is_log = target in conductivities(), is_log10_conductivity(target)
    if is_conductivity and not is_log:
        values = values.log10()
    found = repeatability(values, group, REPEATABILITY if is_conductivity else stated)
    usual = f"the {_percent(REPEATABILITY):.2g} % that laboratories usually repeat to"
    expected = usual if is_conductivity else "what the model takes for noise"
    source = f"{expected}; no mixture was measured twice"
    if found.freedom:
        degrees = f"{found.freedom} degree{'s' * (found.freedom != 1)} of freedom"
        source = f"from repeated mixtures, {degrees}, and {expected}"
    if not is_conductivity:
        return Scatter(found.std, None, source)
    percent = _percent(found.std)
    return Scatter(found.std if is_log else best * percent / 100, percent, source)


def hint_of(target: str, gain: float, best: float, scatter: Scatter) -> str:
    """Return whether to go on: what the next experiment is expected to bring, against noise.

    Args:
        target: What is measured, with its unit.
        gain: Expected improvement on the best so far, in the target's unit.
        best: Best so far, likewise.
        scatter: How measurements repeat.
    """
    told, noise = f"{gain:.2g}", f"{scatter.std:.2g}"
    if scatter.percent is not None:
        of_it = _percent(gain) if is_log10_conductivity(target) else 100 * gain / best
        told, noise = f"{of_it:.2g} %", f"{scatter.percent:.2g} %"
    words = (
        f"the next experiment is expected to gain {told}, and a measurement scatters by {noise} "
        f"({scatter.source})"
    )
    return verdict(gain, scatter.std, words, REPEAT_THE_BEST)


def verdict(gain: float, noise: float, words: str, mend: str) -> str:
    """Return whether to go on, in words.

    Args:
        gain: What the next experiment is expected to bring.
        noise: What noise makes uncertain of it, in the same unit.
        words: Both, in a clause.
        mend: What to do where gains become small, a sentence.
    """
    if gain >= noise:
        return f"Go on: {words}."
    if gain >= _SMALL * noise:
        return f"Gains become small: {words}. {mend}"
    return f"It may be time to stop: {words}."


def is_hopeless(kind: Kind, found: Proposals) -> bool:
    """Return whether the best that is left is expected to improve on what was measured by next to nothing.

    Args:
        kind: Of expected improvements alone it can be told.
        found: The proposals, at least one, where something was measured.
    """
    if kind not in ("log-nei", "log-ei"):
        return False
    noise = found.prediction.aleatoric.double().sqrt()
    return bool((found.value.exp() < _NEGLIGIBLE * noise).all())


def worth_warnings(proposals: pd.DataFrame) -> list[str]:
    """Return a sentence if proposals say that next to nothing is to be gained by any of them."""
    return [_WARNING] if proposals["why"].str.endswith(NEXT_TO_NOTHING).all() else []


def _percent(log10: float) -> float:
    """Return a difference of log10 as percent of the value itself."""
    return 100 * math.expm1(log10 * math.log(10))
