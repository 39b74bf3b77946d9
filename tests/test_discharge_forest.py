"""The forest on amounts of elements and conditions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from surrogates.discharge_forest import CapacityForest, capacity_inputs
from surrogates.discharge_gp import capacities_of
from tests.synthetic_discharge_gps import small_data
from tests.synthetic_profiles import FORMULAS


def test_inputs_are_amounts_fluorine_and_the_condition() -> None:
    data = small_data(cycles=2)
    assert data.table.elements == ("Li", "Mn", "Ti", "Cr")
    found = capacity_inputs(data, torch.tensor([1, 2]))
    expected = [
        [0.6, 0.2, 0.2, 0, 0, np.log10(20), 1.5, 4.8, np.log10(2)],
        [0.6, 0.4, 0, 0, 0.15, np.log10(20), 1.5, 4.8, 0],
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_capacities_are_learnt_and_doubted() -> None:
    data = small_data(cycles=4)
    rows = torch.arange(16)
    forest = CapacityForest.fit(data, rows, seed=0)
    mean, std = forest.predict(data, rows)
    assert float((mean - capacities_of(data)).abs().max()) < 1e-6  # trees without a bootstrap
    assert (std > 0).all()
    assert forest.calibration.interval_factor > 0
    assert forest.calibration.note == ""


def test_no_other_profile_is_looked_at() -> None:
    data, rows = small_data(), torch.arange(6)
    spoilt = replace(data, charge=data.charge.clone())
    spoilt.charge[6:] = torch.nan
    one, two = (CapacityForest.fit(some, rows, seed=0).predict(data, rows)[1] for some in (data, spoilt))
    assert torch.equal(one, two)


def test_one_composition_is_folded_by_profile() -> None:
    data = small_data(FORMULAS[:1], cycles=10)
    mean, std = CapacityForest.fit(data, torch.arange(8), seed=0).predict(data, torch.tensor([8, 9]))
    assert (mean >= capacities_of(data).min()).all() and (std > 0).all()
