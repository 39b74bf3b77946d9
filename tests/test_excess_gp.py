"""A process of an excess property: its symmetry, its zeros, its closed form, and wrong digits."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from surrogates import gp_fitting
from surrogates.encoders.diffmix import GraphSettings
from surrogates.encoders.diffmix_excess import DiffMixExcessSettings
from surrogates.excess_data import ExcessData
from surrogates.excess_gp import ExcessGP, fit_excess_gp, inputs_of, pair_embedding
from surrogates.excess_models import ExcessEnsemble
from surrogates.excess_training import ExcessSettings, fit_excess
from surrogates.gaussian_process import matern
from surrogates.prediction import UNCALIBRATED
from surrogates.three_way_splits import three_way_splits
from tests.synthetic_excess import excess

NETWORK = DiffMixExcessSettings(3, GraphSettings(1, 16, 8, 0.0), (16,))
SETTINGS = ExcessSettings(members=2, steps=150, learning_rate=1e-2, network=NETWORK)
DATA = excess(noise=0.01)
(SPLIT,) = three_way_splits("rows", torch.arange(len(DATA)), 1)
TEST = DATA.take(SPLIT.test)


@cache
def ensemble() -> ExcessEnsemble:
    return fit_excess(DATA, SPLIT.train, SPLIT.validate, SETTINGS, seed=0)


def fitted(data: ExcessData = DATA) -> ExcessGP:
    return fit_excess_gp(ensemble(), data, SPLIT.train, SPLIT.validate, seed=0)


@cache
def gp() -> ExcessGP:
    return fitted()


def with_row(row: int, **changed: float) -> ExcessData:
    """Return the data with one row changed."""
    new = {name: getattr(DATA, name).clone() for name in changed}
    for name, value in changed.items():
        new[name][row] = value
    return replace(DATA, **new)


def test_the_law_behind_the_data_is_learnt() -> None:
    said = gp().predict(TEST)
    error = (said.mean - TEST.target).abs()
    assert float(error.mean()) < 0.1 * float(TEST.target.abs().mean())
    assert bool((said.std > 0).all()) and bool(said.in_domain.all())
    assert gp().process.inducing == 0


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.floats(0, 1), st.floats(250, 400)),
        min_size=1,
        max_size=5,
    )
)
def test_the_order_of_components_does_not_matter(rows: list[tuple[int, int, float, float]]) -> None:
    first, second, x, temperature = (torch.tensor(column) for column in zip(*rows, strict=True))
    asked = replace(
        DATA.take(torch.arange(len(rows))),
        table=DATA.table,
        molecules=torch.stack([first, second], dim=1),
        x=x.double(),
        temperature_K=temperature.double(),
    )
    members = ensemble().members
    torch.testing.assert_close(
        pair_embedding(members, asked), pair_embedding(members, asked.exchanged()), rtol=0, atol=1e-12
    )
    said, exchanged = gp().predict(asked), gp().predict(asked.exchanged())
    torch.testing.assert_close(said.mean, exchanged.mean)
    torch.testing.assert_close(said.std, exchanged.std)


def test_a_pure_component_has_no_excess_and_a_mixture_far_from_all_is_ideal() -> None:
    plain = replace(gp(), calibration=UNCALIBRATED)
    for pure in (0.0, 1.0):
        said = plain.predict(replace(TEST, x=torch.full_like(TEST.x, pure)))
        assert bool((said.mean == 0).all())
        assert float(said.epistemic.max()) <= 1e-29  # what no variance counts as
        torch.testing.assert_close(said.aleatoric, torch.full_like(said.mean, gp().noise))
    far = replace(TEST, x=torch.full_like(TEST.x, 0.5), temperature_K=TEST.temperature_K + 1e9)
    told = replace(gp().inputs, column_scale=torch.ones(2, dtype=torch.float64))
    said = replace(plain, inputs=told).predict(far)
    assert float(said.mean.abs().max()) < 1e-6
    torch.testing.assert_close(said.epistemic, torch.full_like(said.mean, gp().unit ** 2))


def test_it_is_the_process_whose_covariance_has_both_weights() -> None:
    """Dense formulas in the property itself: covariance `w w' unit^2 k`, and a noise of each row."""
    plain = replace(gp(), calibration=UNCALIBRATED)
    known = DATA.take(SPLIT.train)
    w, asked_w = (4 * data.x * (1 - data.x) for data in (known, TEST))
    x, asked = (inputs_of(ensemble().members, gp().inputs, data) for data in (known, TEST))

    def covariance(x: Tensor, v: Tensor, z: Tensor, w: Tensor) -> Tensor:
        return gp().unit ** 2 * v[:, None] * w * matern(x, z, gp().process.lengthscale)

    noise = gp().process.noise * (w * gp().unit).square()
    inverse = torch.linalg.inv(covariance(x, w, x, w) + noise.diag())
    across = covariance(asked, asked_w, x, w)
    said = plain.predict(TEST)
    torch.testing.assert_close(said.mean, (across @ inverse @ known.target).float(), rtol=1e-4, atol=1e-5)
    left = covariance(asked, asked_w, asked, asked_w) - across @ inverse @ across.T
    torch.testing.assert_close(said.epistemic, left.diagonal().float(), rtol=1e-3, atol=1e-7)


def test_the_noise_of_a_row_is_how_far_off_the_ensemble_is_beside_what_is_typical() -> None:
    known = DATA.take(SPLIT.train)
    said = ensemble().predict(
        known.table, known.molecules, torch.stack([known.x, 1 - known.x], 1), known.temperature_K
    )
    missed = (said.mean.double() - known.target).abs()
    typical = (missed.median() / 0.674489750196).square()
    weight = 4 * known.x * (1 - known.x) * gp().unit
    torch.testing.assert_close(gp().process.noise * weight.square(), missed.square() + typical)
    assert gp().noise == pytest.approx(float(typical))


def test_a_wrong_digit_moves_nothing_but_its_own_noise() -> None:
    row = int(SPLIT.train[7])
    wrong = fitted(with_row(row, target=float(DATA.target[row]) + 10))
    before, after = gp().predict(TEST), wrong.predict(TEST)
    moved = (after.mean - before.mean).abs()
    assert float(moved.max()) < 0.05 * float(DATA.target.abs().max())


def test_rows_that_test_are_not_looked_at() -> None:
    target = DATA.target.clone()
    target[SPLIT.test] = torch.nan
    said, again = gp().predict(TEST), fitted(replace(DATA, target=target)).predict(TEST)
    assert torch.equal(said.mean, again.mean) and torch.equal(said.std, again.std)


def test_what_is_said_of_a_pure_component_moves_no_mixture() -> None:
    row = int(SPLIT.train[3])
    zero, wrong = (fitted(with_row(row, x=1.0, target=target)).predict(TEST).mean for target in (0.0, 5.0))
    assert float((zero - wrong).abs().max()) < 0.02 * float(DATA.target.abs().max())


def test_all_rows_of_pure_components_teach_nothing() -> None:
    pure = replace(DATA, x=DATA.x.round())
    said = fitted(pure).predict(TEST)
    assert bool(said.mean.isfinite().all()) and bool((said.std > 0).all())


def test_many_rows_get_inducing_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gp_fitting, "EXACT_UP_TO", 40)
    monkeypatch.setattr(gp_fitting, "_INDUCING", 30)
    few = fitted()
    assert (len(few.process), few.process.inducing) == (30, 30)
    error = (few.predict(TEST).mean - TEST.target).abs().mean()
    assert float(error) < 0.2 * float(TEST.target.abs().mean())
