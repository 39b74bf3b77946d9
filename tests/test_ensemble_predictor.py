"""A bound ensemble: what it says is made of its members, however it is asked and wherever it is sent."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from activelearn.screening import Screen, by_mean
from activelearn.spaces import MixtureSpace
from surrogates.batches import MixtureProduct
from surrogates.errors import InputError
from tests.synthetic_mixtures import CALIBRATION, SALTS, SOLVENTS, small_ensemble, synthetic_data

DATA = synthetic_data()
PARTS = ("mean", "epistemic", "aleatoric")


def test_the_prediction_is_made_of_the_members() -> None:
    predictor = replace(small_ensemble(), calibration=CALIBRATION).bind(DATA.table)
    said = predictor.predict(DATA.batch)
    mean, variance = predictor.member_outputs(DATA.batch)
    assert mean.shape == variance.shape == (2, 60)
    torch.testing.assert_close(said.mean, (mean[0] + mean[1]) / 2)
    torch.testing.assert_close(said.epistemic, 2.0 * ((mean[0] - mean[1]) ** 2 / 2) ** 0.8)
    torch.testing.assert_close(said.aleatoric, 3.0 * ((variance[0] + variance[1]) / 2) ** 0.8)
    torch.testing.assert_close(said.std, (said.epistemic + said.aleatoric).sqrt())
    assert said.in_domain.all()
    assert predictor.target == "y"
    torch.testing.assert_close(said.interval_factor, torch.full((60,), 1.7))


def test_the_members_say_what_the_networks_say() -> None:
    ensemble = small_ensemble()
    predictor = ensemble.bind(DATA.table)
    mixed = ensemble.members.each("mix", DATA.batch.to(torch.float32), mine=(predictor.embedding,))
    mean, variance = ensemble.members.each("head", mine=(mixed,))
    got = predictor.member_outputs(DATA.batch)
    torch.testing.assert_close(got[0], ensemble.shift + ensemble.scale * mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(got[1], ensemble.scale**2 * variance, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("start", "stop"), [(0, 2400), (37, 1301), (4, 5)])
def test_a_product_is_predicted_as_its_rows_are(start: int, stop: int) -> None:
    product = MixtureProduct(
        DATA.batch.solvents,
        DATA.batch.weights,
        salt=DATA.batch.salts[:40, 0],
        molality=torch.linspace(0.1, 3, 40, dtype=torch.float64),
        temperature_K=torch.full((40,), 298.15, dtype=torch.float64),
        start=start,
        stop=stop,
    )  # more rows than are computed at once
    predictor = small_ensemble().bind(DATA.table)
    got, expected = predictor.predict(product), predictor.predict(product.expand())
    for part in PARTS:
        values = getattr(got, part)
        assert values.shape == (stop - start,)
        assert values.dtype == torch.float32
        torch.testing.assert_close(values, getattr(expected, part), rtol=1e-5, atol=1e-5)
    assert torch.equal(got.in_domain, expected.in_domain)


def test_gradients_reach_the_amounts() -> None:
    batch = DATA.batch[:5]
    weights, molality = batch.weights.clone().requires_grad_(), batch.molality.clone().requires_grad_()
    mean, variance = (
        small_ensemble().bind(DATA.table).member_outputs(replace(batch, weights=weights, molality=molality))
    )
    for output in (mean, variance):
        for gradient in torch.autograd.grad(output.sum(), (weights, molality), retain_graph=True):
            assert gradient.isfinite().all()
            assert (gradient != 0).any()


def test_in_float64_it_says_the_same_to_more_digits() -> None:
    predictor = replace(small_ensemble(), calibration=CALIBRATION).bind(DATA.table)
    precise = predictor.double().predict(DATA.batch)
    said = predictor.predict(DATA.batch)
    for part in PARTS:
        assert getattr(precise, part).dtype == torch.float64
        torch.testing.assert_close(getattr(precise, part).float(), getattr(said, part), rtol=1e-4, atol=1e-4)
    assert torch.equal(precise.in_domain, said.in_domain)
    assert predictor.predict(DATA.batch).mean.dtype == torch.float32  # the other one is as it was


def test_a_bound_model_pickles() -> None:
    predictor = small_ensemble().bind(DATA.table)
    travelled = pickle.loads(pickle.dumps(predictor))
    assert torch.equal(travelled.predict(DATA.batch).mean, predictor.predict(DATA.batch).mean)


def test_a_worker_loads_nothing_that_only_training_needs(tmp_path: Path) -> None:
    space = MixtureSpace({c.smiles: c for c in SOLVENTS}, {c.smiles: c for c in SALTS})
    screen = Screen(space, small_ensemble().bind(space.table), by_mean, top_k=3, shards=tmp_path)
    (tmp_path / "screen").write_bytes(pickle.dumps(screen))
    script = (
        "import pickle, sys\n"
        f"screen = pickle.load(open({str(tmp_path / 'screen')!r}, 'rb'))\n"
        "print(screen.score_chunk(next(screen.chunks())).top['candidate'].tolist())\n"
        "heavy = {'torch_geometric', 'torch._dynamo', 'sklearn', 'scipy', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    top = screen.score_chunk(next(screen.chunks())).top["candidate"].tolist()
    assert run.stdout.splitlines() == [str(top), "[]"]


def test_mixtures_of_no_salt_or_of_several_are_refused() -> None:
    predictor, batch = small_ensemble().bind(DATA.table), DATA.batch[:4]
    two = replace(batch, salts=batch.salts.expand(-1, 2), molality=batch.molality.expand(-1, 2))
    words = (
        "; a model of encoder: molsets takes one salt a mixture. "
        "Take a model trained with encoder: diffmix, which takes any number of salts, and none."
    )
    for ask in (predictor.predict, predictor.member_outputs):
        with pytest.raises(InputError) as caught:
            ask(two)
        assert str(caught.value) == f"mixtures: of 4 mixtures 0 hold no salt and 4 more than one{words}"
    product = MixtureProduct(
        batch.solvents, batch.weights, batch.salts[:, 0], torch.arange(4.0), batch.temperature_K, 0, 16
    )
    for asked in (product, product.expand()):
        with pytest.raises(InputError) as caught:
            predictor.predict(asked)
        assert str(caught.value) == f"mixtures: of 16 mixtures 4 hold no salt and 0 more than one{words}"


def test_an_optimiser_may_take_molality_to_0() -> None:
    free = replace(DATA.batch, molality=torch.zeros_like(DATA.batch.molality).requires_grad_())
    mean, _ = small_ensemble().bind(DATA.table).member_outputs(free)
    assert mean.isfinite().all()
