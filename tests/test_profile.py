"""The profile of one cathode against asking the model for it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from campaigns.profile import print_profile, profile, write_profile
from surrogates.composition_batches import Conditions, read_formulas
from surrogates.discharge import discharge, embed_compositions
from surrogates.discharge_models import DischargeEnsemble, discharge_model
from surrogates.errors import InputError

HE_1 = "Li1.2Mn0.1Mg0.1Cr0.3Ti0.2Nb0.1O1.8F0.2"


@pytest.fixture(scope="module")
def model() -> DischargeEnsemble:
    return discharge_model("drxnet-distilled")


def refusal(model: DischargeEnsemble, formula: str, *condition: object) -> str:
    with pytest.raises(InputError) as error:
        profile(formula, model, *(condition or ([20.0], (1.5, 4.8), [1])))
    return str(error.value)


def test_every_rate_and_cycle_has_its_curve(model: DischargeEnsemble) -> None:
    found = profile(HE_1, model, [20.0, 1000.0, 20.0], (1.5, 4.8), [1, 30])
    curves = found.curves
    assert list(curves) == [
        *("rate_mA_g", "cycle", "V_low", "V_high", "voltage_V"),
        *("charge_mAh_g_mean", "charge_mAh_g_std", "dQ_dV_mAh_g_V_mean", "dQ_dV_mAh_g_V_std"),
        *("in_domain", "warning"),
    ]
    tests = [(20, 1), (20, 30), (1000, 1), (1000, 30)]
    assert list(curves.groupby(["rate_mA_g", "cycle"], sort=False).groups) == tests
    table, batch = read_formulas([HE_1])
    embedding = embed_compositions(model.members, table, batch)
    for (rate, cycle), result in zip(tests, found.results.to_dict("records"), strict=True):
        asked = discharge(model.members, embedding, Conditions.of([rate], [cycle], [1.5], [4.8]))
        capacity = asked.capacity_mAh_g.flatten()
        curve = curves[(curves["rate_mA_g"] == rate) & (curves["cycle"] == cycle)]
        assert curve["voltage_V"].to_numpy() == pytest.approx(np.linspace(1.5, 4.8, 100), rel=1e-5)
        ends = curve.iloc[0]
        for row, name in ((ends, "charge_mAh_g"), (result, "capacity_mAh_g")):
            assert row[f"{name}_mean"] == pytest.approx(float(capacity.mean()), rel=1e-4)
            assert row[f"{name}_std"] == pytest.approx(float(capacity.std()), rel=1e-3)
        assert result["energy_Wh_kg_mean"] == pytest.approx(float(asked.energy_Wh_kg.mean()), rel=1e-4)
        average, variance = asked.voltage_statistics()
        assert result["average_voltage_V_mean"] == pytest.approx(float(average), rel=1e-4)
        assert result["average_voltage_V_std"] == pytest.approx(float(variance.sqrt()), rel=1e-3)
        steps = np.gradient(curve["charge_mAh_g_mean"], curve["voltage_V"])
        assert curve["dQ_dV_mAh_g_V_mean"].to_numpy()[1:-1] == pytest.approx(steps[1:-1], abs=3)
    assert found.in_domain
    assert found.results["warning"].tolist() == [""] * 4


def test_what_the_model_has_not_seen_stands_in_each_row(model: DischargeEnsemble) -> None:
    curves = profile("Na1.2Mn0.4Ti0.4O2", model, [20.0, 2.0], (1.5, 4.8), [1]).curves
    assert not curves["in_domain"].any()
    by_rate = {rate: set(rows["warning"]) for rate, rows in curves.groupby("rate_mA_g")}
    assert by_rate == {2: {"rate_mA_g is outside 5 to 1000"}, 20: {""}}


def test_files_are_written_over_earlier_ones(model: DischargeEnsemble, tmp_path: Path) -> None:
    found = profile(HE_1, model, [20.0], (1.5, 4.8), [1])
    for _ in range(2):
        table, figure = write_profile(found, HE_1, tmp_path / "deep" / "out")
    read = pd.read_csv(table, keep_default_na=False)
    numbers = list(found.curves.select_dtypes("number"))
    assert read[numbers].to_numpy() == pytest.approx(found.curves[numbers].to_numpy(), rel=1e-5)
    assert read["in_domain"].all() and read["warning"].eq("").all()
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in table.parent.iterdir()) == ["profile.csv", "profile.png"]
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as error:
        write_profile(found, HE_1, tmp_path / "file")
    assert str(error.value) == (
        f"{tmp_path}/file: the directory cannot be written: File exists. Give another --out."
    )


def test_what_is_printed(model: DischargeEnsemble, capsys: pytest.CaptureFixture[str]) -> None:
    far = "Li1.5Mn0.5O1.5F0.5"
    found = profile(far, model, [1.0], (1.5, 4.8), [1])
    print_profile(found, far, Console(width=120))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == far
    assert lines[1].split("  ")[0] == "condition"
    assert lines[3].startswith("cycle 1, 1 mA/g, 1.5 to 4.8 V ")
    low, high = model.card.domain.ranges["rate_mA_g"]
    assert lines[4:] == [
        f"Warning, cycle 1, 1 mA/g, 1.5 to 4.8 V: rate_mA_g is outside {low:g} to {high:g}, what the model "
        "was trained on.",
        "Mean and standard deviation of the members; no measurement has scaled them.",
        "Not in domain: far from what the model was trained on; its numbers are a guess there.",
    ]


def test_what_is_no_cathode_is_refused_with_its_sums(model: DischargeEnsemble) -> None:
    formula = "Li1.2Mn0.1Nb0.8O2"
    where = f'composition "{formula}": for two anions its cations '
    assert refusal(model, formula).splitlines() == [
        f"{where}sum to 2.1 (Li 1.2 + Mn 0.1 + Nb 0.8); expected 2 to within 0.02. Correct its amounts.",
        f"{where}can carry +4.6 to +5.6 (Li +1.2, Mn +0.2 to +0.4, Nb +3.2 to +4), its anions carry -4 "
        "(O -4); expected balance to within 0.05. Correct its amounts.",
    ]
    assert refusal(model, "Li1.2Xx") == (
        'composition: "Li1.2Xx" is no formula: "Xx" is no element. Write it as Li1.2Mn0.4Ti0.4O2.'
    )


def test_what_is_no_test_is_refused(model: DischargeEnsemble) -> None:
    assert refusal(model, HE_1, [20.0, -5.0], (4.8, 1.5), [0]) == (
        "condition, cycle: 0 is not a whole number from 1. Correct it.\n"
        "condition: 4.8 to 1.5 is no window; V_low must lie below V_high. Exchange or correct V_low and "
        "V_high.\n"
        "condition, rate_mA_g: -5 is not a rate above 0 mA/g. Correct it."
    )
