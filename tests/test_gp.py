"""A fitted process: told of new rows and made to forget them, and kept as tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from surrogates.errors import InputError
from surrogates.gaussian_process import GaussianProcess
from surrogates.gp import MixtureGP
from surrogates.mixture_data import MixtureData, mixture_rows, tabulate
from surrogates.molecules import Component
from surrogates.prediction import Prediction
from tests.synthetic_gps import judged, small_deep_kernel, small_gp
from tests.synthetic_mixtures import SALTS, SOLVENTS, synthetic_data

ENCODERS = ("molsets", "diffmix")


def _says(model: MixtureGP, data: MixtureData) -> Prediction:
    return model.bind(data.table).predict(data.batch)


def _new() -> MixtureData:
    """Two measurements, one with a molecule that no training row holds."""
    table, batch = tabulate(
        [[Component.of("CN(C)C=O")], [SOLVENTS[0], SOLVENTS[1]]],
        [[1.0], [0.5, 0.5]],
        [[SALTS[0]], [SALTS[1]]],
        [[0.7], [1.1]],
        [298.15, 298.15],
    )
    frame = mixture_rows(table, batch, range(2, 4), np.zeros(2, dtype=bool))
    return MixtureData(table, batch, torch.tensor([3.0, -3.0]).double(), "y", frame, "new.csv", "", ())


def test_new_rows_move_the_posterior_to_them_and_are_forgotten_again() -> None:
    model, new, data = small_gp(), _new(), synthetic_data()
    after = model.condition_on(new)
    assert after.rows_added == 2
    assert (_says(after, new).epistemic < _says(model, new).epistemic).all()
    missed, misses = ((_says(one, new).mean - new.target).abs() for one in (model, after))
    assert (misses < missed).all()
    assert float((_says(after, data).mean - _says(model, data).mean).abs().max()) > 1e-3
    for part in ("mean", "epistemic", "aleatoric"):
        before, back = (getattr(_says(one, data), part) for one in (model, after.without_last(2)))
        torch.testing.assert_close(back, before, rtol=1e-6, atol=1e-6)
    assert after.without_last(2).rows_added == 0


def test_told_of_more_rows_it_is_as_if_all_had_been_there() -> None:
    model, new = small_gp(), _new()
    told = model.condition_on(new)
    process = told.process
    y = (torch.cat([judged("molsets").data.target, new.target]) - model.encoder.shift) / model.encoder.scale
    whole = GaussianProcess.exact(process.centres, y, process.lengthscale, process.constant, process.noise)
    torch.testing.assert_close(process.weights, whole.weights, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(process.reduction, whole.reduction, rtol=1e-6, atol=1e-6)


def test_only_rows_that_were_added_are_the_last() -> None:
    with pytest.raises(ValueError, match=r"^2 rows were added; 3 cannot be removed$"):
        small_gp().condition_on(_new()).without_last(3)


def test_another_target_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        small_gp().condition_on(replace(_new(), target_name="density_g_cm3"))
    assert str(refused.value) == (
        "new.csv: density_g_cm3 was measured, but the model predicts y. Give measurements of y."
    )


def _models() -> dict[str, MixtureGP]:
    gp = small_gp()
    x, y = gp.process.centres, judged("molsets").data.target
    hyper = (gp.process.lengthscale, gp.process.constant, gp.process.noise)
    sparse = replace(gp, process=GaussianProcess.variational(x, y, x[:9], *hyper))
    return {
        "exact": gp,
        "variational": sparse,
        "told of more": sparse.condition_on(_new()),
        "diffmix": small_gp("diffmix"),
        "deep": small_deep_kernel(),
    }


@pytest.mark.parametrize("name", ["exact", "variational", "told of more", "diffmix", "deep"])
def test_tensors_give_the_model_back(name: str) -> None:
    model = _models()[name]
    back = MixtureGP.of_tensors(model.tensors(), model.encoder, model.calibration)
    data = judged("diffmix" if name == "diffmix" else "molsets").data
    one, two = _says(model, data), _says(back, data)
    for part in ("mean", "epistemic", "aleatoric"):
        torch.testing.assert_close(getattr(one, part), getattr(two, part), rtol=1e-6, atol=1e-9)
    assert (back.form, back.surrogate, back.rows_added) == (model.form, model.surrogate, model.rows_added)
    assert len(back.process) == len(model.process)


def test_a_model_says_what_it_is() -> None:
    models = _models()
    assert [models[name].form for name in ("exact", "variational", "deep")] == [
        "exact",
        "variational",
        "exact",
    ]
    assert [models[name].surrogate for name in ("exact", "deep")] == ["gp", "deep-kernel"]
    assert models["exact"].target == "y"


DAMAGE: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "gp.process.weights": (lambda t: t[1:], "gp.process.weights is (59,), not (60,)"),
    "gp.inputs.directions": (lambda t: t[1:], "gp.inputs.directions is (31, 16), not (32, 16)"),
    "gp.counts": (lambda t: t + 61 * t.new_tensor([0, 1]), "gp.counts is [0, 61], of 60 centres"),
    "gp.process.noise": (lambda t: -t, "gp.process.noise and gp.process.lengthscale must be above 0"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_tensor_is_named(name: str) -> None:
    model = small_gp()
    damage, wrong = DAMAGE[name]
    tensors = model.tensors()
    with pytest.raises(ValueError) as refused:
        MixtureGP.of_tensors(tensors | {name: damage(tensors[name])}, model.encoder, model.calibration)
    assert str(refused.value) == wrong
