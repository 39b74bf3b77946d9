"""Linear constraints together: the nearest point that fulfils them, and points spread over what they leave.

Both for many rows at once. A solver of quadratic programmes takes one row after the other.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor

_EXACT = 1e-12
"""How far a constraint of unit length is missed at most, but for rounding."""
_MET = 1e-9
"""How far it may be missed where constraints exclude each other by no more."""
_DEPENDENT = 1e-10
"""Squared length of what is left of a unit normal outside of others below which it depends on them."""


@dataclass(frozen=True)
class Polytope:
    """The points that fulfil `normals z >= rhs` in the plane that some equalities leave.

    Attributes:
        normals: `m x f`, float64, of unit length and within the plane; 0 where the plane decides alone.
        rhs: `m`.
        origin: `f`, the point of the plane next to 0.
        plane: `f x f`, takes a direction to its part within the plane.
    """

    normals: Tensor
    rhs: Tensor
    origin: Tensor
    plane: Tensor

    @staticmethod
    def of(matrix: Tensor, rhs: Tensor, is_equality: Tensor) -> Polytope:
        """Return that of `matrix z >= rhs`, or `=`.

        Args:
            matrix: `v x f`, float64.
            rhs: `v`.
            is_equality: `v`, bool.
        """
        inverse = torch.linalg.pinv(matrix[is_equality])
        origin = inverse @ rhs[is_equality]
        plane = torch.eye(matrix.shape[1]).to(matrix) - inverse @ matrix[is_equality]
        normals, rhs = matrix[~is_equality] @ plane, rhs[~is_equality] - matrix[~is_equality] @ origin
        return Polytope(*_of_unit_length(normals, rhs), origin, plane)

    def nearest(self, z: Tensor, normals: Tensor | None = None, rhs: Tensor | None = None) -> Tensor:
        """Return the nearest point that fulfils all, `n x f`; NaN where no point does.

        Args:
            z: `n x f`, float64.
            normals: `n x c x f`, of constraints that each row has besides.
            rhs: `n x c`, theirs.
        """
        inside = self.origin + z @ self.plane
        if normals is None or rhs is None:
            return nearest(inside, self.normals.expand(len(z), -1, -1), self.rhs.expand(len(z), -1))
        own_normals, own_rhs = _of_unit_length(normals @ self.plane, rhs - normals @ self.origin)
        both = (self.normals.expand(len(z), -1, -1), own_normals)
        return nearest(inside, torch.cat(both, 1), torch.cat([self.rhs.expand(len(z), -1), own_rhs], 1))

    def walk(self, inner: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        """Return where hit and run leads from points strictly within all constraints, `n x f`.

        Each step draws a direction, and then a point of the line along it that lies inside.

        Args:
            inner: `n x f`.
            steps: So many; the more, the more evenly the points are spread.
            generator: Of random numbers.

        Source: Smith, Oper. Res. 32, 1296 (1984).
        """
        z = inner
        for _ in range(steps):
            direction = torch.randn(z.shape, generator=generator, dtype=z.dtype) @ self.plane
            along = direction @ self.normals.T
            room = (z @ self.normals.T - self.rhs).clamp_min(0)
            ahead = torch.where(along < 0, room / -along, torch.inf).amin(1)
            behind = torch.where(along > 0, room / along, torch.inf).amin(1)
            share = torch.rand(len(z), generator=generator, dtype=z.dtype)
            step = share * (ahead + behind) - behind
            z = z + torch.where(step.isfinite(), step, 0.0)[:, None] * direction
        return z


def nearest(z: Tensor, normals: Tensor, rhs: Tensor) -> Tensor:
    """Return the nearest point with `normals z >= rhs` of each row, `n x f`; NaN where there is none.

    Exact: constraints enter one by one, the most missed first, and leave when their multiplier falls to 0.

    Args:
        z: `n x f`, float64.
        normals: `n x m x f`, of unit length, or 0 for a constraint that decides nothing.
        rhs: `n x m`.

    Source: Goldfarb and Idnani, Math. Program. 27, 1 (1983), with the identity as the quadratic term.
    """
    if not rhs.shape[1]:
        return z
    found = torch.full_like(z, torch.nan)
    nobody = torch.full((len(z),), -1)
    search = _Search(
        torch.arange(len(z)), z, normals, rhs, torch.zeros_like(rhs).bool(), torch.zeros_like(rhs), nobody
    )
    for _ in range(50 * (rhs.shape[1] + 1)):  # far beyond what it takes
        slack = _products(search.normals, search.z) - search.rhs
        worst, which = slack.masked_fill(search.active, torch.inf).min(1)
        entering = torch.where(search.entering < 0, which, search.entering)
        room = slack.gather(1, entering[:, None])[:, 0]
        step, further = _step(replace(search, entering=entering), room)
        # What a step cannot mend counts as met where rounding alone may have missed it.
        done = torch.where(search.entering < 0, worst >= -_EXACT, False)
        done |= ~further & (worst >= -_MET)
        of_done = search.at(done)
        found[of_done.rows] = _onto(z[of_done.rows], of_done)
        search = step.at(further & ~done)
        if not len(search.rows):
            break
    return found


@dataclass(frozen=True)
class _Search:
    """Where rows stand in the search of their nearest points.

    Attributes:
        rows: `n`, int64, which of those asked for.
        z: `n x f`, the nearest points by the active constraints.
        normals: `n x m x f`.
        rhs: `n x m`.
        active: `n x m`, bool.
        multiplier: `n x m`, of each constraint, 0 where it is not active.
        entering: `n`, int64, the constraint that is about to enter, -1 where none is.
    """

    rows: Tensor
    z: Tensor
    normals: Tensor
    rhs: Tensor
    active: Tensor
    multiplier: Tensor
    entering: Tensor

    def at(self, rows: Tensor) -> _Search:
        return _Search(*(getattr(self, one.name)[rows] for one in fields(self)))


def _step(search: _Search, slack: Tensor) -> tuple[_Search, Tensor]:
    """Move until the constraint that enters is met or another must leave; tell which rows can, `n`, bool.

    Args:
        search: A constraint enters in each row.
        slack: `n`, its room.
    """
    row = torch.arange(len(search.z))
    normal = search.normals[row, search.entering]
    weight = _weights(search, _products(search.normals, normal))
    direction = normal - (weight[:, None] @ search.normals)[:, 0]
    length = direction.square().sum(1)
    depends = length <= _DEPENDENT
    to_meet = torch.where(depends, torch.inf, -slack / length)
    ratios = torch.where(search.active & (weight > 0), search.multiplier / weight, torch.inf)
    to_drop, dropped = ratios.min(1)
    step = torch.minimum(to_meet, to_drop)
    enters = to_meet <= to_drop
    active, multiplier = search.active.clone(), search.multiplier - step[:, None] * weight
    multiplier[row, search.entering] += step
    active[row, torch.where(enters, search.entering, dropped)] = enters
    moved = torch.where(depends, 0.0, step)
    after = replace(
        search,
        z=search.z + moved[:, None] * direction,
        active=active,
        multiplier=torch.where(active, multiplier, 0.0).scatter(
            1, search.entering[:, None], multiplier.gather(1, search.entering[:, None])
        ),
        entering=torch.where(enters, -1, search.entering),
    )
    return after, step.isfinite()


def _onto(z: Tensor, search: _Search) -> Tensor:
    """Return the nearest points on the active constraints, `n x f`, free of what rounding has added up."""
    weight = _weights(search, search.rhs - _products(search.normals, z))
    return z + (weight[:, None] @ search.normals)[:, 0]


def _weights(search: _Search, products: Tensor) -> Tensor:
    """Return the weights of the active normals, `n x m`, whose sum has such products with each of them."""
    both = search.active[:, :, None] & search.active[:, None]
    gram = torch.where(both, search.normals @ search.normals.mT, 0.0)
    gram = gram + torch.diag_embed((~search.active).to(gram))
    solution: Tensor = torch.linalg.solve(gram, torch.where(search.active, products, 0.0))
    return solution


def _products(normals: Tensor, z: Tensor) -> Tensor:
    """Return the product of each row's `m` normals with its point, `n x m`."""
    return (normals @ z[:, :, None])[:, :, 0]


def _of_unit_length(normals: Tensor, rhs: Tensor) -> tuple[Tensor, Tensor]:
    """Return constraints over the length of their normals; without length they always or never hold."""
    length = normals.norm(dim=-1)
    decides = length > _MET
    over = torch.where(decides, length, 1.0)
    none = torch.where(rhs > _MET, torch.inf, -torch.inf)
    return torch.where(decides, 1.0, 0.0)[..., None] * normals / over[..., None], torch.where(
        decides, rhs / over, none
    )


def inner_point(matrix: Tensor, rhs: Tensor, is_equality: Tensor) -> tuple[Tensor, Tensor]:
    """Return a point within all constraints that leave room, `f`, and which do, `v`, bool.

    One linear programme: the most constraints that can have room at once have at least 1 somewhere on the ray
    from the point.

    Args:
        matrix: `v x f`, float64; some point fulfils all.
        rhs: `v`.
        is_equality: `v`, bool; these leave none.

    Raises:
        ValueError: If no point fulfils all.

    Source: Freund, Roundy and Todd, MIT Sloan working paper 1674-85 (1985).
    """
    rows, sides, equal = matrix.numpy(), rhs.numpy()[:, None], is_equality.numpy()
    below, width = rows[~equal], rows.shape[1]
    room = len(below)
    found = linprog(  # over z, the room of each inequality, and the length of the ray
        np.concatenate([np.zeros(width), -np.ones(room), [0.0]]),
        A_ub=np.hstack([-below, np.eye(room), sides[~equal]]),
        b_ub=np.zeros(room),
        A_eq=np.hstack([rows[equal], np.zeros((equal.sum(), room)), -sides[equal]]),
        b_eq=np.zeros(equal.sum()),
        bounds=[(None, None)] * width + [(0.0, 1.0)] * room + [(1.0, None)],
    )
    if found.status != 0:
        raise ValueError(f"no point fulfils the linear constraints: {found.message}")
    has_room = torch.zeros(len(rows), dtype=torch.bool)
    has_room[~is_equality] = torch.from_numpy(found.x[width:-1] > 0.5)
    return torch.from_numpy(found.x[:width] / found.x[-1]), has_room
