"""Whether constraints leave anything, found before anything runs: which of them exclude each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linprog

from activelearn.constraints import Constraints, Linear
from activelearn.screening import BLOCK, Mask, Space
from surrogates.errors import InputError, Problem

_MISSED = 1e-9
"""Sum of what constraints miss below which they are met; a solver's rounding."""


def check_possible(constraints: Constraints, where: str = "constraints") -> None:
    """Check that some amounts fulfil all linear constraints together.

    Whether the others can be fulfilled too is not known before a candidate is found.

    Args:
        constraints: Those asked, and the domain that always holds.
        where: What the error calls their place.

    Raises:
        InputError: If none do; it names constraints that exclude each other, of which each could stay without
            the others, and how much each alone would have to give.
    """
    asked = [one for one in constraints.asked if isinstance(one, Linear)]
    width = len(constraints.variables)
    if _missed(constraints.domain, asked, width) <= _MISSED:
        return
    kept = list(asked)
    for one in asked:  # what is left when none can be spared is a smallest conflict
        rest = [other for other in kept if other is not one]
        if _missed(constraints.domain, rest, width) > _MISSED:
            kept = rest
    gives = [
        f"{_missed([*constraints.domain, *(o for o in kept if o is not one)], [one], width):.4g} {one.unit}"
        for one in kept
    ]
    if len(kept) == 1:
        wrong = f'"{kept[0].name}" excludes every candidate; it is missed by {gives[0].strip()} at least'
        raise InputError(Problem(where, wrong, "Loosen it, or change the space."))
    together = " and ".join(f'"{one.name}"' for one in kept)
    named = [f'"{one.name}" by {give.strip()}' for one, give in zip(kept, gives, strict=True)]
    wrong = (
        f"{together} exclude each other; for a candidate to be left, one must give way: {' or '.join(named)}"
    )
    raise InputError(Problem(where, wrong, "Loosen one of them, or change the space."))


def is_possible(constraints: Constraints) -> bool:
    """Return whether some amounts fulfil all linear constraints together, those of the domain among them."""
    linear = [one for one in constraints.all if isinstance(one, Linear)]
    return _missed([], linear, len(constraints.variables)) <= _MISSED


def check_any(mask: Mask, space: Space) -> None:
    """Check that a space holds a candidate that misses nothing; it is read up to the first.

    Raises:
        InputError: If it holds none; it says how many miss what.
    """
    count = np.zeros(len(mask.names), dtype=np.int64)
    for start in range(0, len(space), BLOCK):
        missed = mask.missed(space[start : start + BLOCK])
        if not missed.any(1).all():
            return
        count += missed.sum(0)
    told = ", ".join(f'"{name}" {n:,}' for name, n in zip(mask.names, count.tolist(), strict=True) if n)
    wrong = f"none of the {len(space):,} candidates fulfils all; of them miss {told}"
    raise InputError(Problem("constraints", wrong, "Loosen one, or change the space."))


def _missed(hard: Sequence[Linear], elastic: Sequence[Linear], width: int) -> float:
    """Return the least sum by which the elastic constraints are missed where the hard ones hold.

    Source: elastic programming, Chinneck, Feasibility and Infeasibility in Optimization (2008).
    """
    rows = [*hard, *elastic]
    matrix, rhs = np.zeros((len(rows), width)), np.array([one.rhs for one in rows])
    for row, one in enumerate(rows):
        matrix[row, list(one.columns)] = [value for _, value in one.terms]
    is_equality = np.array([one.is_equality for one in rows], dtype=bool)
    # A slack takes the side on which a constraint is missed; an equality may be missed on either.
    slacks = np.zeros((len(rows), 2 * len(elastic)))
    for i in range(len(elastic)):
        slacks[len(hard) + i, [2 * i, 2 * i + 1]] = 1.0, -1.0
    left = np.hstack([matrix, slacks])
    cost = np.concatenate([np.zeros(width), np.ones(2 * len(elastic))])
    found = linprog(
        cost,
        A_ub=-left[~is_equality],
        b_ub=-rhs[~is_equality],
        A_eq=left[is_equality],
        b_eq=rhs[is_equality],
        bounds=[(None, None)] * width + [(0, None)] * (2 * len(elastic)),
    )
    return float(found.fun) if found.status == 0 else float("inf")
