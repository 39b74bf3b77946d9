"""The columns of mixtures, and the sums that compositions must keep, against the formulas' own check."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from activelearn.chemical_constraints import (
    CompositionVariables,
    MixtureVariables,
    at_least,
    charge_neutrality,
    ratio,
    site_balance,
)
from activelearn.constraints import Constraints
from campaigns.cathode_config import CathodeScreenConfig
from campaigns.config import load_yaml, resolve_job
from campaigns.screen_config import ScreenConfig
from surrogates.composition_batches import CompositionBatch, read_formulas
from surrogates.compositions import CHARGE_TOLERANCE, Composition
from surrogates.molecules import Component

EC, DMC, SALT = Component.of("O=C1OCCO1"), Component.of("COC(=O)OC"), Component.of("[Li+].[Cl-]")
VARIABLES = MixtureVariables({"EC": EC, "DMC": DMC}, {"LiCl": SALT})


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(ValueError) as error:
        at_least("x", VARIABLES, {"DMCC": 1.0}, 0.1)
    assert str(error.value) == (
        'no amount is called "DMCC". Did you mean "DMC"? There are EC, DMC, LiCl, temperature_K'
    )
    twice = MixtureVariables({"X": EC}, {"X": SALT})
    with pytest.raises(
        ValueError, match=r'^a solvent and a salt are both called "X"; give each its own name$'
    ):
        twice.column("X")


def test_a_ratio_is_an_equality() -> None:
    one = ratio("EC is twice DMC", VARIABLES, "EC", "DMC", 2.0)
    x = torch.tensor([[0.4, 0.2, 1.0, 298.0], [0.4, 0.3, 1.0, 298.0]], dtype=torch.float64)
    assert one.is_equality
    torch.testing.assert_close(one.residual(x), torch.tensor([0.0, -0.2], dtype=torch.float64))


def test_every_candidate_of_a_space_lies_in_its_domain() -> None:
    space = load_yaml(resolve_job("electrolytes"), ScreenConfig).space.space()
    variables = MixtureVariables(space.solvents, space.salts)
    every = Constraints(variables.names, variables.domain((1.0, 1.0), (298.15, 298.15)), ())
    x = variables.rows(space.at(torch.arange(0, len(space), 7)), space.table)
    assert every.is_feasible(x).all()
    x[0, 0] += 1e-3
    assert [str(one) for one in every.violations(x[0])] == ['"weight fractions sum to 1" is missed by 0.001']


ELEMENTS = ("Li", "Mn", "Ti", "O", "F")
ROCKSALT = Constraints(ELEMENTS, site_balance(ELEMENTS), charge_neutrality(ELEMENTS))


@given(st.floats(0.01, 1.5), st.floats(0, 1), st.floats(0, 2))
def test_charges_balance_where_the_formula_says_so(lithium: float, share: float, fluorine: float) -> None:
    metals = 2 - lithium
    cations = {"Li": lithium, "Mn": share * metals, "Ti": (1 - share) * metals}
    x = torch.tensor([*cations.values(), 2 - fluorine, fluorine], dtype=torch.float64)
    faults = Composition(cations, 2 - fluorine, fluorine).faults()
    missed = max([0.0, *(one.by for one in ROCKSALT.violations(x))])
    assert abs(missed - CHARGE_TOLERANCE) < 1e-6 or bool(faults) == (missed > CHARGE_TOLERANCE)


def test_a_window_narrows_the_charges_of_an_element() -> None:
    x = torch.tensor([1.2, 0.4, 0.4, 2.0, 0.0], dtype=torch.float64)  # Ti4+ leaves 1.2 to 0.4 Mn: Mn3+
    given = {"Ti": (4.0, 4.0), "Mn": (2.0, 2.5)}
    told = Constraints(ELEMENTS, (), charge_neutrality(ELEMENTS, given)).violations(x)
    assert [str(one) for one in told] == ['"cations can carry the charge of the anions" is missed by 0.2 e']
    assert not Constraints(ELEMENTS, (), charge_neutrality(ELEMENTS, {**given, "Mn": (3.0, 3.0)})).violations(
        x
    )


def test_an_element_without_charges_needs_a_window() -> None:
    with pytest.raises(ValueError, match=r"^Xe is no cation whose charges are known; give it a window$"):
        charge_neutrality(("Xe", "O"))
    assert charge_neutrality(("Xe", "O"), {"Xe": (2.0, 4.0)})[1].terms == ((0, 4.0), (1, -2.0))


@pytest.mark.parametrize("job", ["drx-high-entropy", "drx-lmof"])
def test_the_compositions_of_a_space_fulfil_all_and_lose_it_when_moved(job: str) -> None:
    config = load_yaml(resolve_job(job), CathodeScreenConfig).space
    space = config.space()
    candidates = torch.from_numpy(np.random.default_rng(0).integers(len(space), size=10_000))
    variables = CompositionVariables(space.table.elements)
    x = variables.rows(space.at(candidates))
    lithium, fluorine = config.lithium, config.fluorine
    ends = (min(lithium), max(lithium)), (min(fluorine), max(fluorine))
    every = Constraints(variables.names, variables.domain(*ends, space.charges), ())
    assert every.is_feasible(x).all()
    x[:, -2] += 0.01
    assert not every.is_feasible(x).any()


def test_the_columns_of_compositions_are_the_amounts_of_their_formulas() -> None:
    table, batch = read_formulas(["Li1.2Mn0.4Ti0.4O1.9F0.1", "LiMnO2", "Li1.1Ti0.9O1.5F0.5"])
    variables = CompositionVariables(table.elements)
    assert (variables.names, variables.metals) == (("Li", "Mn", "Ti", "O", "F"), ("Mn", "Ti"))
    expected = [[1.2, 0.4, 0.4, 1.9, 0.1], [1, 1, 0, 2, 0], [1.1, 0, 0.9, 1.5, 0.5]]
    torch.testing.assert_close(variables.rows(batch), torch.tensor(expected, dtype=torch.float64))
    with pytest.raises(ValueError, match=r'^no amount is called "Cr"\. There are Li, Mn, Ti, O, F$'):
        at_least("x", variables, {"Cr": 1.0}, 0.1)


def test_gradients_reach_the_amounts_of_compositions() -> None:
    table, batch = read_formulas(["Li1.2Mn0.4Ti0.4O1.9F0.1"])
    weights = batch.weights.double().requires_grad_()
    fluorine = batch.fluorine.double().requires_grad_()
    x = CompositionVariables(table.elements).rows(CompositionBatch(batch.cations, weights, fluorine))
    one, other = torch.autograd.grad(x @ torch.arange(5.0, dtype=torch.float64), (weights, fluorine))
    assert one.tolist() == [[0.0, 2.0, 4.0]]
    assert other.tolist() == [2.0]
