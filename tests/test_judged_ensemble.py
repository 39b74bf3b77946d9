"""The judges beside an ensemble: what they have not seen, and that the ensemble is calibrated by it."""

from __future__ import annotations

from dataclasses import fields
from unittest.mock import patch

import pytest
import torch

from surrogates.calibration import fit_calibration
from surrogates.ensemble import fit_ensemble
from surrogates.law_ensemble import fit_law_ensemble
from surrogates.prediction import BEYOND, Prediction
from tests.synthetic_gps import judged
from tests.synthetic_laws import SETTINGS as LAW_SETTINGS
from tests.synthetic_laws import vft_data
from tests.synthetic_mixtures import SETTINGS, synthetic_data

ENCODERS = ("molsets", "diffmix")


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_calibrated_ensemble_is_what_a_fit_gives(encoder: str) -> None:
    panel = judged(encoder)
    if encoder == "molsets":
        with patch("surrogates.teacher._TREES", 10):
            fitted = fit_ensemble(synthetic_data(), torch.arange(60), SETTINGS, seed=0).calibration
    else:
        fitted = fit_law_ensemble(vft_data(), torch.arange(60), LAW_SETTINGS, seed=0).calibration
    assert panel.calibrated().calibration == fitted
    unseen = panel.unseen(lambda judge, rows: judge)
    said = unseen.said
    assert fitted == fit_calibration(unseen.target, said.mean, said.epistemic, said.aleatoric, unseen.zone)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_each_judge_is_asked_about_what_it_has_not_seen(encoder: str) -> None:
    panel = judged(encoder)
    unseen = panel.unseen(lambda judge, rows: judge)
    start = 0
    for judge, hidden in zip(panel.judges, panel.calibrates, strict=True):
        part = slice(start, start + int(hidden.sum()))
        start = part.stop
        alone = panel.data.take(hidden.nonzero()[:, 0])
        said = judge.bind(alone.table).predict(alone.batch)
        assert torch.equal(unseen.target[part], alone.target)
        for of in fields(Prediction):
            torch.testing.assert_close(getattr(unseen.said, of.name)[part], getattr(said, of.name))
        assert torch.equal(unseen.zone[part] < BEYOND, said.in_domain)
    assert start == len(unseen.target)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_what_stands_on_a_judge_is_given_the_rows_the_judge_has_learnt_from(encoder: str) -> None:
    panel = judged(encoder)
    given = []
    panel.unseen(lambda judge, rows: given.append(rows) or judge)
    for rows, hidden in zip(given, panel.calibrates, strict=True):
        assert torch.equal(rows, (~hidden).nonzero()[:, 0])


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_judge_knows_the_domain_of_what_it_learnt_from_and_the_limit_of_the_whole(encoder: str) -> None:
    panel = judged(encoder)
    hashes = {ensemble.members.sha256() for ensemble in (panel.model, *panel.judges)}
    assert len(hashes) == 3
    for judge in panel.judges:
        assert judge.domain.threshold == panel.model.domain.threshold
        assert len(judge.domain.mixtures) <= len(panel.model.domain.mixtures)
    if encoder == "molsets":  # where each row is a mixture of its own
        seen = [int((~hidden).sum()) for hidden in panel.calibrates]
        assert [len(judge.domain.mixtures) for judge in panel.judges] == seen
