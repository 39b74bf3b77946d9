"""A screen's mask, what BoTorch is handed, and `Constraints` say the same of the points of bundled spaces."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
import torch
from botorch.optim.parameter_constraints import evaluate_feasibility
from torch import Tensor

from activelearn.chemical_constraints import (
    CompositionVariables,
    MixtureVariables,
    at_least,
    at_most,
    oxidation_states,
    ratio,
)
from activelearn.composition_masks import CompositionMask
from activelearn.constraints import (
    AtMost,
    Constraint,
    Constraints,
    FromFunction,
    LeastIfPresent,
    Linear,
    is_met,
)
from activelearn.mixture_masks import MixtureMask
from activelearn.solubility import LiquidRange, Solubility
from campaigns.cathode_config import CathodeScreenConfig
from campaigns.config import load_yaml, resolve_job
from campaigns.screen_config import ScreenConfig
from surrogates.batches import MixtureProduct
from surrogates.composition_batches import CompositionBatch

SIDE = 100
"""Mixtures, and conditions, of a product of 10,000 points."""
NUDGES = (0.0, 1e-7, -1e-7, 2e-6, -2e-6, 1e-5, -1e-5, 1e-3, -1e-3)
"""How far from a boundary points are put, in parts of the way between two that lie on either side of it."""
JOBS = ("drx-high-entropy", "drx-lmof")


def salty(x: Mapping[str, Tensor]) -> Tensor:
    return x["EC"] * x["DMC"] - 0.02 * x["LiPF6"] + (x["temperature_K"] - 280) / 1000


def solvents_alone(x: Mapping[str, Tensor]) -> Tensor:
    return 0.3 - x["EC"] ** 2 - x["PC"] ** 2


def of_metals(x: Mapping[str, Tensor]) -> Tensor:
    return x["Mn"] * x["O"] - x["Li"] * x["F"] - 0.1


@cache
def mixtures() -> MixtureMask:
    """The bundled electrolytes under every kind of constraint."""
    space = load_yaml(resolve_job("electrolytes"), ScreenConfig).space.space()
    variables = MixtureVariables(space.solvents, space.salts)
    few = tuple(variables.column(name) for name in ("EC", "PC", "DME", "DMC", "EMC", "DEC"))
    solubility = Solubility(variables, (298.15, 298.15))
    asked: tuple[Constraint, ...] = (
        at_least("EC", variables, {"EC": 1.0}, 0.2),
        at_most("LiPF6", variables, {"LiPF6": 1.0}, 1.5),
        at_least("warm", variables, {"temperature_K": 1.0}, 280.0),
        at_most("carbonates", variables, {"DMC": 1.0, "EMC": 1.0, "DEC": 1.0}, 0.6),
        at_least("solvent and salt", variables, {"EC": 2.0, "PC": 3.0, "LiPF6": -0.5}, 0.1),
        ratio("DMC is EC", variables, "DMC", "EC", 1.0),
        AtMost("at most two", few, 2),
        LeastIfPresent("0.1 if any", few, 0.1),
        FromFunction(f"{__name__}:salty", variables.names),
        FromFunction(f"{__name__}:solvents_alone", variables.names),
        *solubility.constraints(),
        *solubility.together(),
        *LiquidRange(variables).constraints(),
    )
    domain = variables.domain((0.0, 8.0), (250.0, 320.0))
    return MixtureMask(space, Constraints(variables.names, domain, asked))


@cache
def compositions(job: str) -> CompositionMask:
    """A bundled space of cathodes under every kind of constraint."""
    space = load_yaml(resolve_job(job), CathodeScreenConfig).space.space()
    variables = CompositionVariables(space.table.elements)
    metals = tuple(variables.column(metal) for metal in variables.metals)
    is_of_many = job == "drx-high-entropy"
    most, least, charges = (0.25, 0.1, (2.25, 2.5)) if is_of_many else (0.85, 0.7, (3.0, 3.6))
    of, to, value = ("Mn", "Nb", 2.0) if is_of_many else ("Li", "Mn", 1.5)
    asked: tuple[Constraint, ...] = (
        at_most("Mn", variables, {"Mn": 1.0}, most),
        at_least("lithium beyond fluorine", variables, {"Li": 1.0, "F": -1.0}, 0.9),
        ratio("fixed ratio", variables, of, to, value),
        AtMost("Mn or F", (variables.column("Mn"), variables.column("F")), 1),
        LeastIfPresent("so much if any", metals, least),
        *oxidation_states(variables, space.charges, {"Mn": charges}),
        FromFunction(f"{__name__}:of_metals", variables.names),
    )
    domain = variables.domain((1.0, 1.4), (0.0, 0.7), space.charges)
    return CompositionMask(variables, Constraints(variables.names, domain, asked))


def random_mixtures(n: int) -> Tensor:
    """Mixtures of up to five solvents with one salt or none, a third of them on a grid of 0.1, `n x d`."""
    rng, names, space = np.random.default_rng(0), mixtures().constraints.variables, mixtures().space
    k, s = len(space.solvents), len(space.salts)
    common = [names.index(name) for name in ("EC", "DMC", "PC", "EMC")]
    salts = rng.permutation(np.arange(n) % (s + 1))  # the last is none
    x = np.zeros((n, k + s + 1))
    for row in range(n):
        named = rng.permutation(common)[: rng.integers(1, 5)]
        solvents = np.unique([*named, *rng.permutation(k)[: row % 2]]).astype(int)
        parts = rng.dirichlet(np.ones(len(solvents)))
        x[row, solvents] = rng.multinomial(10, parts) / 10 if row % 3 == 0 else parts
        if salts[row] < s:
            x[row, k + salts[row]] = rng.uniform(0, 8)
    x[:, -1] = rng.uniform(250, 320, n)
    return torch.from_numpy(x)


def random_compositions(job: str, n: int) -> Tensor:
    """Compositions of up to five metals, a third of them on the grid of 0.1, `n x d`."""
    rng, u = np.random.default_rng(0), len(compositions(job).variables.cations)
    x = np.zeros((n, u + 2))
    for row in range(n):
        metals = 1 + rng.permutation(u - 1)[: rng.integers(1, 6)]
        lithium, fluorine = rng.uniform(1.0, 1.4), rng.uniform(0, 0.7)
        parts = rng.dirichlet(np.ones(len(metals)))
        if row % 3 == 0:
            lithium, fluorine = round(lithium, 1), round(fluorine, 1)
            parts = rng.multinomial(10, parts) / 10
        x[row, metals] = (2 - lithium) * parts
        x[row, [0, -2, -1]] = lithium, 2 - fluorine, fluorine
    return torch.from_numpy(x)


def about_the_boundary(one: Constraint, x: Tensor, most: int) -> Tensor:
    """Return points, up to so many, near where a residual becomes 0 between two that it tells apart."""
    is_above = one.residual(x) >= 0
    count = min(int(is_above.sum()), int((~is_above).sum()), most)
    above, below = x[is_above][:count], x[~is_above][:count]
    low, high = torch.zeros(count, 1).to(x), torch.ones(count, 1).to(x)
    for _ in range(60):
        middle = (low + high) / 2
        is_there = one.residual(torch.lerp(above, below, middle))[:, None] >= 0
        low, high = middle.where(is_there, low), high.where(is_there, middle)
    nudges = torch.tensor(NUDGES)[torch.arange(count) % len(NUDGES), None].to(x)
    return torch.lerp(above, below, (low + nudges).clamp(0, 1))


def said_by_botorch(constraints: Constraints, x: Tensor) -> Tensor:
    """Return whether points meet each of what BoTorch is handed, by the formulas that it documents."""
    linear = [one for one in constraints.all if isinstance(one, Linear)]
    equal, unequal = ([one for one in linear if one.is_equality is kind] for kind in (True, False))
    others = [one for one in constraints.all if not isinstance(one, Linear)]
    said = {}
    for one, (indices, coefficients, rhs) in zip(equal, constraints.linear_equalities(), strict=True):
        said[one.name] = ((x[:, indices] * coefficients).sum(-1) - rhs).abs() <= one.tolerance
    for one, (indices, coefficients, rhs) in zip(unequal, constraints.linear_inequalities(), strict=True):
        said[one.name] = (x[:, indices] * coefficients).sum(-1) >= rhs - one.tolerance
    for other, (function, is_of_a_point) in zip(others, constraints.nonlinear_inequalities(), strict=True):
        assert is_of_a_point
        said[other.name] = function(x) >= -other.tolerance
    return torch.stack([said[one.name] for one in constraints.all], -1)


def check_agreement(constraints: Constraints, x: Tensor, missed_by_mask: np.ndarray | None = None) -> Tensor:
    """Check that all say the same of points; return what they say, `n x v`."""
    met = is_met(constraints.all, constraints.slacks(x))
    assert torch.equal(said_by_botorch(constraints, x), met)
    assert torch.equal(constraints.is_feasible(x), met.all(-1))
    if missed_by_mask is not None:
        assert np.array_equal(missed_by_mask, ~met[:, len(constraints.domain) :].numpy())
    return met


def check_botorchs_own(constraints: Constraints, x: Tensor) -> None:
    """Check against BoTorch's own evaluation, where its one tolerance and those of the constraints agree."""
    room = constraints.slacks(x).amin(-1)
    x = x[(room < -1e-3) | (room > -1e-7)]
    said = evaluate_feasibility(
        x[:, None],
        constraints.linear_inequalities(),
        constraints.linear_equalities(),
        constraints.nonlinear_inequalities(),
        tolerance=1e-6,
    )
    assert torch.equal(said, constraints.is_feasible(x))
    assert said.any()
    assert not said.all()


def checked_product(x: Tensor) -> tuple[Tensor, Tensor]:
    """Check the solvents of each mixture with the salt and temperature of each; return points and answers."""
    mask, k = mixtures(), len(mixtures().space.solvents)
    solvents, salts = torch.arange(k), k + torch.arange(len(mask.space.salts))  # as the table has them
    molality, which = x[:, k:-1].max(-1)
    product = MixtureProduct(
        solvents=solvents.expand(len(x), -1),
        weights=x[:, :k].float(),
        salt=salts[which],
        molality=molality.float(),
        temperature_K=x[:, -1].float(),
        start=0,
        stop=len(x) ** 2,
    )
    variables = MixtureVariables(mask.space.solvents, mask.space.salts)
    points = variables.rows(product.expand(), mask.space.table)
    return points, check_agreement(mask.constraints, points, mask.missed(product))


def checked_compositions(job: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """Check some compositions; return them, float32 as a screen has them, and the answers."""
    mask, u = compositions(job), len(compositions(job).variables.cations)
    cations = torch.arange(u).expand(len(x), -1)
    batch = CompositionBatch.from_amounts(cations, x[:, :u].float(), x[:, -1].float())
    points = mask.variables.rows(batch)
    return points, check_agreement(mask.constraints, points, mask.missed(batch))


def check_both_answers(constraints: Constraints, met: Tensor) -> None:
    """Check that each constraint asked is met by some points and missed by others."""
    asked = met[:, len(constraints.domain) :]
    told_apart = (asked.any(0) & ~asked.all(0)).tolist()
    assert [one.name for one, is_so in zip(constraints.asked, told_apart, strict=True) if not is_so] == []


def around(feasible: Tensor, n: int) -> Tensor:
    """Return points from 1e-9 to 0.1 away from one that fulfils all, in any direction."""
    generator = torch.Generator().manual_seed(0)
    far = 10 ** (-9 + 8 * torch.rand(n, 1, generator=generator, dtype=torch.float64))
    way = torch.randn(n, len(feasible), generator=generator, dtype=torch.float64)
    return feasible + far * way / way.norm(dim=1, keepdim=True) * (feasible > 0)


def test_mixtures_of_the_bundled_space() -> None:
    points, met = checked_product(random_mixtures(SIDE))
    assert len(points) == 10_000
    check_both_answers(mixtures().constraints, met)


def test_mixtures_about_the_boundaries() -> None:
    mask = mixtures()
    k = len(mask.space.solvents)
    points = random_mixtures(3000)
    salts = points[:, k:-1]
    for place, one in enumerate(mask.constraints.asked, len(mask.constraints.domain)):
        # Those of one salt or none can stand in a screen; between two salts stand mixtures of both.
        is_above = one.residual(points)[:, None] >= 0
        holds_no_other = salts == salts.sum(-1, keepdim=True)
        told_apart = torch.minimum((holds_no_other & is_above).sum(0), (holds_no_other & ~is_above).sum(0))
        near = about_the_boundary(one, points[holds_no_other[:, told_apart.argmax()]], 2 * len(NUDGES))
        _, met = checked_product(near)
        assert met[:, place].any() and not met[:, place].all(), one.name
        met = check_agreement(mask.constraints, about_the_boundary(one, points, 500))
        assert met[:, place].any() and not met[:, place].all(), one.name


def test_mixtures_about_a_feasible_one() -> None:
    constraints = mixtures().constraints
    names = constraints.variables
    feasible = torch.zeros(len(names), dtype=torch.float64)
    for name, amount in (("EC", 0.3), ("DMC", 0.3), ("GBL", 0.4), ("LiPF6", 0.5), ("temperature_K", 300.0)):
        feasible[names.index(name)] = amount
    x = around(feasible, 1000)
    check_agreement(constraints, x)
    check_botorchs_own(constraints, x)


@pytest.mark.parametrize("job", JOBS)
def test_compositions_of_the_bundled_spaces(job: str) -> None:
    points, met = checked_compositions(job, random_compositions(job, 10_000))
    check_both_answers(compositions(job).constraints, met)
    constraints = compositions(job).constraints
    for place, one in enumerate(constraints.asked, len(constraints.domain)):
        _, met = checked_compositions(job, about_the_boundary(one, points, 500))
        assert met[:, place].any() and not met[:, place].all(), one.name


FEASIBLE = {
    "drx-high-entropy": {"Li": 1.2, "Mn": 0.2, "Cr": 0.17, "Ti": 0.33, "Nb": 0.1, "O": 2.0},
    "drx-lmof": {"Li": 1.2, "Mn": 0.8, "O": 2.0},
}


@pytest.mark.parametrize("job", JOBS)
def test_compositions_about_a_feasible_one(job: str) -> None:
    constraints = compositions(job).constraints
    amounts = [FEASIBLE[job].get(name, 0.0) for name in constraints.variables]
    x = around(torch.tensor(amounts, dtype=torch.float64), 1000)
    check_agreement(constraints, x)
    check_botorchs_own(constraints, x)
