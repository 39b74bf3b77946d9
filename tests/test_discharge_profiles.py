"""Reading discharge profiles: the published shape, raw ones, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from surrogates.discharge_profiles import POINTS, ProfileData, metal_combinations, read_profiles
from surrogates.errors import InputError
from tests.synthetic_profiles import FORMULAS, charge, table, write

SPLINE = "resampled to 100 points by a smoothing spline"


def _refused(directory: Path, rows: pd.DataFrame) -> str:
    with pytest.raises(InputError) as error:
        read_profiles(write(directory, rows))
    return str(error.value)


@pytest.fixture
def data(tmp_path: Path) -> ProfileData:
    return read_profiles(write(tmp_path, table()))


def test_metals_besides_lithium_are_what_a_combination_is(data: ProfileData) -> None:
    found = metal_combinations(data)
    assert found.shape == (12,)
    mn_ti, mn, cr, mn_again = found[::3].tolist()
    assert mn == mn_again and len({mn_ti, mn, cr}) == 3
    assert (found.view(4, 3) == found[::3, None]).all()


def test_raw_profiles_are_resampled(data: ProfileData) -> None:
    assert data.report == (f"360 rows read: 12 profiles of 4 compositions, {SPLINE}",)
    assert data.voltage.shape == data.charge.shape == data.slope.shape == (12, POINTS)
    for row in range(12):
        formula, cycle = data.rows["formula"][row], int(data.rows["cycle"][row])
        voltage = data.voltage[row].double().numpy()
        np.testing.assert_allclose(voltage, np.linspace(1.52, 4.75, POINTS), atol=1e-6)
        np.testing.assert_allclose(data.charge[row], charge(voltage, formula, cycle), atol=2)
        np.testing.assert_allclose(data.first_charge[row], charge(voltage, formula, 1), atol=2)
        slope = np.gradient(charge(voltage, formula, cycle), voltage)
        assert np.abs(data.slope[row].numpy() - slope).mean() < 4
    assert data.rows["row"].tolist() == list(range(2, 362, 30))
    assert data.conditions.cycle.tolist() == [1, 2, 3] * 4


def test_noise_on_many_points_stays_out_of_the_slope(tmp_path: Path) -> None:
    rows = table(FORMULAS[:1], cycles=1, points=2000)
    rows["Qii"] += np.random.default_rng(0).uniform(-0.2, 0.2, 2000)
    data = read_profiles(write(tmp_path, rows))
    voltage = data.voltage[0].double().numpy()
    slope = np.gradient(charge(voltage, FORMULAS[0], 1), voltage)
    assert np.abs(data.slope[0].numpy() - slope).mean() < 2


def test_rising_and_falling_voltages_are_one(data: ProfileData, tmp_path: Path) -> None:
    rising = read_profiles(write(tmp_path, table().iloc[::-1]))
    order = [11 - row for row in range(12)]
    torch.testing.assert_close(rising.charge[order], data.charge)


def test_profiles_in_the_published_shape_are_taken_as_they_are(tmp_path: Path) -> None:
    rows = table(FORMULAS[:1], points=100)
    rows["Q0ii"], rows["dQdVii"] = np.arange(300.0), -1.5
    data = read_profiles(write(tmp_path, rows))
    assert data.report == ("300 rows read: 3 profiles of 1 compositions, taken as they are",)
    assert (data.slope == -1.5).all()
    assert data.first_charge[0].tolist() == list(range(99, -1, -1))
    assert data.voltage[0, 0] < data.voltage[0, -1]


def test_the_published_example(data_dir: Path) -> None:
    path = data_dir / "drxnet_lmto" / "LMTO_example.csv"
    data, rows = read_profiles(path), pd.read_csv(path)
    assert len(data) == 10 and len(data.batch) == 1
    assert data.table.elements == ("Li", "Mn", "Ti")
    torch.testing.assert_close(data.charge, torch.tensor(rows["Qii"].to_numpy().reshape(10, 100)).float())


def test_the_published_example_resampled_is_near_the_published_resampling(
    data_dir: Path, tmp_path: Path
) -> None:
    path = data_dir / "drxnet_lmto" / "LMTO_example.csv"
    raw = pd.read_csv(path).drop(columns=["Q0ii", "dQdVii"])
    data, published = read_profiles(write(tmp_path, raw)), read_profiles(path)
    assert (data.charge - published.charge).abs().max() < 1
    assert (data.slope - published.slope).abs().mean() < 4


def test_two_spellings_are_one_composition(tmp_path: Path) -> None:
    rows = table(FORMULAS[:2], cycles=1)
    rows["composition"] = rows["composition"].replace(FORMULAS[0], "Li1.2 Ti0.4 Mn0.4 O2.0")
    other = table(FORMULAS[:1], cycles=2).query("cycle == 2")
    data = read_profiles(write(tmp_path, pd.concat([rows, other])))
    assert len(data.batch) == 2
    assert data.composition[0] == data.composition[2] != data.composition[1]


def test_without_its_first_cycle_a_profile_has_no_first_charge(tmp_path: Path) -> None:
    data = read_profiles(write(tmp_path, table(FORMULAS[:2]).query("cycle > 1 or Vii < 0")))
    assert data.first_charge.isnan().all()
    assert data.report[1] == "4 profiles without a first cycle of the same material, rate and window"


def test_headers_of_ones_own(data: ProfileData, tmp_path: Path) -> None:
    path = write(tmp_path, table().rename(columns={"Vii": "Ewe", "rate": "I"}))
    again = read_profiles(path, {"voltage_V": "Ewe", "rate_mA_g": "I"})
    assert torch.equal(again.charge, data.charge)
    with pytest.raises(InputError) as error:
        read_profiles(path)
    assert str(error.value).splitlines() == [
        'profiles.csv: column "rate_mA_g" is missing. Add it, or map a header to it in columns.',
        'profiles.csv: column "voltage_V" is missing. Add it, or map a header to it in columns.',
    ]


def test_too_short_a_profile_is_refused(tmp_path: Path) -> None:
    rows = table(FORMULAS[:1])
    assert _refused(tmp_path, rows.drop(index=range(35, 60))) == (
        'profiles.csv, row 32, column "Vii": the profile of Li1.2Mn0.4Ti0.4O2, cycle 2 has 5 points; '
        "at least 10 are needed. Give all of its points, or leave it out."
    )


def test_a_reversed_profile_is_refused(tmp_path: Path) -> None:
    rows = table(FORMULAS[:1])
    rows.loc[30:59, "Qii"] = rows.loc[30:59, "Qii"].to_numpy()[::-1]
    assert _refused(tmp_path, rows) == (
        'profiles.csv, row 61, column "Qii": the profile of Li1.2Mn0.4Ti0.4O2, cycle 2 is reversed: '
        "0.283 mAh/g at its lowest voltage and 189.118 at its highest; a discharge has given off most at "
        "its lowest. Count the charge from V_high down, and leave out what was measured on charge."
    )


def test_a_profile_that_is_not_monotonic_is_refused(tmp_path: Path) -> None:
    rows = table(FORMULAS[:1])
    rows.loc[10, "Qii"] = 150.0
    assert _refused(tmp_path, rows) == (
        'profiles.csv, row 12, column "Qii": 150 mAh/g is more than the 40.233 at a lower voltage; the '
        "profile of Li1.2Mn0.4Ti0.4O2, cycle 1 is not monotonic, though charge given off cannot come back. "
        "Correct the cell, or smooth the profile."
    )


def test_noise_is_let_pass(tmp_path: Path) -> None:
    rows = table(FORMULAS[:1])
    rows["Qii"] += np.where(np.arange(len(rows)) % 2, 0.2, -0.2)
    assert len(read_profiles(write(tmp_path, rows))) == 3


def test_a_voltage_that_turns_back_or_leaves_its_window_is_refused(tmp_path: Path) -> None:
    rows = table(FORMULAS[:1])
    rows.loc[5, "Vii"] = rows.loc[4, "Vii"]
    rows.loc[30, "Vii"] = 5.1
    assert _refused(tmp_path, rows).splitlines() == [
        'profiles.csv, row 7, column "Vii": 4.3045 V follows 4.3045 V; the voltage of the profile of '
        "Li1.2Mn0.4Ti0.4O2, cycle 1 turns back or stops. Give one discharge a profile, each voltage once, in "
        "order.",
        'profiles.csv, row 32, column "Vii": 5.1 V lies outside the window of the profile of '
        "Li1.2Mn0.4Ti0.4O2, cycle 2, 1.5 to 4.8 V. Correct the voltage or the window.",
    ]


def test_bad_cells_are_all_named(tmp_path: Path) -> None:
    rows = table(FORMULAS[:1]).astype({"Qii": str, "cycle": str})
    rows.loc[3, "Qii"] = "much"
    rows.loc[4, "cycle"] = "1.5"
    rows.loc[6, "composition"] = "Li1.2Mn0.4"
    rows.loc[8, "V_low"] = 4.9
    said = _refused(tmp_path, rows)
    assert 'profiles.csv, row 5, column "Qii": "much" is not a finite number' in said
    assert 'profiles.csv, row 6, column "cycle": "1.5" is not a whole number from 1' in said
    assert 'profiles.csv, row 8, column "composition": "Li1.2Mn0.4" is no formula' in said
    assert 'profiles.csv, row 10, columns "V_low", "V_high": 4.9 to 4.8 is no window' in said
