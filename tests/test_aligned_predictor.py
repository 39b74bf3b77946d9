"""An aligned model: numbers of `predict` and of its members, gradients, and its way through a directory."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from activelearn.landscape import DifferentiablePredictor
from activelearn.spaces import MixtureSpace
from surrogates.aligned_model import AlignedModel, FittedModel, compare, places_of, unseen_laboratories
from surrogates.alignment import Alignment
from surrogates.alignment_card import AlignmentCard
from surrogates.botorch_model import EnsembleSurrogate
from surrogates.checkpoints import card_of, load_card, load_model, save_model
from surrogates.errors import InputError
from surrogates.laboratories import FAMILIES, Family, default_laboratories
from surrogates.mixture_data import MixtureData
from surrogates.model_directories import CARD, WEIGHTS
from tests import synthetic_laws, synthetic_mixtures
from tests.synthetic_laws import small_law_ensemble, vft_data
from tests.synthetic_mixtures import SALTS, SOLVENTS, small_ensemble, synthetic_data

ROOT = Path(__file__).parent.parent
PARTS = ("mean", "epistemic", "aleatoric")
MODELS = {"diffmix": (small_law_ensemble, vft_data), "molsets": (small_ensemble, synthetic_data)}


def aligned(family: Family, encoder: str = "diffmix", given: int = 6) -> tuple[AlignedModel, MixtureData]:
    """Return a small model, aligned with a few of its training rows that are moved, and these data."""
    fitted, data = (made() for made in MODELS[encoder])
    some = data.take(torch.arange(0, given * 7, 7))
    some = replace(some, target=some.target - 0.1)
    used = torch.arange(given) != 2
    rows = compare(fitted, some.table, some.batch, some.target)
    alignment = Alignment(family, default_laboratories().priors[family], rows, used)
    return AlignedModel(fitted, alignment), data


@pytest.mark.parametrize("encoder", MODELS)
@pytest.mark.parametrize("family", FAMILIES)
def test_mean_and_variances_are_those_of_the_correction(family: Family, encoder: str) -> None:
    model, data = aligned(family, encoder)
    before, after = (of.bind(data.table).predict(data.batch) for of in (model.model, model))
    rows = compare(model.model, data.table, data.batch)
    shift, unsure = model.alignment.correction(rows)
    torch.testing.assert_close(after.mean.double(), before.mean.double() + shift, rtol=1e-5, atol=1e-5)
    factor, share = model.alignment.variance_factor, model.alignment.prior.scatter**2
    epistemic = factor * share * before.epistemic.double() + unsure
    aleatoric = factor * share * before.aleatoric.double() + math.log10(1.03) ** 2
    torch.testing.assert_close(after.epistemic.double(), epistemic, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(after.aleatoric.double(), aleatoric, rtol=1e-4, atol=1e-7)
    assert torch.equal(after.in_domain, before.in_domain)
    assert after.mean.dtype == torch.float32
    assert family != "none" or torch.equal(after.mean, before.mean)


@pytest.mark.parametrize("encoder", MODELS)
def test_the_members_say_together_what_predict_says(encoder: str) -> None:
    model, data = aligned("residual", encoder)
    predictor = model.bind(data.table)
    said = predictor.predict(data.batch[:9])
    mean, variance = predictor.member_outputs(data.batch[:9])
    for found, expected in ((mean.mean(0), said.mean), (mean.var(0), said.epistemic)):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(variance.mean(0), said.aleatoric)
    for part, same in zip(
        (said.epistemic, said.aleatoric),
        predictor.calibration.apply(said.epistemic, said.aleatoric),
        strict=True,
    ):
        assert torch.equal(part, same)
    factors = torch.full((9,), predictor.calibration.interval_factor)
    torch.testing.assert_close(said.interval_factor, factors)
    assert isinstance(predictor, DifferentiablePredictor)


def test_botorch_sees_the_same_numbers_and_gradients_pass() -> None:
    model, data = aligned("residual")
    predictor = model.bind(data.table).double()
    surrogate = EnsembleSurrogate(predictor)
    rows = data.batch[:3].to_rows().requires_grad_()
    posterior = surrogate.posterior(rows)
    said = predictor.predict(data.batch[:3])
    torch.testing.assert_close(posterior.mean[:, 0], said.mean)
    torch.testing.assert_close(posterior.variance[:, 0], said.epistemic)
    (posterior.mean.sum() + posterior.variance.sum()).backward()
    assert rows.grad is not None

    def value(moved: Tensor) -> float:
        now = surrogate.posterior(moved)
        return float(now.mean.sum() + now.variance.sum())

    slots = data.batch.solvents.shape[1]
    for column, step in ((slots, 1e-5), (-2, 1e-5), (-1, 1e-3)):  # a weight, the molality, the temperature
        for row in range(3):
            up, down = (rows.detach().clone() for _ in range(2))
            up[row, column] += step
            down[row, column] -= step
            expected = (value(up) - value(down)) / (2 * step)
            assert float(rows.grad[row, column]) == pytest.approx(expected, rel=1e-3, abs=1e-7)


def test_a_screen_in_another_process_sees_the_same_numbers(tmp_path: Path) -> None:
    """What SciPy, scikit-learn and pandas take to import, no worker waits for."""
    model, _ = aligned("residual")
    space = MixtureSpace({c.smiles: c for c in SOLVENTS}, {c.smiles: c for c in SALTS})
    predictor = model.bind(space.table)
    product = space[3:31]
    said, expected = predictor.predict(product), predictor.predict(product.expand())
    for part in PARTS:
        torch.testing.assert_close(getattr(said, part), getattr(expected, part), rtol=1e-4, atol=1e-6)
    (tmp_path / "both").write_bytes(pickle.dumps((predictor, product)))
    script = (
        "import pickle, sys\n"
        f"predictor, product = pickle.load(open({str(tmp_path / 'both')!r}, 'rb'))\n"
        "print(predictor.predict(product).mean.double().sum().item())\n"
        "print(sorted({'sklearn', 'scipy', 'pandas'} & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    total, heavy = run.stdout.splitlines()
    assert float(total) == pytest.approx(float(said.mean.double().sum()), rel=1e-6)
    assert heavy == "[]"


def test_the_order_of_solvents_does_not_matter() -> None:
    model, data = aligned("residual")
    places = places_of(model.model, data.table)
    batch = data.batch[:5]
    turned = replace(batch, solvents=batch.solvents.flip(1), weights=batch.weights.flip(1))
    torch.testing.assert_close(places.points(batch), places.points(turned))
    assert places.points(batch).dtype == torch.float64


def test_points_of_mixtures_are_as_far_apart_as_the_domain_says() -> None:
    """In thresholds of the domain; a training mixture is at distance 0 from itself."""
    model, data = aligned("residual")
    fitted, places = model.model, places_of(model.model, data.table)
    features, domain = fitted.features.of(data.table), fitted.domain
    one, other = data.batch[:1], data.batch[20:21]
    points = [places.points(batch)[0, :-2] for batch in (one, other)]
    by_hand = []
    for batch in (one, other):
        solvent = (batch.weights[0, :, None] / batch.weights.sum() * features[batch.solvents[0]]).sum(0)
        scaled = (
            solvent * fitted.domain.solvent_scale,
            features[batch.salts[0, 0]] * fitted.domain.salt_scale,
        )
        by_hand.append(torch.cat(scaled))
    expected = float((by_hand[0] - by_hand[1]).norm()) / domain.threshold
    assert float((points[0] - points[1]).norm()) == pytest.approx(expected, rel=1e-4)


def _card(family: Family) -> AlignmentCard:
    return AlignmentCard(
        family=family,
        prior=default_laboratories().priors[family],
        laboratories="a default",
        candidates=(),
        factor=(0.9, 0.8, 1.0),
        variance_factor=1.0,
        source="mine.csv",
        sha256="",
        rows=6,
        rows_set_aside=(),
        model_sha256="",
    )


def _save(model: AlignedModel, encoder: str, directory: Path) -> Path:
    settings = {"diffmix": synthetic_laws.SETTINGS, "molsets": synthetic_mixtures.SETTINGS}[encoder]
    fitted: FittedModel = model.model
    card = card_of(fitted, settings, {}, 0, {}, ())
    save_model(model, card.model_copy(update={"alignment": _card(model.alignment.family)}), directory)
    return directory


@pytest.mark.parametrize("encoder", MODELS)
@pytest.mark.parametrize("family", ["factor", "residual"])
def test_it_comes_back_from_its_directory_as_it_was(family: Family, encoder: str, tmp_path: Path) -> None:
    model, data = aligned(family, encoder)
    saved = _save(model, encoder, tmp_path / "model")
    assert sorted(path.name for path in saved.iterdir()) == [CARD, WEIGHTS]
    again = load_model(saved)
    assert isinstance(again, AlignedModel)
    before, after = (of.bind(data.table) for of in (model, again))
    for part in PARTS:
        assert torch.equal(*(getattr(of.predict(data.batch), part) for of in (before, after)))
    assert load_card(saved).alignment == _card(family)
    assert (again.target, again.domain.threshold) == (model.target, model.domain.threshold)


DAMAGE = {
    "alignment.std": lambda t: t[:-1].clone(),
    "alignment.used": lambda t: t[:-1].clone(),
    "alignment.points": lambda t: t[:, :-1].clone(),
    "alignment.difference": lambda t: t * torch.nan,
    "alignment.z": lambda t: t[:, None] * torch.inf,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_alignment_is_refused(name: str, tmp_path: Path) -> None:
    saved = _save(aligned("factor")[0], "diffmix", tmp_path / "model")
    tensors = load_file(saved / WEIGHTS)
    save_file(tensors | {name: DAMAGE[name](tensors[name])}, saved / WEIGHTS)
    with pytest.raises(InputError) as refused:
        load_model(saved)
    assert f"cannot be read as part of a model: {name}" in str(refused.value)


def test_a_missing_tensor_of_an_alignment_is_named(tmp_path: Path) -> None:
    saved = _save(aligned("factor")[0], "diffmix", tmp_path / "model")
    tensors = load_file(saved / WEIGHTS)
    del tensors["alignment.z"]
    save_file(tensors, saved / WEIGHTS)
    with pytest.raises(InputError, match=r"there is no tensor 'alignment\.z'"):
        load_model(saved)


def test_a_card_from_before_there_were_alignments_is_read(tmp_path: Path) -> None:
    fitted = small_law_ensemble()
    save_model(fitted, card_of(fitted, synthetic_laws.SETTINGS, {}, 0, {}, ()), tmp_path / "model")
    card = json.loads((tmp_path / "model" / CARD).read_text())
    del card["alignment"], card["laboratories"]
    (tmp_path / "model" / CARD).write_text(json.dumps(card))
    assert load_card(tmp_path / "model").alignment is None
    assert not isinstance(load_model(tmp_path / "model"), AlignedModel)


def test_papers_come_back_as_they_were_said_without_suspects() -> None:
    fitted, data = small_law_ensemble(), vft_data()
    name = data.target_name
    suspect = np.zeros(60, dtype=bool)
    suspect[11] = True
    data = replace(data, rows=data.rows.assign(suspect=suspect))
    of = {"splits": "paper", "model": "ensemble", "row": data.rows["row"], name: data.target}
    said = pd.DataFrame({**of, "split": np.repeat([1, 2], 30), f"{name}_mean": -2.0, f"{name}_std": 0.1})
    rivals = said.assign(model="forest")
    random = said.assign(splits="random")
    shuffled = pd.concat([random, rivals, said]).sample(frac=1, random_state=0)
    one, two = unseen_laboratories(fitted, data, shuffled)
    assert (len(one), len(two)) == (29, 30)
    torch.testing.assert_close(two.difference.sort().values, (data.target[30:] + 2).sort().values)
    torch.testing.assert_close(two.z, torch.full((30,), (-2 - fitted.shift) / fitted.scale).double())
    place = int((two.difference == data.target[45] + 2).nonzero()[0, 0])
    expected = places_of(fitted, data.table).points(data.batch[45:46])
    assert torch.equal(two.points[place], expected[0])
    assert unseen_laboratories(fitted, data, pd.DataFrame()) == []
