"""A process over an ensemble's word: what it says before, at and far from measurements."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from activelearn.spaces import MixtureSpace
from surrogates.aligned_model import AlignedModel, compare
from surrogates.alignment import align
from surrogates.errors import InputError
from surrogates.gaussian_process import matern
from surrogates.laboratories import REPEATABILITY, default_laboratories
from surrogates.mixture_data import MixtureData, mixture_rows
from surrogates.prior_gp import Prior, PriorGP, fit_prior_gp, offset_of, spread_of
from tests.synthetic_laws import small_law_ensemble, vft_data
from tests.synthetic_mixtures import SALTS, SOLVENTS, small_ensemble, synthetic_data

SPACE = MixtureSpace(
    solvents={one.smiles: one for one in SOLVENTS},
    salts={one.smiles: one for one in SALTS},
    molality_mol_kg=(0.5, 1.0, 1.5),
    temperature_K=(298.15,),
)
AROUND = SPACE.table, SPACE[0 : len(SPACE)].expand()
ENCODERS = ("molsets", "diffmix", "aligned")


def _prior(encoder: str) -> Prior:
    if encoder == "molsets":
        return small_ensemble()
    model, data = small_law_ensemble(), vft_data()
    if encoder == "diffmix":
        return model
    some = data.take(torch.arange(6))
    choice = align(compare(model, some.table, some.batch, some.target), default_laboratories(), "mine.csv")
    return AlignedModel(model, choice.alignment)


def _data(encoder: str, n: int, shift: float = 0.7) -> MixtureData:
    """Return candidates whose measurements are what the ensemble says, and so much more."""
    candidates = torch.randperm(len(SPACE), generator=torch.Generator().manual_seed(1))[:n]
    batch = SPACE.at(candidates).to(torch.float64)
    prior = _prior(encoder)
    target = prior.bind(SPACE.table).predict(batch.to(torch.float32)).mean.double() + shift
    rows = mixture_rows(SPACE.table, batch, np.arange(n) + 2, np.zeros(n, dtype=bool))
    return MixtureData(SPACE.table, batch, target, prior.target, rows, "new.csv", "", ())


def _fitted(encoder: str, n: int) -> PriorGP:
    return fit_prior_gp(_prior(encoder), _data(encoder, n), AROUND, seed=0)


@pytest.mark.parametrize(("encoder", "n"), list(product(ENCODERS, (1, 3, 12))))
def test_it_says_what_was_measured_there(encoder: str, n: int) -> None:
    data, gp = _data(encoder, n), _fitted(encoder, n)
    said, before = (
        gp.bind(data.table).predict(data.batch),
        _prior(encoder).bind(data.table).predict(data.batch),
    )
    assert (said.mean.double() - data.target).abs().max() < 0.35 * (before.mean - data.target).abs().max()
    assert (said.epistemic < before.std.double() ** 2 * gp.spread**2).all()
    assert torch.equal(said.in_domain, before.in_domain)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_before_any_measurement_it_says_what_the_ensemble_says(encoder: str) -> None:
    gp, prior = _fitted(encoder, 3), _prior(encoder)
    empty = replace(gp.process, centres=gp.process.centres[:0], weights=gp.process.weights[:0])
    empty = replace(empty, reduction=gp.process.reduction[:0, :0])
    empty_gp = replace(gp, process=empty, offset=0.0, spread=1.0, doubt=0.0)
    said = empty_gp.bind(SPACE.table).predict(SPACE[0:40])
    expected = prior.bind(SPACE.table).predict(SPACE[0:40])
    torch.testing.assert_close(said.mean, expected.mean.double(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(said.epistemic.sqrt(), expected.std.double(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(said.interval_factor, expected.interval_factor.double())


def test_the_posterior_is_that_of_rasmussen_and_williams() -> None:
    data, gp = _data("diffmix", 12), _fitted("diffmix", 12)
    predictor, process = gp.bind(data.table), gp.process
    location, std = predictor.location(data.batch)
    x, y = predictor.inputs_of(data.batch), (data.target - location) / std
    z = predictor.inputs_of(AROUND[1][:5].to(torch.float64))
    noisy = matern(x, x, process.lengthscale) + process.noise * torch.eye(12, dtype=torch.float64)
    across = matern(z, x, process.lengthscale)
    mean = process.constant + across @ noisy.inverse() @ (y - process.constant)
    variance = 1 - (across @ noisy.inverse() * across).sum(1)
    said = predictor.predict(AROUND[1][:5].to(torch.float64))
    at, scale = predictor.location(AROUND[1][:5].to(torch.float64))
    torch.testing.assert_close(said.mean, at + scale * mean, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(said.epistemic, scale**2 * variance, rtol=1e-5, atol=1e-9)


def test_a_further_measurement_is_as_if_it_had_been_there() -> None:
    gp, data = _fitted("diffmix", 4), _data("diffmix", 4)
    more = _data("diffmix", 9).take(torch.arange(4, 9))
    both = _data("diffmix", 9)
    updated = gp.condition_on(more).bind(SPACE.table).predict(SPACE[0:30])
    predictor = gp.bind(both.table)
    x, y = predictor.inputs_of(both.batch), predictor.standardised(both.batch, both.target)
    process = type(gp.process).exact(x, y, gp.process.lengthscale, gp.process.constant, gp.process.noise)
    at_once = replace(gp, process=process).bind(SPACE.table).predict(SPACE[0:30])
    assert len(data) + len(more) == len(both)
    torch.testing.assert_close(updated.mean, at_once.mean, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(updated.epistemic, at_once.epistemic, rtol=1e-5, atol=1e-9)


def test_a_product_and_its_rows_have_one_prediction() -> None:
    predictor = _fitted("molsets", 12).bind(SPACE.table)
    product_of, rows = (predictor.predict(batch) for batch in (SPACE[7:50], SPACE[7:50].expand()))
    torch.testing.assert_close(product_of.mean, rows.mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(product_of.epistemic, rows.epistemic, rtol=1e-4, atol=1e-7)


def test_what_all_measurements_share_is_an_offset() -> None:
    near = fit_prior_gp(_prior("diffmix"), _data("diffmix", 8, shift=0.0), AROUND, 0)
    far = fit_prior_gp(_prior("diffmix"), _data("diffmix", 8, shift=0.9), AROUND, 0)
    assert (near.offset, near.spread) == pytest.approx((0.0, (4 / 12) ** 0.5), abs=1e-6)
    assert far.offset == pytest.approx(0.9 * 8 / 9, rel=0.05)
    # A laboratory that reads higher does so everywhere, however unsure the ensemble is.
    above = far.bind(SPACE.table).predict(SPACE[0:60]).mean - near.bind(SPACE.table).predict(SPACE[0:60]).mean
    assert above.min() > 0.75
    assert above.max() < 1.0


@pytest.mark.parametrize("encoder", ENCODERS)
def test_once_it_was_measured_no_ensemble_is_surer_than_its_median(encoder: str) -> None:
    prior, gp = _prior(encoder), _fitted(encoder, 3)
    said = prior.bind(SPACE.table).predict(AROUND[1].to(torch.float32))
    assert gp.doubt == pytest.approx(float(said.std.double().median()), rel=1e-4)
    scale = gp.bind(SPACE.table).location(AROUND[1].to(torch.float64))[1]
    expected = gp.spread * (said.std.double().square() + gp.doubt**2).sqrt()
    torch.testing.assert_close(scale, expected, rtol=1e-4, atol=1e-6)


def test_an_offset_by_hand() -> None:
    difference, std = torch.tensor([1.0, 3.0, 2.0]).double(), torch.tensor([1.0, 2.0, 1.0]).double()
    assert offset_of(difference, std) == pytest.approx((1 + 0.75 + 2) / (2.25 + 1))
    assert offset_of(difference[:0], std[:0]) == 0
    assert spread_of(torch.tensor([2.0, 4.0])) == pytest.approx((24 / 6) ** 0.5)


@pytest.mark.parametrize("n", [3, 12])
def test_the_noise_of_a_conductivity_is_not_below_what_laboratories_repeat_to(n: int) -> None:
    # Measurements that are what the ensemble says, without any noise.
    gp = fit_prior_gp(_prior("diffmix"), _data("diffmix", n, shift=0.0), AROUND, 0)
    said = gp.bind(SPACE.table).predict(SPACE[0:60])
    assert gp.repeatability == pytest.approx(REPEATABILITY)
    assert (said.aleatoric.sqrt() > REPEATABILITY * (1 - 1e-6)).all()
    # The process itself takes no measurement for surer than that either.
    scale = gp.bind(SPACE.table).location(_data("diffmix", n).batch)[1].square().median()
    assert gp.process.noise * scale > REPEATABILITY**2 * (1 - 1e-6)


def test_replicates_that_scatter_raise_it_and_other_targets_have_none() -> None:
    data = _data("diffmix", 6)
    target = torch.cat([data.target, data.target + 0.2])
    twice = replace(data.take(torch.arange(6).repeat(2)), target=target)
    gp = fit_prior_gp(_prior("diffmix"), twice, AROUND, 0)
    # Six pairs, 0.1 on either side of their means.
    assert gp.repeatability == pytest.approx(((4 * REPEATABILITY**2 + 12 * 0.1**2) / 10) ** 0.5)
    assert _fitted("molsets", 6).repeatability == 0


def test_another_target_is_refused() -> None:
    with pytest.raises(InputError, match="y was measured, but the model predicts log10_conductivity_S_cm"):
        fit_prior_gp(small_law_ensemble(), synthetic_data(), AROUND, 0)
