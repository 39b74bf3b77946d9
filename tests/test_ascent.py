"""Ascent: known optima on bounds and curves, what holds along each path, conductivities of carbonates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from activelearn.ascent import Ascent, Objective, ascend, mean, optimistic_mean
from activelearn.constraints import Constraint, Constraints, FromFunction, Linear
from activelearn.landscape import TRACE, DifferentiablePredictor, TernarySystem, landscape, ternary_grid
from activelearn.regions import Region
from campaigns.screen import choose_model
from surrogates.batches import MixtureBatch
from surrogates.errors import InputError
from surrogates.molecules import MoleculeTable
from tests.fake_landscape import APART, HIGHEST, LIPF6, PEAK, FakeModel, solvents

NAMES = ("a", "b", "c", "d")


def ball(x: Mapping[str, Tensor]) -> Tensor:
    return 1 - sum((value**2 for value in x.values()), torch.tensor(0.0))


def outside(x: Mapping[str, Tensor]) -> Tensor:
    return -ball(x)


def hyperbola(x: Mapping[str, Tensor]) -> Tensor:
    return x["a"] * x["b"] - 1


def cylinders(x: Mapping[str, Tensor]) -> Tensor:
    return 1 - torch.maximum(x["a"], x["c"]) ** 2 - x["b"] ** 2


def product(x: Mapping[str, Tensor]) -> Tensor:
    return x["a"] * x["b"] - x["c"] ** 2 - 0.1


def nowhere(x: Mapping[str, Tensor]) -> Tensor:
    return -1 - x["a"] ** 2


def own(name: str, f: int) -> FromFunction:
    return FromFunction(f"{__name__}:{name}", NAMES[:f])


def box(f: int, low: float, high: float, *asked: Constraint) -> Region:
    ends = [
        Linear(f"{NAMES[i]} {word}", "", ((i, sign),), sign * end)
        for i in range(f)
        for word, sign, end in (("low", 1.0, low), ("high", -1.0, high))
    ]
    return Region.of(Constraints(NAMES[:f], tuple(ends), asked), range(f))


def simplex(names: tuple[str, ...], *asked: Constraint) -> Region:
    total = Linear("they sum to 1", "", tuple((i, 1.0) for i in range(len(names))), 1.0, True)
    positive = [Linear(f"{name} at least 0", "", ((i, 1.0),), 0.0) for i, name in enumerate(names)]
    return Region.of(Constraints(names, (total, *positive), asked), range(len(names)))


def along(*weights: float) -> Objective:
    return lambda z: z @ z.new_tensor(weights)


def near(*to: float, stiff: tuple[float, ...] = (1.0,)) -> Objective:
    return lambda z: -(z.new_tensor(stiff) * (z - z.new_tensor(to)).square()).sum(1)


def rosenbrock(z: Tensor) -> Tensor:
    return 1 - 100 * (z[:, 1] - z[:, 0] ** 2) ** 2 - (1 - z[:, 0]) ** 2


OPTIMA = {
    "a vertex": (along(1.0, 3.0, 2.0), simplex(NAMES[:3]), 3.0),
    "a face": (near(0.7, 0.5, 0.0), simplex(NAMES[:3]), -0.02),
    "inside, stiff": (near(0.2, 0.3, 0.5, stiff=(1, 100, 1000)), simplex(NAMES[:3]), 0.0),
    "a valley that bends": (rosenbrock, box(2, -2, 2), 1.0),
    "on a ball": (along(1.0, 2.0, 3.0), box(3, -2, 2, own("ball", 3)), 14**0.5),
    "next to a ball, outside": (near(0.2, 0.1), box(2, -2, 2, own("outside", 2)), -((1 - 0.05**0.5) ** 2)),
    "on a hyperbola": (along(-1.0, -4.0), box(2, 0, 10, own("hyperbola", 2)), -4.0),
    "where two cylinders meet": (along(1.0, 1.0, 1.0), box(3, 0, 2, own("cylinders", 3)), 5**0.5),
    "a bound and a curve": (along(1.0, 0.0, 0.0), simplex(NAMES[:3], own("product", 3)), 0.5 + 0.15**0.5),
}


@pytest.mark.parametrize("case", OPTIMA)
def test_known_optima_are_reached_from_every_start(case: str) -> None:
    objective, region, highest = OPTIMA[case]
    told = ascend(objective, region, region.sample(6, 0))
    assert told.best_value.tolist() == pytest.approx([highest] * 6, rel=1e-6, abs=1e-6)
    assert region.is_feasible(told.z).all()
    assert told.arrived.all()


REGIONS = (
    simplex(NAMES),
    simplex(NAMES[:3], own("product", 3)),
    simplex(NAMES[:3], Linear("a no more than b", "", ((1, 1.0), (0, -1.0)), 0.0)),
    box(3, -1, 2, own("ball", 3)),
    box(2, 0, 10, own("hyperbola", 2)),
)


def wavy(f: int, seed: int) -> Objective:
    """A sum of waves with many maxima."""
    random = torch.Generator().manual_seed(seed)
    waves = 3 * torch.randn(f, 4, generator=random, dtype=torch.float64)
    phase = torch.randn(4, generator=random, dtype=torch.float64)
    return lambda z: torch.sin(z @ waves + phase).sum(1)


@settings(max_examples=20)
@given(st.sampled_from(REGIONS), st.integers(0, 1000))
def test_along_a_path_nothing_falls_and_nothing_is_infeasible(region: Region, seed: int) -> None:
    objective = wavy(len(region.free), seed)
    starts = region.sample(4, seed)
    told = ascend(objective, region, starts, 30)
    assert region.is_feasible(told.z).all()
    torch.testing.assert_close(told.value, objective(told.z))
    for start in range(4):
        on = told.start == start
        assert told.step[on].tolist() == list(range(int(on.sum())))
        assert (told.value[on].diff() > 0).all()
        assert torch.equal(told.z[on][0], starts[start])
        assert torch.equal(told.z[on][-1], told.best[start])
        assert told.value[on][-1] == told.best_value[start]
    alone = ascend(objective, region, starts[2:3], 30)
    torch.testing.assert_close(alone.best_value, told.best_value[2:3], rtol=1e-6, atol=1e-6)


@settings(max_examples=12)
@given(st.sampled_from(REGIONS), st.integers(0, 1000))
def test_nothing_allowed_close_by_is_higher(region: Region, seed: int) -> None:
    objective = wavy(len(region.free), seed)
    told = ascend(objective, region, region.sample(4, seed))
    random = torch.Generator().manual_seed(seed)
    nearby = told.best + 1e-3 * torch.randn(50, *told.best.shape, generator=random, dtype=torch.float64)
    nearby = region.bring_in(region.project(nearby.flatten(0, 1)))
    beside = objective(nearby).nan_to_num(nan=-torch.inf).reshape(50, -1).amax(0)
    assert (beside <= told.best_value + 1e-7).all()


def test_a_gradient_is_told_within_the_plane() -> None:
    told = ascend(
        near(0.7, 0.5, 0.0), simplex(NAMES[:3]), torch.tensor([[0.2, 0.2, 0.6]], dtype=torch.float64)
    )
    raw = torch.tensor([1.0, 0.6, -1.2], dtype=torch.float64)
    torch.testing.assert_close(told.gradient[0], raw - raw.mean())


def test_a_table_reads_by_names() -> None:
    region = simplex(NAMES[:2])
    told = ascend(along(1.0, 0.0), region, torch.tensor([[0.25, 0.75], [1.0, 0.0]], dtype=torch.float64), 1)
    table = told.table(("PC", "EC"))
    assert list(table) == ["start", "step", "PC", "EC", "value", "gradient_PC", "gradient_EC"]
    pd.testing.assert_frame_equal(
        table,
        pd.DataFrame(
            {
                "start": [0, 0, 1],
                "step": [0, 1, 0],
                "PC": [0.25, 0.3, 1.0],  # at first a tenth of the range for the slope outside of the plane, 1
                "EC": [0.75, 0.7, 0.0],
                "value": [0.25, 0.3, 1.0],
                "gradient_PC": 0.5,
                "gradient_EC": -0.5,
            }
        ),
    )
    assert told.arrived.tolist() == [False, True]


def test_starts_outside_are_brought_in() -> None:
    region = box(2, 0, 10, own("hyperbola", 2))
    starts = torch.tensor([[20.0, -3.0], [0.5, 0.5], [2.0, 2.0]], dtype=torch.float64)
    told = ascend(along(-1.0, -4.0), region, starts)
    assert region.is_feasible(told.z).all()
    assert told.best_value.tolist() == pytest.approx([-4.0] * 3)
    assert told.z[told.start == 2][0].tolist() == [2.0, 2.0]


def test_where_it_cannot_start_is_told() -> None:
    starts = torch.tensor([[0.5, 0.5], [2.0, 0.5]], dtype=torch.float64)
    with pytest.raises(InputError) as error:
        ascend(along(1.0, 1.0), box(2, 0, 1, own("nowhere", 2)), starts)
    assert str(error.value) == (
        f'start 0: it cannot be brought into the region; "{__name__}:nowhere" is missed by 1.25. '
        "Start elsewhere."
    )
    with pytest.raises(InputError) as error:
        ascend(lambda z: (z[:, 0] - 0.75).log(), box(2, 0, 1), starts)
    assert str(error.value) == "start 0: the objective or its gradient there is not finite. Start elsewhere."


def test_a_step_to_where_the_objective_is_not_finite_is_shortened() -> None:
    start = torch.tensor([[0.9]], dtype=torch.float64)
    told = ascend(lambda z: 10 * z[:, 0] + (1 - z[:, 0]).log(), box(1, 0, 5), start)
    assert told.best.item() == pytest.approx(0.9)
    start = torch.tensor([[0.1]], dtype=torch.float64)
    told = ascend(lambda z: 50 * z[:, 0] + (1 - z[:, 0]).log(), box(1, 0, 5), start)
    assert told.best.item() == pytest.approx(0.98)


CARBONATES = TernarySystem(solvents("PC", "DMC", "EC"), "LiPF6", LIPF6, 0.08)
TABLE = MoleculeTable.build(CARBONATES.components)
TERNARY = simplex(tuple(CARBONATES.solvents))
STARTS = ((0.8, 0.1, 0.1), (0.1, 0.9, 0.0), (0.3, 0.4, 0.3), (0.1, 0.4, 0.5))
"""Of PC, DMC and EC: the four of Table S2, Zhu et al., Nat. Commun. 15, 8649 (2024)."""


def mixtures(z: Tensor) -> MixtureBatch:
    x = z + TRACE  # so that absent solvents have a slope
    temperature_K = torch.full((len(z),), 303.15, dtype=torch.float64)
    return CARBONATES.mixtures(TABLE, x / x.sum(-1, keepdim=True), temperature_K)


@cache
def bound(model: str) -> DifferentiablePredictor:
    predictor = FakeModel().bind(TABLE) if model == "fake" else choose_model(model).model.bind(TABLE)
    assert isinstance(predictor, DifferentiablePredictor)
    return predictor.double()


def from_the_starts(objective: Objective) -> Ascent:
    return ascend(objective, TERNARY, torch.tensor(STARTS, dtype=torch.float64))


def test_the_peak_of_a_known_landscape_is_found() -> None:
    told = from_the_starts(mean(bound("fake"), mixtures))
    torch.testing.assert_close(told.best, torch.tensor([PEAK] * 4).double(), rtol=0, atol=1e-5)
    assert (10 ** (told.best_value + 3)).tolist() == pytest.approx([HIGHEST * 10**0.00315] * 4)


def test_optimism_adds_the_calibrated_epistemic_deviation() -> None:
    z = ternary_grid(0.25)
    for model in ("fake", "diffmix-calisol"):
        said = bound(model).predict(mixtures(z))
        plain, hopeful = (
            f(z) for f in (mean(bound(model), mixtures), optimistic_mean(bound(model), mixtures, 2))
        )
        torch.testing.assert_close(plain, said.mean)
        torch.testing.assert_close(hopeful, said.mean + 2 * said.epistemic.sqrt())
    fake = optimistic_mean(bound("fake"), mixtures, -1)(z) - mean(bound("fake"), mixtures)(z)
    assert fake.tolist() == pytest.approx([-(2**0.5) * APART] * len(z))


def test_the_best_conductivity_of_carbonates_is_found_from_the_starts_of_the_paper() -> None:
    predictor = bound("diffmix-calisol")
    grid = ternary_grid(0.01)
    temperature_K = torch.full((len(grid),), 303.15, dtype=torch.float64)
    highest = landscape(predictor, TABLE, CARBONATES, grid, temperature_K).conductivity.max()
    told = from_the_starts(mean(predictor, mixtures))
    assert (10 ** (told.best_value + 3) >= 0.99 * highest).all()
    begun = landscape(predictor, TABLE, CARBONATES, told.z, temperature_K[: len(told.z)])
    torch.testing.assert_close(10 ** (told.value + 3), begun.conductivity, rtol=1e-6, atol=0)
    slope = begun.gradient / begun.conductivity[:, None] / torch.tensor(10.0).double().log()
    torch.testing.assert_close(told.gradient, slope, rtol=1e-4, atol=1e-6)
