"""The columns of mixtures, and the sums that compositions must keep, against the formulas' own check."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from activelearn.chemical_constraints import (
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
from surrogates.compositions import CHARGE_TOLERANCE, Composition, ions
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
    generator = torch.Generator().manual_seed(0)
    elements = (*space.table.elements, "O", "F")
    x = torch.zeros(10_000, len(elements), dtype=torch.float64)
    starts = (
        torch.randint(len(space), (10,), generator=generator).clamp(max=max(len(space) - 1000, 0)).tolist()
    )
    batches = [space[start : start + 1000] for start in starts]
    for part, batch in enumerate(batches):
        rows = slice(1000 * part, 1000 * part + len(batch))
        x[rows, :-2].scatter_add_(1, batch.cations, 2 * batch.weights.double())
        x[rows, -1] = 2 * batch.fluorine.double()
        x[rows, -2] = 2 - x[rows, -1]
    x = x[x.sum(1) > 0]
    known = {str(ion): ion for ion in ions()}
    groups = [ion for ion in ions() if ion.group in config.metals and ion.element != "Li"]
    given = [known[name] for name in config.metals if name in known] + groups
    windows = {
        element: (
            float(min(ion.charge for ion in given if ion.element == element)),
            float(max(ion.charge for ion in given if ion.element == element)),
        )
        for element in space.table.elements[1:]
    }
    every = Constraints(elements, site_balance(elements), charge_neutrality(elements, windows))
    assert every.is_feasible(x).all()
    x[:, -2] += 0.01
    assert not every.is_feasible(x).any()
