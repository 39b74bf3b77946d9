"""Fits of the process of the capacity: what it learns from, its interval, and what it does not take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from surrogates import discharge_gp_fitting
from surrogates.calibration import conformal_factor
from surrogates.discharge_gp import capacities_of
from surrogates.discharge_gp_fitting import check_gp, fit_discharge_gp, left_out_errors
from surrogates.discharge_training import profile_domain
from surrogates.errors import InputError
from surrogates.gaussian_process import GaussianProcess
from tests.synthetic_discharge_gps import small_data, small_gp, small_members
from tests.synthetic_profiles import FORMULAS


def test_capacities_are_learnt() -> None:
    data = small_data()
    gp = small_gp(data)
    said = gp.predict(data.table, data.batch[data.composition], data.conditions)
    spread = float(capacities_of(data).std())
    assert float((said.mean - capacities_of(data)).abs().mean()) < 0.2 * spread
    assert gp.inputs.directions.shape == (2 * 32, 3)  # four compositions differ in three directions
    assert len(gp.process) == 12


def test_no_other_profile_is_looked_at() -> None:
    data, rows, members = small_data(), torch.arange(8), small_members()
    domain = profile_domain(members, data)
    spoilt = replace(data, charge=data.charge.clone())
    spoilt.charge[8:] = torch.nan
    one, two = (fit_discharge_gp(members, domain, some, rows, seed=0) for some in (data, spoilt))
    assert torch.equal(one.process.weights, two.process.weights)


def test_one_composition_is_told_apart_by_its_conditions_alone() -> None:
    data = small_data(FORMULAS[:1], cycles=12)
    gp = small_gp(data)
    assert gp.inputs.directions.shape == (2 * 32, 0)
    assert gp.process.centres.shape == (12, 4)
    said = gp.predict(data.table, data.batch[data.composition], data.conditions)
    assert float((said.mean - capacities_of(data)).abs().max()) < 2
    errors = left_out_errors(gp.process, torch.arange(12))
    assert gp.calibration.interval_factor == pytest.approx(conformal_factor(errors))
    assert gp.calibration.note == ""


def test_few_profiles_have_the_interval_of_a_gaussian() -> None:
    gp = small_gp(small_data(FORMULAS[:3], cycles=3))
    assert gp.calibration.interval_factor == pytest.approx(1.645, abs=1e-3)
    assert gp.calibration.note == (
        "9 rows to calibrate on, fewer than 10: intervals of 1.645 standard deviations as of a Gaussian."
    )


def test_the_interval_leaves_whole_compositions_out() -> None:
    data = small_data()
    gp = small_gp(data)
    errors = left_out_errors(gp.process, data.composition)
    assert gp.calibration.interval_factor == pytest.approx(conformal_factor(errors))
    assert not np.allclose(errors, left_out_errors(gp.process, torch.arange(12)))


def test_errors_are_those_of_processes_without_the_rows() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(9, 2, generator=generator, dtype=torch.float64)
    y = x[:, 0] + 0.1 * torch.randn(9, generator=generator, dtype=torch.float64)
    hyper = tuple(torch.tensor(v, dtype=torch.float64) for v in ([1.5, 2.0], 0.2, 0.05))
    groups = torch.tensor([0, 1, 0, 2, 1, 3, 3, 3, 4])
    found = left_out_errors(GaussianProcess.exact(x, y, *hyper), groups)
    for row in range(9):
        stays = groups != groups[row]
        mean, variance = GaussianProcess.exact(x[stays], y[stays], *hyper).mean_and_variance(x[row : row + 1])
        expected = float((y[row] - mean).abs() / (variance + 0.05).sqrt())
        assert found[row] == pytest.approx(expected, rel=1e-8)


def test_too_many_profiles_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discharge_gp_fitting, "EXACT_UP_TO", 11)
    with pytest.raises(InputError) as error:
        check_gp(small_data())
    assert str(error.value) == (
        "profiles.csv: 12 profiles; a Gaussian process of discharge takes at most 11. "
        "Write surrogate: ensemble, and no gp in beside."
    )
    check_gp(small_data(cycles=2))
