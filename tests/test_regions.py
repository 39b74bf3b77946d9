"""Regions: who may be present, what BoTorch is given, nearest points and samples, against constraints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from activelearn.chemical_constraints import MixtureVariables, at_least, at_most, ratio
from activelearn.constraints import AtMost, Constraint, Constraints, FromFunction, LeastIfPresent, Linear
from activelearn.regions import Region
from activelearn.solubility import LiquidRange, Solubility
from surrogates.chemicals import resolve
from surrogates.errors import InputError
from surrogates.molecules import Component


def named(*names: str) -> dict[str, Component]:
    return {name: Component.of(resolve(name)) for name in names}


VARIABLES = MixtureVariables(named("EC", "DMC", "EMC", "PC"), named("LiPF6", "LiFSI"))
EC, DMC, EMC, PC, LIPF6, LIFSI, T = range(7)
LEAST = LeastIfPresent("at least 5 % if any", (EC, DMC, EMC, PC), 0.05)
THREE = AtMost("at most three solvents", (EC, DMC, EMC, PC), 3)


def little_product(x: Mapping[str, Tensor]) -> Tensor:
    return 0.01 - x["EC"] * x["DMC"]


def never(x: Mapping[str, Tensor]) -> Tensor:
    return -1 - x["EC"]


def curve(x: Mapping[str, Tensor]) -> Tensor:
    return 1e-4 - (x["EC"] - x["DMC"] ** 2).abs()


def own(name: str) -> FromFunction:
    return FromFunction(f"{__name__}:{name}", VARIABLES.names)


def constraints(*asked: Constraint, temperature_K: tuple[float, float] = (280.0, 298.15)) -> Constraints:
    return Constraints(VARIABLES.names, VARIABLES.domain((0.5, 2.0), temperature_K), asked)


@cache
def chemical() -> Constraints:
    """What a user may ask of an electrolyte, linear or not."""
    soluble = Solubility(VARIABLES, (280.0, 298.15)).constraints()
    salts = AtMost("one salt", (LIPF6, LIFSI), 1)
    return constraints(*soluble, *LiquidRange(VARIABLES).constraints(), THREE, salts, LEAST)


@cache
def region(kind: str) -> Region:
    if kind == "all free":
        return Region.of(chemical(), (EC, DMC, EMC, LIPF6, T))
    if kind == "fixed":
        return Region.of(chemical(), (PC, DMC), {LIPF6: 1.0, T: 298.15})
    if kind == "linear":
        tilt = at_most("EC no more than DMC", VARIABLES, {"EC": 1, "DMC": -1}, 0)
        return Region.of(constraints(tilt, LEAST), (EC, DMC, PC, LIFSI), {T: 290.0})
    assert kind == "curved"
    return Region.of(constraints(own("little_product")), (EC, DMC, PC), {LIPF6: 1.0, T: 290.0})


KINDS = ("all free", "fixed", "linear", "curved")
every_kind = pytest.mark.parametrize("kind", KINDS)


@cache
def sampled(kind: str) -> Tensor:
    return region(kind).sample(200, 0)


def points(of: Region, seed: int, n: int = 20) -> Tensor:
    """Points within and far outside."""
    random = torch.Generator().manual_seed(seed)
    low, high = of.bounds()
    return low + (4 * torch.rand(n, len(of.free), generator=random, dtype=torch.float64) - 1.5) * (high - low)


@every_kind
@settings(max_examples=15)  # of 20 points each
@given(seed=st.integers(0, 10_000))
def test_projection_is_feasible_and_does_nothing_twice(kind: str, seed: int) -> None:
    of = region(kind)
    z = points(of, seed)
    once = of.project(z)
    linear = [one for one in of.constraints.all if isinstance(one, Linear)]
    slacks = Constraints(of.constraints.variables, tuple(linear), ()).slacks(of.amounts(once))
    assert (slacks >= -1e-9 * of.scale.max()).all()
    torch.testing.assert_close(of.project(once), once, rtol=0, atol=1e-9)
    nearer = of.project(z + 0.5 * (of.project(z) - z))
    torch.testing.assert_close(nearer, once, rtol=0, atol=1e-7)  # all on the way have the same nearest point


@every_kind
@settings(max_examples=15)  # of 20 points each
@given(seed=st.integers(0, 10_000))
def test_no_sampled_point_is_nearer_than_the_projected_one(kind: str, seed: int) -> None:
    of = region(kind)
    z = points(of, seed)
    inside = sampled(kind)
    length = ((z - of.project(z)) / of.scale).norm(dim=1)
    assert (torch.cdist(z / of.scale, inside / of.scale).amin(1) >= length - 1e-9).all()


@every_kind
def test_samples_are_feasible_spread_and_repeatable(kind: str) -> None:
    of = region(kind)
    z = sampled(kind)
    assert len(z) == len(z.unique(dim=0)) == 200
    assert of.is_feasible(z).all()
    assert of.constraints.is_feasible(of.amounts(z)).all()
    reach = (z.amax(0) - z.amin(0)) / (of.bounds()[1] - of.bounds()[0])
    assert (reach > 0.5).all()
    assert torch.equal(z, of.sample(200, 0))
    assert not torch.equal(z, of.sample(200, 1))


@every_kind
@settings(max_examples=15)  # of 20 points each
@given(seed=st.integers(0, 10_000))
def test_what_botorch_is_given_says_what_the_constraints_say(kind: str, seed: int) -> None:
    of = region(kind)
    low, high = of.bounds()
    z = torch.cat([points(of, seed), sampled(kind)[:10]])
    met = ((z >= low - 1e-6) & (z <= high + 1e-6)).all(1)
    for indices, coefficients, rhs in of.linear_inequalities():
        met &= z[:, indices] @ coefficients >= rhs - 1e-6
    for indices, coefficients, rhs in of.linear_equalities():
        met &= (z[:, indices] @ coefficients - rhs).abs() <= 1e-6
    for function, of_one_point in of.nonlinear_inequalities():
        assert of_one_point
        met &= torch.stack([function(row) for row in z]) >= -1e-6
    assert torch.equal(met, of.is_feasible(z))
    assert met[-10:].all()


def test_bounds_by_hand() -> None:
    of = region("linear")
    assert of.names == ("EC", "DMC", "PC", "LiFSI")
    by_hand = [[0.05, 0.05, 0.05, 0.5], [0.475, 0.9, 0.9, 2.0]]
    torch.testing.assert_close(of.bounds(), torch.tensor(by_hand, dtype=torch.float64))
    assert of.scale.tolist() == pytest.approx([0.85, 0.85, 0.85, 1.5])  # fractions keep one scale
    assert len(of.linear_equalities()) == 1
    assert len(of.linear_inequalities()) == 1  # all others are bounds


def test_amounts_are_the_free_ones_between_the_fixed() -> None:
    of = region("fixed")
    z = torch.tensor([[[0.3, 0.7]]], dtype=torch.float64, requires_grad=True)
    x = of.amounts(z)
    assert x.tolist() == [[[0, 0.7, 0, 0.3, 1.0, 0, 298.15]]]
    (slope,) = torch.autograd.grad(x[..., PC].sum(), z)
    assert slope.tolist() == [[[1.0, 0.0]]]


@given(st.lists(st.integers(EC, PC), min_size=1, unique=True))
def test_a_region_has_only_its_components_and_so_much_of_each(present: list[int]) -> None:
    if len(present) > 3:
        return
    of = Region.of(constraints(THREE, LEAST), present, {LIPF6: 1.0, T: 298.15})
    x = of.amounts(of.sample(5, 0))
    assert (x[:, present] >= 0.05 - 1e-9).all()
    assert (x[:, [i for i in range(T) if i not in (*present, LIPF6)]] == 0).all()
    assert of.constraints.is_feasible(x).all()


def test_an_absent_component_is_none_though_the_constraints_would_let_it_be() -> None:
    of = region("linear")
    z = torch.tensor([[0.4, 0.6, 0.0, 1.0], [0.35, 0.6, 0.05, 1.0]], dtype=torch.float64)
    assert of.constraints.is_feasible(of.amounts(z)).tolist() == [True, True]
    assert of.is_feasible(z).tolist() == [False, True]


def test_a_single_point_is_a_region() -> None:
    of = Region.of(constraints(), (EC,), {LIPF6: 1.0, T: 298.15})
    assert of.sample(10, 0).tolist() == [[1.0]]
    assert of.project(torch.tensor([[3.0]], dtype=torch.float64)).tolist() == [[1.0]]


def test_a_column_that_two_bounds_hold_may_be_free() -> None:
    of = Region.of(constraints(temperature_K=(298.15, 298.15)), (EC, DMC, LIPF6, T))
    z = of.sample(50, 0)
    assert (z[:, 3] == 298.15).all()
    assert (z[:, 0].amax() - z[:, 0].amin()) > 0.5
    assert of.is_feasible(of.project(points(of, 0))).all()


def test_a_ratio_is_kept() -> None:
    of = Region.of(
        constraints(ratio("EC is twice PC", VARIABLES, "EC", "PC", 2)), (EC, DMC, PC), {LIPF6: 1, T: 290}
    )
    z = of.sample(20, 0)
    torch.testing.assert_close(z[:, 0], 2 * z[:, 2])
    assert (z[:, 0].amax() - z[:, 0].amin()) > 0.3


def test_points_are_brought_into_what_curves() -> None:
    thin = Region.of(constraints(own("curve")), (EC, DMC, PC), {LIPF6: 1.0, T: 290.0})
    z = thin.sample(100, 0)
    assert len(z) == 100
    assert thin.is_feasible(z).all()
    of = region("curved")
    z = of.project(points(of, 1, 200))
    assert not of.is_feasible(z).all()
    assert of.is_feasible(of.bring_in(z)).all()
    inside = of.sample(10, 0)
    assert torch.equal(of.bring_in(inside), inside)


def refusal(of: Region) -> str:
    with pytest.raises(InputError) as error:
        of.sample(5, 0)
    return str(error.value)


def test_what_leaves_nothing_is_named() -> None:
    warm = Region.of(constraints(), (EC, DMC, LIPF6), {T: 310.0})
    assert warm.is_empty
    assert refusal(warm) == (
        'constraints: "temperature at most 298.15" excludes every candidate; it is missed by 11.85 K at '
        "least. Loosen it, or change the space."
    )
    much = at_least("EC at least 0.6", VARIABLES, {"EC": 1}, 0.6)
    tight = Region.of(
        constraints(much, LeastIfPresent("0.5 if any", (DMC,), 0.5)), (EC, DMC), {LIPF6: 1, T: 290}
    )
    assert tight.is_empty
    assert refusal(tight) == (
        'constraints: "weight fractions sum to 1" and "EC at least 0.6" and "0.5 if any: DMC" exclude each '
        'other; for a candidate to be left, one must give way: "weight fractions sum to 1" by 0.1 or "EC at '
        'least 0.6" by 0.1 or "0.5 if any: DMC" by 0.1. Loosen one of them, or change the space.'
    )
    assert not region("all free").is_empty
    nothing = Region.of(constraints(own("little_product"), own("never")), (EC, DMC), {LIPF6: 1, T: 290})
    assert not nothing.is_empty  # its linear constraints leave something
    assert refusal(nothing) == (
        f'constraint "{__name__}:never": no candidate of EC, DMC was found; of 4096 that fulfil the linear '
        "constraints it excludes 100 %. Loosen it, or change the space."
    )


@pytest.mark.parametrize(
    ("present", "fixed", "message"),
    [
        (
            (EC, DMC, EMC, PC, LIPF6, T),
            {},
            'constraint "at most three solvents": 4 components came, EC, DMC, EMC, PC; at most 3 may be '
            "present. Leave some out.",
        ),
        (
            (EC, LIPF6),
            {LIFSI: 1.0, T: 298.15, DMC: 0.0},
            'constraint "one salt": 2 components came, LiPF6, LiFSI; at most 1 may be present. '
            "Leave some out.",
        ),
    ],
)
def test_too_many_components_are_refused(
    present: Sequence[int], fixed: Mapping[int, float], message: str
) -> None:
    with pytest.raises(InputError) as error:
        Region.of(chemical(), present, fixed)
    assert str(error.value) == message


def test_a_column_is_free_or_fixed() -> None:
    with pytest.raises(ValueError, match=r"^column 4 is both free and fixed$"):
        Region.of(chemical(), (EC, LIPF6), {LIPF6: 1.0})
    with pytest.raises(ValueError, match=r"^no column is free$"):
        Region.of(chemical(), (), {LIPF6: 1.0})


def test_what_nothing_bounds_is_named() -> None:
    of = Region.of(Constraints(("a", "b"), (Linear("a at least 0", "", ((0, 1.0),), 0.0),), ()), (0,))
    with pytest.raises(InputError) as error:
        of.bounds()
    assert str(error.value) == "constraints: nothing bounds a on one side. Add a bound."
