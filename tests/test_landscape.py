"""A landscape: the grid, the mixtures at a fixed mole fraction of lithium, values and gradients."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from activelearn import landscape as module
from activelearn.landscape import (
    DifferentiablePredictor,
    Landscape,
    TernarySystem,
    landscape,
    ternary_grid,
)
from campaigns.screen import choose_model
from surrogates.encoders.diffmix import DiffMixSettings, GraphSettings
from surrogates.law_ensemble import LawEnsemble, LawSettings, fit_law_ensemble
from surrogates.molecules import Component, MoleculeTable
from surrogates.species import Speciation
from surrogates.training import TrainingSettings
from tests.fake_landscape import APART, CURVATURE, HIGHEST, LIPF6, PEAK, FakeModel, solvents
from tests.synthetic_mixtures import SOLVENTS, small_ensemble, synthetic_data

SYSTEM = TernarySystem(solvents("PC", "DMC", "EC"), "LiPF6", LIPF6, 0.08)
TABLE = MoleculeTable.build(SYSTEM.components)
KNOWN = TernarySystem({part.smiles: part for part in SOLVENTS[:3]}, "LiPF6", LIPF6, 0.1)
ALONG = torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, -2.0]], dtype=torch.float64)
"""Two directions within the ternary, at right angles."""


@cache
def small_law_ensemble() -> LawEnsemble:
    settings = LawSettings(
        members=2,
        encoder=DiffMixSettings(graph=GraphSettings(hidden=8, molecule=4), pooled=4, pair=8, mix=(16,)),
        training=TrainingSettings(epochs=3, batch_size=16),
    )
    data = replace(synthetic_data(), target_name="log10_y")
    return fit_law_ensemble(data, torch.arange(60), settings, seed=0)


@cache
def bound(name: str) -> tuple[DifferentiablePredictor, MoleculeTable, TernarySystem]:
    """Return a model bound to a system: `analytic`, two of few weights and little training, or `shipped`."""
    if name in ("small", "law"):
        table = MoleculeTable.build(KNOWN.components)
        model = small_ensemble() if name == "small" else small_law_ensemble()
        return model.bind(table), table, KNOWN
    model = FakeModel() if name == "analytic" else choose_model("molsets-conductivity").model
    predictor = model.bind(TABLE)
    assert isinstance(predictor, DifferentiablePredictor)
    return predictor, TABLE, SYSTEM


def at(x: Tensor, name: str = "analytic", temperature_K: float = 300.0) -> Landscape:
    return landscape(*bound(name), x, torch.full((len(x),), temperature_K, dtype=torch.float64))


@st.composite
def compositions(draw: st.DrawFn) -> Tensor:
    """One composition away from the edges."""
    parts = torch.tensor([draw(st.floats(0.05, 1.0)) for _ in range(3)], dtype=torch.float64)
    return (parts / parts.sum())[None]


@given(st.integers(1, 60))
def test_the_grid_is_complete_and_on_the_simplex(parts: int) -> None:
    grid = ternary_grid(1 / parts)
    assert grid.shape == ((parts + 1) * (parts + 2) // 2, 3)
    assert grid.dtype == torch.float64
    torch.testing.assert_close(grid.sum(1), torch.ones(len(grid), dtype=torch.float64))
    steps = (grid * parts).round()
    torch.testing.assert_close(steps / parts, grid)
    assert (grid >= 0).all()
    everything = {(i, j, parts - i - j) for i in range(parts + 1) for j in range(parts + 1 - i)}
    assert {tuple(row) for row in steps.int().tolist()} == everything


def test_a_step_that_does_not_divide_1_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("step is 0.03; a whole number of steps must make 1")):
        ternary_grid(0.03)


def test_the_molality_by_hand() -> None:
    x = torch.tensor([[0.0, 0.7, 0.3]], dtype=torch.float64)
    batch = SYSTEM.mixtures(TABLE, x, torch.tensor([303.15]))
    kg = 0.84 * (0.7 * 90.078 + 0.3 * 88.062) / 1000  # of the solvents in a mole of all species
    assert batch.molality.item() == pytest.approx(0.08 / kg, rel=1e-5)
    assert batch.weights[0].tolist() == pytest.approx(
        [0, 0.84 * 0.7 * 90.078 / kg / 1000, 0.84 * 0.3 * 88.062 / kg / 1000], rel=1e-5
    )


@given(compositions(), st.floats(0.001, 0.3), st.sampled_from([LIPF6.smiles, "Li2SO4"]))
def test_mixtures_hold_the_lithium_that_is_asked(x: Tensor, lithium: float, salt: str) -> None:
    smiles, (cations, anions) = (
        (salt, (1, 1)) if salt != "Li2SO4" else ("[Li+].[Li+].O=S(=O)([O-])[O-]", (2, 1))
    )
    system = TernarySystem(SYSTEM.solvents, "salt", Component.of(smiles), lithium)
    table = MoleculeTable.build(system.components)
    batch = system.mixtures(table, x, torch.tensor([300.0]))
    mass = torch.tensor([part.molar_mass for part in system.solvents.values()], dtype=torch.float64)
    torch.testing.assert_close((batch.weights / mass) / (batch.weights / mass).sum(), x)
    counted = Speciation.of(table.components).split(batch).x[0]
    assert counted[:3].tolist() == pytest.approx(((1 - lithium * (1 + anions / cations)) * x[0]).tolist())
    assert counted[3:].tolist() == pytest.approx([lithium, lithium * anions / cations])


@pytest.mark.parametrize("name", ["analytic", "small", "law", "shipped"])
@given(x=compositions())
def test_gradients_agree_with_finite_differences(name: str, x: Tensor) -> None:
    step = 1e-7  # short, so that a kink of a rectifier, where there is no gradient, hardly lies within
    there = torch.cat([x + step * ALONG, x - step * ALONG])
    ahead, behind = at(there, name).conductivity.chunk(2)
    gradient = at(x, name).gradient[0]
    slopes = (ahead - behind) / (2 * step)
    scale = float(gradient.norm() * ALONG.norm(dim=1).max())
    assert ((ALONG @ gradient - slopes).abs() <= 1e-4 * scale).all()
    assert abs(float(gradient.sum())) <= 1e-9 * scale


@pytest.mark.parametrize("name", ["analytic", "small", "law", "shipped"])
def test_the_slope_into_the_ternary_exists_on_its_edges(name: str) -> None:
    edge = torch.tensor([[0.0, 0.7, 0.3], [0.6, 0.4, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    inwards = torch.tensor([[1.0, -1.0, 0.0], [0.0, -1.0, 1.0], [1.0, -2.0, 1.0]], dtype=torch.float64)
    step = 1e-7
    said = at(edge, name)
    slopes = (at(edge + step * inwards, name).conductivity - said.conductivity) / step
    torch.testing.assert_close((said.gradient * inwards).sum(1), slopes, rtol=1e-3, atol=1e-4)


def test_the_peak_and_its_surroundings_are_the_known_ones() -> None:
    x = ternary_grid(0.05)
    said = at(x)
    best = int(said.conductivity.argmax())
    assert said.x[best].tolist() == pytest.approx(PEAK)
    assert said.conductivity[best].item() == pytest.approx(HIGHEST)
    assert said.gradient[best].norm().item() < 1e-9
    away = x - torch.tensor(PEAK, dtype=torch.float64)
    log = -CURVATURE * away.square().sum(1)
    torch.testing.assert_close(said.conductivity, HIGHEST * 10**log)
    slope = HIGHEST * 10**log * torch.log(torch.tensor(10.0).double()) * -2 * CURVATURE
    torch.testing.assert_close(said.gradient, slope[:, None] * away, rtol=1e-6, atol=1e-6)
    assert torch.equal(said.in_domain, said.weights[:, 0] < 0.5)
    assert said.conductivity.dtype == said.gradient.dtype == torch.float64


def test_deviations_and_intervals_are_those_of_the_logarithm() -> None:
    said = at(torch.tensor([PEAK], dtype=torch.float64))
    epistemic = 2 * APART**2  # two members, each 0.02 from their mean
    std = (epistemic + 0.0025) ** 0.5
    assert said.std_log10.item() == pytest.approx(std)
    assert said.std.item() == pytest.approx(HIGHEST * 2.302585 * std)
    assert said.std_epistemic.item() == pytest.approx(HIGHEST * 2.302585 * epistemic**0.5)
    assert said.lower_90.item() == pytest.approx(HIGHEST * 10 ** (-1.5 * std))
    assert said.upper_90.item() == pytest.approx(HIGHEST * 10 ** (1.5 * std))


def test_each_row_has_its_own_temperature() -> None:
    x = torch.tensor([PEAK, PEAK], dtype=torch.float64)
    said = landscape(*bound("analytic"), x, torch.tensor([300.0, 310.0]))
    assert said.conductivity.tolist() == pytest.approx([HIGHEST, HIGHEST * 10**0.01])


def test_what_is_said_does_not_depend_on_how_many_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    x = ternary_grid(0.1)
    together = at(x, "small")
    monkeypatch.setattr(module, "_CHUNK", 7)
    apart = at(x, "small")
    for name in ("conductivity", "std", "gradient", "weights", "lower_90"):
        torch.testing.assert_close(getattr(apart, name), getattr(together, name), rtol=1e-9, atol=1e-9)
    assert len(apart) == len(together) == 66
    assert torch.equal(apart.in_domain, together.in_domain)


@pytest.mark.parametrize(
    ("names", "salt", "lithium", "message"),
    [
        (
            ("PC", "EC"),
            LIPF6.smiles,
            0.1,
            "PC, EC came; three different solvents were expected",
        ),
        (
            ("PC", "EC", "ethylene carbonate"),
            LIPF6.smiles,
            0.1,
            "PC, EC, ethylene carbonate came; three different solvents were expected",
        ),
        (
            ("PC", "DMC", "EC"),
            "[Na+].[Cl-]",
            0.1,
            "salt has another cation than lithium; give a lithium salt",
        ),
        (
            ("PC", "DMC", "EC"),
            LIPF6.smiles,
            0.5,
            "lithium_mole_fraction is 0.5; with salt it must lie between 0 and 0.5, where no room is left "
            "for solvents",
        ),
        (
            ("PC", "LiFSI", "EC"),
            LIPF6.smiles,
            0.1,
            "LiFSI is made of ions; three solvents without were expected",
        ),
        (
            ("PC", "DMC", "EC"),
            "[F-].[F-].[Li+].[Na+]",
            0.1,
            "salt is made of 3 ions; give lithium and one anion",
        ),
        (("PC", "DMC", "EC"), "O=C1OCCO1", 0.1, "salt is not made of ions; give a lithium salt"),
    ],
)
def test_what_is_no_system_is_refused(
    names: tuple[str, ...], salt: str, lithium: float, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        TernarySystem(solvents(*names), "salt", Component.of(salt), lithium)
