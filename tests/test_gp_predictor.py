"""What a process is told of a mixture, and what it says of many."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch

from surrogates import gp_predictor
from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.gp_predictor import GPPredictor, columns_of
from surrogates.mixture_data import MixtureData
from tests.synthetic_gps import judged, small_deep_kernel, small_gp

ENCODERS = ("molsets", "diffmix")
PARTS = ("mean", "epistemic", "aleatoric", "in_domain")


def _bound(encoder: str) -> tuple[MixtureData, GPPredictor]:
    data = judged(encoder).data
    return data, small_gp(encoder).bind(data.table)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_training_rows_are_standardised(encoder: str) -> None:
    data, predictor = _bound(encoder)
    with torch.no_grad():
        x = predictor.inputs_of(data.batch)
    torch.testing.assert_close(x, predictor.process.centres)
    p = predictor.inputs.directions.shape[1]
    torch.testing.assert_close(x.mean(0), torch.zeros_like(x[0]), rtol=0, atol=1e-6)
    spread = x.std(0, correction=0)
    assert float(spread[0]) == pytest.approx(1)
    assert (spread[:p].diff() <= 1e-9).all()
    varies = predictor.inputs.column_scale > 0
    torch.testing.assert_close(spread[p:][varies], torch.ones_like(spread[p:][varies]))
    assert (x[:, p:][:, ~varies] == 0).all()
    assert varies[-3]  # molality


def test_columns_worked_by_hand() -> None:
    features = torch.arange(30.0).reshape(2, 15)
    batch = MixtureBatch(
        torch.tensor([[0, 1]]),
        torch.tensor([[0.2, 0.6]]),
        torch.tensor([[1, 0]]),
        torch.tensor([[0.75, 0.25]]),
        torch.tensor([250.0]),
    )
    (row,) = columns_of(features, batch).tolist()
    solvents = [0.25 * a + 0.75 * (15 + a) for a in (*range(10), 13, 14)]
    conditions = [0.0, 0.6931471805599453, 4.0]
    assert row == pytest.approx([*solvents, *(0.75 * (15 + a) + 0.25 * a for a in range(10)), *conditions])


@pytest.mark.parametrize("encoder", ENCODERS)
def test_neither_the_order_of_solvents_nor_the_sum_of_weights_matters(encoder: str) -> None:
    data, predictor = _bound(encoder)
    batch = data.batch
    turned = replace(batch, solvents=batch.solvents.flip(1), weights=0.7 * batch.weights.flip(1))
    one, two = predictor.predict(batch), predictor.predict(turned)
    for part in PARTS[:3]:
        torch.testing.assert_close(getattr(one, part), getattr(two, part), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_product_is_its_rows_and_few_rows_are_many(encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, predictor = _bound(encoder)
    few = data.batch[:4]
    product = MixtureProduct(
        few.solvents, few.weights, few.salts[:, 0], few.molality[:, 0], few.temperature_K, 2, 15
    )
    at_once = predictor.predict(product.expand())
    monkeypatch.setattr(gp_predictor, "_ROWS", 5)
    said = predictor.predict(product)
    for part in PARTS:
        torch.testing.assert_close(getattr(said, part), getattr(at_once, part), rtol=1e-5, atol=1e-6)
    assert said.mean.dtype == torch.float32
    assert said.mean.shape == (13,)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_gradients_are_finite_differences(encoder: str) -> None:
    data, predictor = _bound(encoder)
    precise, batch = predictor.double(), data.batch[:5]
    for name in ("weights", "molality", "temperature_K"):
        value = getattr(batch, name).clone().requires_grad_()
        mean, _ = precise.member_outputs(replace(batch, **{name: value}))
        (gradient,) = torch.autograd.grad(mean.sum(), value)
        step = 1e-5 * torch.ones_like(value)
        if name == "weights":
            step[:, 1] = 0
        ahead, behind = (
            precise.member_outputs(replace(batch, **{name: getattr(batch, name) + sign * step}))[0][0]
            for sign in (1, -1)
        )
        expected = ((ahead - behind) / 2e-5).detach()
        got = gradient if name == "temperature_K" else gradient[:, 0]
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_worker_gets_the_same_predictor(encoder: str) -> None:
    data, predictor = _bound(encoder)
    sent = pickle.loads(pickle.dumps(predictor))
    for part in PARTS:
        assert torch.equal(
            getattr(sent.predict(data.batch), part), getattr(predictor.predict(data.batch), part)
        )


def test_the_mean_of_the_one_member_is_the_prediction() -> None:
    data, predictor = _bound("molsets")
    said = predictor.predict(data.batch)
    mean, noise = predictor.member_outputs(data.batch)
    torch.testing.assert_close(mean[0].float(), said.mean)
    torch.testing.assert_close(noise[0].float(), said.aleatoric)
    assert predictor.target == "y"
    zone = predictor.encoder.domain.zones(data.batch)
    assert torch.equal(said.interval_factor, small_gp().calibration.factors(zone))


def test_a_deep_kernel_predicts_with_one_encoder() -> None:
    model, data = small_deep_kernel(), judged("molsets").data
    said = model.bind(data.table).predict(data.batch)
    assert said.mean.isfinite().all() and (said.std > 0).all()
