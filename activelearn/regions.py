"""Candidates of the same components: a space whose constraints hold without combinatorics, to move about in.

Columns have different units. Lengths and steps are measured in `Region.scale` of each; columns that a sum
ties together, as fractions, have one scale, so that among them lengths are Euclidean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor

from activelearn.conflicts import check_possible, is_possible
from activelearn.constraints import (
    AtMost,
    BoTorchLinear,
    Constraint,
    Constraints,
    LeastIfPresent,
    Linear,
    slack,
)
from activelearn.polytopes import Polytope, inner_point
from surrogates.errors import InputError, Problem

_NO_COLUMNS: Mapping[int, float] = MappingProxyType({})
_STEPS, _STEPS_A_COLUMN = 20, 10
"""Of hit and run, from one point to points that no longer show where they began."""
_FEW, _MANY = 64, 4096
_ROUNDS = 8
"""Times that points are drawn, each time twice as many, and those kept that nonlinear constraints allow."""
_CORRECTIONS = 30
_MARGIN = 1e-6
"""Share of its tolerance by which a nonlinear constraint may be missed where points are brought into it."""


@dataclass(frozen=True)
class Region:
    """Candidates of the same components whose amounts run freely: a piece of a constrained space.

    Where a region has no point, all but `is_empty` raises an `InputError` that names the constraints that
    exclude each other.

    Attributes:
        constraints: Over all `d` columns.
        free: The `f` columns that may move.
        fixed: `d`, float64, what every other column is; 0 at the free ones.
    """

    constraints: Constraints
    free: tuple[int, ...]
    fixed: Tensor

    @staticmethod
    def of(
        constraints: Constraints, present: Sequence[int], fixed: Mapping[int, float] = _NO_COLUMNS
    ) -> Region:
        """Return the region of some components.

        Args:
            constraints: Over all `d` columns. Of those present, how many there may be is checked here, and
                the least amount of each becomes a linear constraint.
            present: Columns that are there and run freely.
            fixed: Columns held at a value, as a temperature or a molality. All others are 0, absent.

        Raises:
            ValueError: If no column is free, or one is fixed too.
            InputError: If more components are present than a constraint allows.
        """
        if not present:
            raise ValueError("no column is free")
        if both := sorted({*present} & {*fixed}):
            raise ValueError(f"column {both[0]} is both free and fixed")
        values = torch.zeros(len(constraints.variables), dtype=torch.float64)
        for column, value in fixed.items():
            values[column] = value
        region = Region(constraints, tuple(present), values)
        problems = []
        for one in constraints.all:
            there = region._present(one)
            if isinstance(one, AtMost) and len(there) > one.count:
                names = ", ".join(constraints.variables[column] for column in there)
                wrong = f"{len(there)} components came, {names}; at most {one.count} may be present"
                problems.append(Problem(f'constraint "{one.name}"', wrong, "Leave some out."))
        if problems:
            raise InputError(problems)
        return region

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the `f` free columns."""
        return tuple(self.constraints.variables[column] for column in self.free)

    @cached_property
    def nonlinear(self) -> tuple[Constraint, ...]:
        """The `c` constraints over all `d` columns that are not linear once it is known who is present."""
        return tuple(
            one for one in self.constraints.all if not isinstance(one, Linear | AtMost | LeastIfPresent)
        )

    @property
    def is_empty(self) -> bool:
        """Whether the linear constraints leave nothing."""
        return not is_possible(self._over_free)

    def amounts(self, z: Tensor) -> Tensor:
        """Return all columns, `... x d`, of the free ones, `... x f`; gradients pass."""
        return (
            self.fixed.to(z)
            .expand(*z.shape[:-1], -1)
            .index_copy(-1, torch.tensor(self.free, dtype=torch.int64), z)
        )

    def bounds(self) -> Tensor:
        """Return the lowest and the highest value that the linear constraints leave each column, `2 x f`."""
        return self._bounds

    @cached_property
    def scale(self) -> Tensor:
        """What counts as a length of 1 along each free column, `f`, in its unit: how far it runs.

        Columns that an equality ties with equal coefficients have the largest of theirs.
        """
        width = self._bounds[1] - self._bounds[0]
        tied = list(range(len(width)))
        for one in self._linear:
            sizes = {column: abs(value) for column, value in one.terms}
            if one.is_equality and len(set(sizes.values())) == 1:
                known = {tied[column] for column in sizes}
                tied = [min(known) if group in known else group for group in tied]
        groups = torch.tensor(tied, dtype=torch.int64)
        widest = torch.zeros_like(width).scatter_reduce(0, groups, width, "amax")[groups]
        return torch.where(widest > 0, widest, 1.0)

    def linear_inequalities(self) -> list[BoTorchLinear]:
        """Return what `optimize_acqf` takes beside `bounds`: those of more than one free column, over `z`."""
        several = [one for one in self._linear if len(one.terms) > 1]
        return [one.for_botorch() for one in several if not one.is_equality]

    def linear_equalities(self) -> list[BoTorchLinear]:
        """Return what `optimize_acqf` takes as `equality_constraints`, over `z`."""
        several = [one for one in self._linear if len(one.terms) > 1]
        return [one.for_botorch() for one in several if one.is_equality]

    def nonlinear_inequalities(self) -> list[tuple[Callable[[Tensor], Tensor], bool]]:
        """Return what `optimize_acqf` takes as `nonlinear_inequality_constraints`, each of one point `f`."""
        return [(self._residual(one), True) for one in self.nonlinear]

    def slacks(self, z: Tensor) -> Tensor:
        """Return how much room each nonlinear constraint leaves, `... x c`, in its unit; gradients pass."""
        x = self.amounts(z)
        rooms = [slack(one, x) for one in self.nonlinear]
        return torch.stack(rooms, -1) if rooms else z.new_zeros(*z.shape[:-1], 0)

    def project(self, z: Tensor) -> Tensor:
        """Return the nearest points that fulfil the linear constraints, `n x f`, lengths in `scale`.

        Args:
            z: `n x f`, float64.
        """
        return self._back(self._polytope.nearest(self._scaled(z)))

    def project_within(self, z: Tensor, normals: Tensor, rhs: Tensor) -> Tensor:
        """Return the same with `normals z >= rhs` besides; NaN where no point fulfils that too.

        Args:
            z: `n x f`, float64.
            normals: `n x c x f`.
            rhs: `n x c`.
        """
        own_rhs = rhs - normals @ self._bounds[0]
        return self._back(self._polytope.nearest(self._scaled(z), normals * self.scale, own_rhs))

    def within_plane(self, slope: Tensor) -> Tensor:
        """Return the part of slopes along the free columns, `n x f`, that the linear equalities leave."""
        return (slope * self.scale) @ self._polytope.plane / self.scale

    def bring_in(self, z: Tensor, corrections: int = _CORRECTIONS) -> Tensor:
        """Return points nearby that fulfil the nonlinear constraints too, `n x f`; NaN where none is found.

        Each correction goes to the nearest point at which the constraints, made linear, hold.

        Args:
            z: `n x f`, float64, within the linear constraints.
            corrections: At most so many.
        """
        if not self.nonlinear:
            return z
        margin = _MARGIN * torch.tensor([one.tolerance for one in self.nonlinear], dtype=torch.float64)
        left = torch.arange(len(z))
        for _ in range(corrections):
            room, slope = self.linearised(z[left])
            outside = ~(room >= -margin).all(1)
            left, room, slope = left[outside], room[outside], slope[outside]
            if not len(left):
                return z
            rhs = torch.einsum("ncf,nf->nc", slope, z[left]) - room
            moved = self.project_within(z[left], slope, rhs)
            z = z.index_copy(0, left, moved)
            left = left[moved.isfinite().all(1)]
        outside = ~(self.slacks(z[left]) >= -margin).all(1)
        return z.index_fill(0, left[outside], torch.nan)

    def linearised(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the room of each nonlinear constraint, `n x c`, and its slope along `z`, `n x c x f`."""
        z = z.detach().requires_grad_()
        room = self.slacks(z)
        slopes = [
            torch.autograd.grad(one.sum(), z, retain_graph=True, allow_unused=True)[0]
            if one.requires_grad
            else None
            for one in room.unbind(-1)
        ]
        found = [torch.zeros_like(z) if slope is None else slope for slope in slopes]
        return room.detach(), torch.stack(found, 1) if found else z.new_zeros(len(z), 0, z.shape[1])

    def is_feasible(self, z: Tensor) -> Tensor:
        """Return whether each point fulfils all constraints within their tolerances, `n`, bool."""
        tolerance = torch.tensor([one.tolerance for one in self._linear], dtype=torch.float64)
        linear = [slack(one, z) >= -at_most for one, at_most in zip(self._linear, tolerance, strict=True)]
        return self.constraints.is_feasible(self.amounts(z)) & torch.stack(linear).all(0)

    def sample(self, n: int, seed: int) -> Tensor:
        """Return up to `n` feasible points spread over the region, `... x f`.

        Where the nonlinear constraints leave so little that hardly any are met, the others are brought in
        from outside and lie at its edge.

        Args:
            n: At least 1.
            seed: The same gives the same points.

        Raises:
            InputError: If none is found; it names the constraint that excludes most.
        """
        generator = torch.Generator().manual_seed(seed)
        inner, polytope = self._interior
        if not polytope.plane.abs().max() > 1e-9:  # a single point
            n = 1
        steps, met = _STEPS + _STEPS_A_COLUMN * len(self.free), []
        for doubled in range(_ROUNDS):
            drawn = min(max(n, _FEW) << doubled, max(n, _MANY)) if self.nonlinear else n
            walked = polytope.walk(inner.expand(drawn, -1), steps, generator)
            points = self.project(self._back(walked))
            met.append(points[self.is_feasible(points)])
            if sum(map(len, met)) >= n:
                return torch.cat(met)[:n]
        brought = self.bring_in(points)
        brought = brought[brought.isfinite().all(1)]
        found = torch.cat([*met, brought[self.is_feasible(brought)]])[:n]
        if not len(found):
            raise InputError(self._nothing_found(points))
        return found

    def _nothing_found(self, points: Tensor) -> Problem:
        tolerance = torch.tensor([one.tolerance for one in self.nonlinear], dtype=torch.float64)
        missed = (self.slacks(points) < -tolerance).double().mean(0)
        most = int(missed.argmax())
        wrong = (
            f"no candidate of {', '.join(self.names)} was found; of {len(points)} that fulfil the linear "
            f"constraints it excludes {100 * missed[most]:.3g} %"
        )
        return Problem(f'constraint "{self.nonlinear[most].name}"', wrong, "Loosen it, or change the space.")

    def _present(self, one: Constraint) -> list[int]:
        """Return the columns of a constraint that are free or fixed above 0."""
        return [column for column in one.columns if column in self.free or self.fixed[column] > 0]

    def _residual(self, one: Constraint) -> Callable[[Tensor], Tensor]:
        return lambda z: one.residual(self.amounts(z))

    @cached_property
    def _over_free(self) -> Constraints:
        """The linear constraints over the free columns alone, by name."""
        linear = []
        for one in self.constraints.all:
            if isinstance(one, Linear):
                linear.append(self._reduced(one))
            elif isinstance(one, LeastIfPresent):
                for column in self._present(one):
                    name = f"{one.name}: {self.constraints.variables[column]}"
                    linear.append(self._reduced(Linear(name, one.unit, ((column, 1.0),), one.least)))
        return Constraints(self.names, (), tuple(linear))

    def _reduced(self, one: Linear) -> Linear:
        terms = tuple((self.free.index(column), value) for column, value in one.terms if column in self.free)
        held = sum(value * float(self.fixed[column]) for column, value in one.terms)
        return Linear(one.name, one.unit, terms, one.rhs - held, one.is_equality)

    @cached_property
    def _linear(self) -> tuple[Linear, ...]:
        """Those of the linear constraints that a free column stands in."""
        check_possible(self._over_free)
        return tuple(one for one in self._over_free.asked if isinstance(one, Linear) and one.terms)

    @cached_property
    def _matrix(self) -> tuple[Tensor, Tensor, Tensor]:
        """Coefficients, `v x f`, right-hand sides, `v`, and whether each is an equality."""
        matrix = torch.zeros(len(self._linear), len(self.free), dtype=torch.float64)
        for row, one in zip(matrix, self._linear, strict=True):
            for column, value in one.terms:
                row[column] = value
        rhs = torch.tensor([one.rhs for one in self._linear], dtype=torch.float64)
        return matrix, rhs, torch.tensor([one.is_equality for one in self._linear], dtype=torch.bool)

    @cached_property
    def _box(self) -> Tensor:
        """What the constraints of one column alone leave of it, `2 x f`."""
        low = torch.full((len(self.free),), -torch.inf, dtype=torch.float64)
        high = -low
        for one in self._linear:
            if len(one.terms) == 1:
                ((column, value),) = one.terms
                end = one.rhs / value
                if value > 0 or one.is_equality:
                    low[column] = max(float(low[column]), end)
                if value < 0 or one.is_equality:
                    high[column] = min(float(high[column]), end)
        return torch.stack([low, torch.maximum(low, high)])  # they may cross by rounding

    @cached_property
    def _bounds(self) -> Tensor:
        matrix, rhs, equal = (part.numpy() for part in self._matrix)
        # One programme of independent blocks, an end of a column each: many small ones take longer to pose.
        f = len(self.free)
        signs = np.vstack([np.eye(f), -np.eye(f)])
        below, equals = (np.kron(np.eye(2 * f), part) for part in (-matrix[~equal], matrix[equal]))
        sides, values = np.tile(-rhs[~equal], 2 * f), np.tile(rhs[equal], 2 * f)
        found = linprog(signs.ravel(), below, sides, equals, values, bounds=(None, None))
        if found.status != 0:
            open_ended = ~self._box.isfinite().all(0)
            names = [name for name, is_open in zip(self.names, open_ended, strict=True) if is_open]
            wrong = f"nothing bounds {' or '.join(names)} on one side"
            raise InputError(Problem("constraints", wrong, "Add a bound."))
        ends = torch.from_numpy((signs * found.x.reshape(2 * f, f)).sum(1).reshape(2, f))
        ends[1] = -ends[1]
        return self._clamped(ends)

    def _scaled(self, z: Tensor) -> Tensor:
        """Return points in lengths of `scale` from the lowest values, where rounding is least."""
        return (z - self._bounds[0]) / self.scale

    def _back(self, scaled: Tensor) -> Tensor:
        return self._clamped(self._bounds[0] + scaled * self.scale)

    def _clamped(self, z: Tensor) -> Tensor:
        """Return points that rounding has left outside of a column's own bounds on them."""
        return z.clamp(*self._box)

    @cached_property
    def _scaled_matrix(self) -> tuple[Tensor, Tensor, Tensor]:
        """`_matrix` over `_scaled` points."""
        matrix, rhs, equal = self._matrix
        return matrix * self.scale, rhs - matrix @ self._bounds[0], equal

    @cached_property
    def _polytope(self) -> Polytope:
        """Of `_scaled` points."""
        return Polytope.of(*self._scaled_matrix)

    @cached_property
    def _interior(self) -> tuple[Tensor, Polytope]:
        """A point from which to walk, and the polytope with what leaves no room as equalities, scaled."""
        matrix, rhs, equal = self._scaled_matrix
        inner, has_room = inner_point(matrix, rhs, equal)
        return inner, Polytope.of(matrix, rhs, ~has_room)
