"""Experiments where gradients lead: from the best that was measured, else from the best of a pool."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from activelearn.ascent import ascend
from activelearn.asked import Asked, Proposals, said_of
from activelearn.free_amounts import function_of, may_stand, region_of, without_traces, worth_in
from activelearn.regions import Region
from surrogates.errors import InputError, Problem

_STEPS = 200
_SPREAD = 0.2
"""Of the range of each amount: starts from a pool are further apart, as long as there are such."""


@dataclass(frozen=True)
class _Path:
    """Where a start leads, within its own components.

    Attributes:
        region: Where its amounts may go.
        z: `p x f`, the points of the path, the highest first.
        value: `p`.
    """

    region: Region
    z: Tensor
    value: Tensor


def climbed(asked: Asked, q: int, candidates: Tensor) -> Proposals:
    """Return `q` experiments, each at the end of a start's gradient.

    The starts are the `q` best measured mixtures, then candidates of a pool that lie apart. Where an end
    could not be told from another or from what is known, the highest point on the way to it that can stands
    for it; where there is none, as around an optimum that was measured, the next starts are tried, and after
    so many again candidates are taken as they are.

    Args:
        asked: What for; what it acquires by is climbed.
        q: How many.
        candidates: Of the pool, at least `q`, the best first, none of them known.

    Raises:
        InputError: If not so many can be told apart.
    """
    e = asked.experiments
    pool = e.variables.rows(e.space.at(candidates, torch.float64), e.space.table)
    starts = _starts(asked, 2 * q, pool)
    x, value = pool[:0], torch.zeros(0, dtype=torch.float64)
    for some in (starts[:q], starts[q:]):
        if len(x) < q:
            x, value = _with_ends(asked, _paths(asked, some), x, value)
    x, value = x[:q], value[:q]
    found = len(x)
    more = (~e.is_beside(pool, x)).nonzero()[: q - found, 0]
    if len(more):
        x = torch.cat([x, pool[more]])
        with torch.no_grad():
            worth = function_of(asked, x[:0])(e.rows(e.mixtures(pool[more])).unsqueeze(-2))
        value = torch.cat([value, worth])
    if len(x) < q:
        wrong = f"{len(x)} mixtures are left that a laboratory can tell apart; {q} were asked for"
        raise InputError(Problem("space", wrong, "Ask for fewer, widen the space or loosen a constraint."))
    candidate = torch.cat([torch.full((found,), -1), candidates[more]])
    return Proposals(x, candidate, value, said_of(asked, x))


def _with_ends(asked: Asked, paths: list[_Path], x: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Return amounts and values with those to which paths lead: ends, the best first, then points before."""
    left: list[_Path] = []
    for ends_only in (True, False):
        for path in sorted(paths, key=lambda path: -float(path.value[0])) if ends_only else left:
            z = path.z[:1] if ends_only else path.z
            standing = may_stand(asked, path.region, z, x).nonzero()[:1, 0]
            if len(standing):
                x = torch.cat([x, path.region.amounts(z[standing])])
                value = torch.cat([value, path.value[standing]])
            elif ends_only:
                left.append(path)
    return x, value


def _starts(asked: Asked, q: int, pool: Tensor) -> Tensor:
    """Return the amounts to start from, at most `q`."""
    e = asked.experiments
    starts = pool[:0]
    base = e.baseline
    if e.measured is not None and len(base):
        best = base[e.measured.values[base].argsort(descending=True, stable=True)]
        x = e.measured_amounts(best)
        k = len(e.space.solvents)
        sizes = (x[:, :k] > 0).sum(1)
        # A space may not have, as candidates, all that its constraints allow.
        is_like = torch.isin(sizes, torch.tensor(e.space.solvents_per_mixture))
        is_like &= (x[:, k:-1] > 0).sum(1) <= 1
        starts = _spread(asked, starts, x[is_like], q, e.apart)
    width = pool.amax(0) - pool.amin(0)
    starts = _spread(asked, starts, pool, q, _SPREAD * torch.where(width > 0, width, torch.inf))
    return _spread(asked, starts, pool, q, e.apart)


def _spread(asked: Asked, starts: Tensor, more: Tensor, q: int, within: Tensor) -> Tensor:
    """Return starts with the first of others that are further from each of them than `within`, `d`."""
    while len(starts) < q and len(more):
        near = (torch.cdist(more / within, starts / within, p=torch.inf) < 1).any(1)
        more = more[~near]
        starts = torch.cat([starts, more[:1]])
    return starts


def _paths(asked: Asked, starts: Tensor) -> list[_Path]:
    """Climb from each start; those of the same components together."""
    found = []
    patterns, group = (starts[:, :-1] > 0).unique(dim=0, return_inverse=True)
    for number in range(len(patterns)):
        some = starts[group == number]
        try:
            region = region_of(asked, some[0])
            if region is None:
                continue
            ends = ascend(worth_in(asked, region, starts[:0]), region, some[:, list(region.free)], _STEPS)
        except InputError:  # what was measured with less of a component than candidates have may lead nowhere
            continue
        for start in range(len(some)):
            here = (ends.start == start).nonzero()[:, 0].flip(0)  # a path never falls
            found.append(_Path(region, without_traces(ends.z[here]), ends.value[here]))
    return found
