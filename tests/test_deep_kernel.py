"""Encoder and process trained together: from where, on what, and which state is kept."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch

from surrogates import deep_kernel
from surrogates.deep_kernel import fit_deep_kernel, mixer
from surrogates.gp import MixtureGP
from tests.synthetic_gps import judged, small_deep_kernel

ENCODERS = ("molsets", "diffmix")


@pytest.mark.parametrize("encoder", ENCODERS)
def test_one_member_learns_to_embed(encoder: str) -> None:
    model, start = small_deep_kernel(encoder), judged(encoder).model.members
    assert model.surrogate == "deep-kernel"
    moved = model.encoder.members.parameters
    assert len(model.encoder.members) == 1
    assert any(not torch.equal(moved[name], tensor[:1]) for name, tensor in start.parameters.items())
    data = judged(encoder).data
    said = model.bind(data.table).predict(data.batch)
    assert (said.mean - data.target).abs().mean() < 0.8 * (data.target - data.target.mean()).abs().mean()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_process_stands_on_the_embedding_that_was_kept(encoder: str) -> None:
    model, data = small_deep_kernel(encoder), judged(encoder).data
    with torch.no_grad():
        x = model.bind(data.table).inputs_of(data.batch)
    torch.testing.assert_close(x, model.process.centres, rtol=1e-4, atol=1e-5)


def _fitted(rate: float, watched: list[float]) -> MixtureGP:
    """Return a deep kernel whose state is judged, one after the other, by what `watched` says."""
    said = iter(watched * 3)  # of the judges, then of the model
    with (
        patch("surrogates.gp_fitting._STEPS", 5),
        patch.object(deep_kernel, "_STEPS", len(watched) - 1),
        patch.object(deep_kernel, "_WATCH_EVERY", 1),
        patch.object(deep_kernel, "_KERNEL_RATE", rate),
        patch.object(deep_kernel, "_ENCODER_RATE", rate),
        patch.object(deep_kernel, "_negative_log_density", lambda *_: next(said)),
    ):
        return fit_deep_kernel(judged("molsets"), seed=0)


def test_the_state_that_says_held_out_rows_best_is_kept() -> None:
    start, first, last = (_fitted(0.05, watched) for watched in ([1, 2, 3], [2, 1, 3], [3, 2, 1]))
    before = judged("molsets").model.members.parameters
    for name, tensor in start.encoder.members.parameters.items():
        assert torch.equal(tensor, before[name][:1])
    noises = {float(model.process.noise) for model in (start, first, last)}
    assert len(noises) == 3
    moved = [
        float((m.process.lengthscale.log() - start.process.lengthscale.log()).abs().max())
        for m in (first, last)
    ]
    assert moved[0] == pytest.approx(0.05, rel=0.01)  # the first step of Adam is as long as its rate
    assert moved[1] > 1.5 * moved[0]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_rows_are_embedded_as_a_predictor_does(encoder: str) -> None:
    pair = judged(encoder)
    rows = torch.tensor([5, 3, 40])
    with torch.no_grad():
        got = mixer(pair.model, pair.data)(pair.model.members, rows)
        expected = pair.model.bind(pair.data.table).mixed(pair.data.batch[rows])
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_progress_is_told_of_every_step() -> None:
    told: list[tuple[int, int]] = []
    with patch("surrogates.gp_fitting._STEPS", 2), patch.object(deep_kernel, "_STEPS", 2):
        fit_deep_kernel(judged("molsets"), 0, lambda done, of: told.append((done, of)))
    assert told == [(step, 6) for step in range(1, 7)]
