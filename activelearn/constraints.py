"""What a candidate must fulfil, written once: a screen masks by it, BoTorch takes it, an ascent follows it.

A constraint is a differentiable residual `g(x)` in natural units that must be at least 0, or be 0. `x` holds
the amounts of a candidate, float64; `chemical_constraints` says which of a mixture and of a composition.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from surrogates.errors import InputError, Problem

TOLERANCE = 1e-6
"""How far a residual may be on the wrong side of 0, over the size of the numbers it is the difference of."""
BoTorchLinear = tuple[Tensor, Tensor, float]
"""Indices, coefficients and right-hand side: `sum_i x[indices[i]] * coefficients[i] >= rhs`, or `=`."""


class Constraint(Protocol):
    """A residual with the name and the unit that messages give it."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def unit(self) -> str:
        """Of the residual, empty for a pure number."""

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns of `x` that it reads; gradients reach no others."""

    @property
    def tolerance(self) -> float:
        """How far it may be missed, in its unit."""

    @property
    def is_equality(self) -> bool:
        """Whether the residual must be 0."""

    def residual(self, x: Tensor) -> Tensor:
        """Return `g(x)`, `...`, of candidates `... x d`, float64, in its unit."""


@dataclass(frozen=True)
class Linear:
    """`sum_i coefficient_i x_i - rhs`, at least 0 or 0.

    Attributes:
        name: What people call it.
        unit: Of the residual.
        terms: Columns of `x`, each once, with their coefficients.
        rhs: The right-hand side.
        is_equality: Whether it must be 0.
    """

    name: str
    unit: str
    terms: tuple[tuple[int, float], ...]
    rhs: float
    is_equality: bool = False

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns of `x` that it reads."""
        return tuple(column for column, _ in self.terms)

    @property
    def tolerance(self) -> float:
        """How far it may be missed; a screen's temperatures are float32."""
        return TOLERANCE * max(1.0, abs(self.rhs))

    def residual(self, x: Tensor) -> Tensor:
        """Return `g(x)`, `...`."""
        indices, coefficients, rhs = self.for_botorch()
        return x[..., indices] @ coefficients.to(x) - rhs

    def for_botorch(self) -> BoTorchLinear:
        """Return it as BoTorch's optimisers take a linear constraint."""
        coefficients = torch.tensor([value for _, value in self.terms], dtype=torch.float64)
        return torch.tensor(self.columns, dtype=torch.int64), coefficients, self.rhs


@dataclass(frozen=True)
class AtMost:
    """At most so many of some components are present: minus all that goes beyond the largest so many."""

    name: str
    columns: tuple[int, ...]
    count: int
    unit: str = ""
    tolerance: float = TOLERANCE
    is_equality: bool = False

    def residual(self, x: Tensor) -> Tensor:
        """Return `g(x)`, `...`, never above 0."""
        amounts = x[..., list(self.columns)]
        smallest = max(amounts.shape[-1] - self.count, 0)
        return -amounts.topk(smallest, dim=-1, largest=False).values.sum(-1)


@dataclass(frozen=True)
class LeastIfPresent:
    """Each of some components is absent or has at least so much: minus what the worst is away from either."""

    name: str
    columns: tuple[int, ...]
    least: float
    unit: str = ""
    tolerance: float = TOLERANCE
    is_equality: bool = False

    def residual(self, x: Tensor) -> Tensor:
        """Return `g(x)`, `...`; what an absent component leaves, 0, is its largest value."""
        amounts = x[..., list(self.columns)]
        return torch.maximum(-amounts, amounts - self.least).amin(-1).clamp_max(0)


@dataclass(frozen=True)
class FromFunction:
    """A function of the user's own: it takes the amounts by name, `...` each, and returns `g`, `...`.

    Attributes:
        path: Where it is, as `package.module:function`; imported where it is first needed.
        variables: Names of the columns of `x`.
    """

    path: str
    variables: tuple[str, ...]
    unit: str = ""
    tolerance: float = TOLERANCE
    is_equality: bool = False

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    @property
    def columns(self) -> tuple[int, ...]:
        """All."""
        return tuple(range(len(self.variables)))

    def residual(self, x: Tensor) -> Tensor:
        """Return `g(x)`, `...`.

        Raises:
            InputError: If there is no such function, or it gives something else.
        """
        said = imported(self.path)(dict(zip(self.variables, x.unbind(-1), strict=True)))
        if not isinstance(said, Tensor) or said.shape != x.shape[:-1]:
            came = f"shape {list(said.shape)}" if isinstance(said, Tensor) else type(said).__name__
            wrong = f"it gave {came} for amounts of shape {list(x.shape[:-1])}; a tensor of that was expected"
            raise InputError(Problem(f'constraint "{self.path}"', wrong, "Return one number a candidate."))
        if not said.isfinite().all():
            wrong = "it gave a number that is not finite"
            mend = "Give a number for every candidate, below 0 where it is not allowed."
            raise InputError(Problem(f'constraint "{self.path}"', wrong, mend))
        return said


@cache
def imported(path: str) -> Callable[[Mapping[str, Tensor]], object]:
    """Return the function that an import path names.

    Raises:
        InputError: If there is none.
    """
    module, _, name = path.partition(":")
    mend = "Write it as package.module:function, and let $PYTHONPATH lead to the module."
    try:
        found = getattr(import_module(module), name, None) if module and name else None
    except Exception as error:  # the module is the user's, and may fail in any way
        wrong = f"its module cannot be imported: {type(error).__name__}: {error}"
        raise InputError(Problem(f'constraint "{path}"', wrong, mend)) from None
    if not callable(found):
        raise InputError(Problem(f'constraint "{path}"', "there is no such function", mend))
    function: Callable[[Mapping[str, Tensor]], object] = found
    return function


def source_sha256(path: str) -> str | None:
    """Return the hash of the file that a function of the user's own stands in, None if it stands in none.

    Of the module that is named and of the one that defines it; what either imports is not in it.
    """
    module, _, _ = path.partition(":")
    homes = [module, getattr(imported(path), "__module__", module)]
    found = [getattr(sys.modules.get(home), "__file__", None) for home in dict.fromkeys(homes)]
    content = b"".join(Path(file).read_bytes() for file in found if file and Path(file).is_file())
    return sha256(content).hexdigest() if content else None


@dataclass(frozen=True)
class Violation:
    """A constraint that a candidate misses, and by how much, above 0, in its unit."""

    name: str
    by: float
    unit: str

    def __str__(self) -> str:
        return f'"{self.name}" is missed by {self.by:.4g} {self.unit}'.rstrip()


@dataclass(frozen=True)
class Constraints:
    """All that candidates must fulfil.

    Attributes:
        variables: Names of the `d` columns of `x`.
        domain: What holds for each candidate of the space anyway: sums, and the range of each amount.
        asked: What the user asks besides.

    Raises:
        InputError: If two have one name.
    """

    variables: tuple[str, ...]
    domain: tuple[Linear, ...]
    asked: tuple[Constraint, ...]

    def __post_init__(self) -> None:
        count = Counter(one.name for one in self.all)
        if twice := [name for name, times in count.items() if times > 1]:
            raise InputError(
                [Problem("constraints", f'"{name}" stands there twice', "Remove one.") for name in twice]
            )

    @cached_property
    def all(self) -> tuple[Constraint, ...]:
        """Those of the domain, then those asked, `v` together."""
        return *self.domain, *self.asked

    def slacks(self, x: Tensor) -> Tensor:
        """Return how much room each leaves, `... x v`; below 0 it is missed by so much.

        Args:
            x: `... x d`, float64.
        """
        return torch.stack([slack(one, x) for one in self.all], dim=-1)

    def is_feasible(self, x: Tensor) -> Tensor:
        """Return whether each candidate fulfils all within their tolerances, `...`, bool."""
        return is_met(self.all, self.slacks(x)).all(-1)

    def violations(self, x: Tensor) -> list[Violation]:
        """Return what one candidate, `d`, misses and by how much."""
        room = self.slacks(x).tolist()
        return [
            Violation(one.name, -left, one.unit)
            for one, left in zip(self.all, room, strict=True)
            if not left >= -one.tolerance
        ]

    def linear_inequalities(self) -> list[BoTorchLinear]:
        """Return what `optimize_acqf` takes as `inequality_constraints`."""
        return [one.for_botorch() for one in self.all if isinstance(one, Linear) and not one.is_equality]

    def linear_equalities(self) -> list[BoTorchLinear]:
        """Return what `optimize_acqf` takes as `equality_constraints`."""
        return [one.for_botorch() for one in self.all if isinstance(one, Linear) and one.is_equality]

    def nonlinear_inequalities(self) -> list[tuple[Callable[[Tensor], Tensor], bool]]:
        """Return what `optimize_acqf` takes as `nonlinear_inequality_constraints`, each of one point."""
        return [(one.residual, True) for one in self.all if not isinstance(one, Linear)]


def slack(constraint: Constraint, x: Tensor) -> Tensor:
    """Return the room that a constraint leaves, `...`: its residual, of an equality minus its size."""
    residual = constraint.residual(x)
    return -residual.abs() if constraint.is_equality else residual


def is_met(constraints: Sequence[Constraint], room: Tensor) -> Tensor:
    """Return whether the room that each of `v` constraints leaves, `... x v`, is within its tolerance."""
    return room >= -torch.tensor([one.tolerance for one in constraints], dtype=torch.float64)
