"""The judge beside an ensemble: what it has not seen, and that the ensemble is calibrated by it."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch

from surrogates.calibration import fit_calibration
from surrogates.ensemble import fit_ensemble
from surrogates.law_ensemble import fit_law_ensemble
from tests.synthetic_gps import judged
from tests.synthetic_laws import SETTINGS as LAW_SETTINGS
from tests.synthetic_laws import vft_data
from tests.synthetic_mixtures import SETTINGS, synthetic_data


@pytest.mark.parametrize("encoder", ["molsets", "diffmix"])
def test_a_calibrated_ensemble_is_what_a_fit_gives(encoder: str) -> None:
    pair = judged(encoder)
    if encoder == "molsets":
        with patch("surrogates.teacher._TREES", 10):
            fitted = fit_ensemble(synthetic_data(), torch.arange(60), SETTINGS, seed=0).calibration
    else:
        fitted = fit_law_ensemble(vft_data(), torch.arange(60), LAW_SETTINGS, seed=0).calibration
    assert pair.calibrated().calibration == fitted
    data = pair.data.take(pair.calibrates.nonzero()[:, 0])
    said = pair.judge.bind(data.table).predict(data.batch)
    assert fitted.interval_factor == pytest.approx(
        fit_calibration(data.target, said.mean, said.epistemic, said.aleatoric).interval_factor, rel=1e-4
    )


@pytest.mark.parametrize("encoder", ["molsets", "diffmix"])
def test_a_fifth_of_the_mixtures_is_left_to_calibrate_and_no_mixture_stands_on_both_sides(
    encoder: str,
) -> None:
    pair = judged(encoder)
    mixture, calibrates = pair.data.rows["mixture"], pair.calibrates.numpy()
    assert 0.1 <= calibrates.mean() <= 0.3
    assert not set(mixture[calibrates]) & set(mixture[~calibrates])
    assert pair.model.members.sha256() != pair.judge.members.sha256()
