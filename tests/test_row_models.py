"""Models asked about the rows of a file, beside the same models asked directly."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from activelearn.screening import in_process
from campaigns import row_models
from campaigns.row_models import CathodeRows, check_finite, choose_row_model, joined, written_columns
from campaigns.screen import choose_model, choose_screen, screen_to_files
from surrogates.composition_batches import Conditions, read_formulas
from surrogates.conditions import CONDITIONS
from surrogates.discharge import discharge, embed_compositions
from surrogates.discharge_models import discharge_model, save_discharge_model
from surrogates.errors import InputError
from surrogates.model_directories import CARD
from surrogates.prediction import Prediction
from surrogates.tables import read_mixtures
from surrogates.text_tables import read_text
from tests.saved_models import saved_ensemble, saved_law_model, saved_student
from tests.synthetic_discharge_gps import small_data, small_process

SCREEN = """
target: log10_conductivity_S_cm
space: {solvents: [EC, DMC, DME], salts: [LiPF6, LiClO4], solvents_per_mixture: [1, 2], fraction_step: 0.25,
        molality_mol_kg: [0.5, 1.0], temperature_K: [280.0, 298.15]}
"""
HE_1, LMTO = "Li1.2Mn0.1Mg0.1Cr0.3Ti0.2Nb0.1O1.8F0.2", "Li1.2Mn0.4Ti0.4O2"
CATHODES = f"""id,formula,rate_mA_g,V_low,V_high,cycle,capacity_mAh_g
a,{HE_1},20,1.5,4.8,1,270
b,{LMTO},1000,2.0,4.8,1,180
c,{HE_1},1000,2.0,4.8,1,200
d,{LMTO},20,1.5,4.8,80,150
"""


def _read(model: row_models.RowModel, path: Path, is_measured: bool = False) -> row_models.Rows:
    return model.read(read_text(path), is_measured, {}, {})


@pytest.mark.parametrize("saved", [saved_law_model, saved_student])
def test_rows_get_what_a_screen_says_of_the_same_candidates(
    tmp_path: Path, saved: Callable[[Path], str]
) -> None:
    name = saved(tmp_path / "model")
    (tmp_path / "job.yaml").write_text(SCREEN)
    config = choose_screen(str(tmp_path / "job.yaml"), None)
    quiet = Console(file=io.StringIO())
    record = screen_to_files(config, choose_model(name), tmp_path / "out", nullcontext(in_process), quiet)
    ranked = pd.read_csv(record.ranked)
    model = choose_row_model(name)
    ours = written_columns(model)
    assert list(ranked)[-len(ours) - 1 :] == [*ours, "score"]
    ranked.drop(columns=ours).to_csv(tmp_path / "ranked.csv", index=False)
    said = _read(model, tmp_path / "ranked.csv").predict().columns(model.targets)
    assert list(said) == ours
    assert said["in_domain"].nunique() == 2
    pd.testing.assert_frame_equal(said, ranked[ours], rtol=2e-5, check_dtype=False)


def test_measured_rows_come_with_targets_and_distances(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_models, "_AT_ONCE", 2)  # parts that do not come out even
    model = choose_row_model(saved_law_model(tmp_path / "model"))
    path = tmp_path / "mine.csv"
    path.write_text(
        "solvent_1,weight_fraction_1,solvent_2,weight_fraction_2,salt,molality_mol_kg,temperature_K,"
        "conductivity_mS_cm\n"
        "EC,0.5,DMC,0.5,LiPF6,1,298.15,10\nDMC,1,,,LiPF6,1,298.15,1\nPC,1,,,LiClO4,1,298.15,5\n"
    )
    rows = _read(model, path, is_measured=True)
    assert rows.target == "log10_conductivity_S_cm"
    assert rows.measured.tolist() == pytest.approx([-2, -3, np.log10(5) - 3])
    data = read_mixtures(path, rows.target)
    assert isinstance(model, row_models.MixtureRows)
    domain = model.model.domain.bind(data.table, model.model.features)
    assert rows.distance is not None
    assert rows.distance() == pytest.approx(domain.distance(data.batch).numpy(), rel=1e-5, abs=1e-5)
    assert rows.distance_limit == model.model.domain.threshold
    direct = model.model.bind(data.table).predict(data.batch.to(torch.float32))
    torch.testing.assert_close(rows.predict().prediction.mean[:, 0], direct.mean)


def test_cathodes_are_asked_under_the_condition_of_their_row(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(CATHODES)
    model = choose_row_model("drxnet-distilled")
    rows = _read(model, tmp_path / "c.csv")
    said = rows.predict().columns(model.targets)
    assert list(said) == written_columns(model)
    assert said["warning"].tolist() == ["", "", "", "cycle is outside 1 to 50"]
    assert rows.report[-1] == "standard deviations are those of the members; no measurement has scaled them"
    ensemble = discharge_model("drxnet-distilled")
    table = pd.read_csv(tmp_path / "c.csv")
    for row, asked in enumerate(table.itertuples()):
        elements, batch = read_formulas([asked.formula])
        embedding = embed_compositions(ensemble.members, elements, batch)
        condition = Conditions.of([asked.rate_mA_g], [asked.cycle], [asked.V_low], [asked.V_high])
        alone = discharge(ensemble.members, embedding, condition)
        for name, each in (("capacity_mAh_g", alone.capacity_mAh_g), ("energy_Wh_kg", alone.energy_Wh_kg)):
            assert said[f"{name}_mean"][row] == pytest.approx(float(each.mean()), rel=1e-4)
            assert said[f"{name}_std"][row] == pytest.approx(float(each.std()), rel=1e-3)
        voltage = float(alone.voltage_statistics()[0])
        assert said["average_voltage_V_mean"][row] == pytest.approx(voltage, rel=1e-4)
        assert said["in_domain"][row] == bool(ensemble.in_domain(elements, batch, embedding))


def test_measured_cathodes_hold_one_of_the_targets(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(CATHODES)
    model = choose_row_model("drxnet-distilled")
    rows = _read(model, tmp_path / "c.csv", is_measured=True)
    assert (rows.target, rows.measured.tolist()) == ("capacity_mAh_g", [270, 180, 200, 150])
    assert rows.distance is None
    words = "of the columns capacity_mAh_g, average_voltage_V, energy_Wh_kg came; one is needed"
    mend = "Keep the one that is to be judged, or map a header to it in columns."
    cases = {
        "energy": "none",
        "capacity_mAh_g,energy_Wh_kg": "capacity_mAh_g and energy_Wh_kg",
    }
    for header, came in cases.items():
        values = ",1" * (1 + header.count(","))
        (tmp_path / "d.csv").write_text(
            f"{','.join(('formula', *CONDITIONS))},{header}\n{LMTO},20,1,4,1{values}"
        )
        with pytest.raises(InputError) as caught:
            _read(model, tmp_path / "d.csv", is_measured=True)
        assert str(caught.value) == f"d.csv: {came} {words}. {mend}"


def test_a_directory_of_a_cathode_model_is_known_by_its_card(tmp_path: Path) -> None:
    save_discharge_model(discharge_model("drxnet-distilled"), tmp_path / "mine")
    model = choose_row_model(str(tmp_path / "mine"))
    assert isinstance(model, CathodeRows)
    assert model.facts["name"] == "drxnet-distilled"


def test_a_process_of_discharge_says_capacities_with_their_noise(tmp_path: Path) -> None:
    data = small_data()
    process = small_process(data)
    save_discharge_model(process, tmp_path / "mine")
    model = choose_row_model(str(tmp_path / "mine"))
    assert model.targets == ("capacity_mAh_g",)
    (tmp_path / "d.csv").write_text(
        f"{','.join(('formula', *CONDITIONS))}\nLi1.2Mn0.8O1.7F0.3,20,1.5,4.8,2\n{LMTO},20,1.5,4.8,3\n"
    )
    rows = _read(model, tmp_path / "d.csv", is_measured=False)
    assert not any("no measurement" in line for line in rows.report)
    said = rows.predict().prediction
    expected = process.gp.predict(
        data.table, data.batch[data.composition[torch.tensor([4, 2])]], data.conditions[torch.tensor([4, 2])]
    )
    torch.testing.assert_close(said.mean[:, 0], expected.mean, rtol=1e-3, atol=0)
    torch.testing.assert_close(said.std[:, 0], expected.std, rtol=1e-2, atol=0)


def test_other_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        choose_row_model("molset-conductivity")
    assert str(caught.value).startswith("molset-conductivity/card.json: cannot be read as part of a model")
    (tmp_path / CARD).write_text('{"format": 1, "kind": "excess"}')
    with pytest.raises(InputError) as caught:
        choose_row_model(str(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path}: this is a model of excess properties; one of electrolytes was expected. "
        "Give another directory."
    )


def test_a_model_says_what_it_is_trained_on(tmp_path: Path) -> None:
    model = choose_row_model(saved_law_model(tmp_path / "law", "abc"))
    assert model.facts["data"] == {"source": "mine.csv", "sha256": "abc", "rows": 60}
    assert choose_row_model(saved_ensemble(tmp_path / "net")).targets == ("y",)


def test_numbers_that_are_not_finite_are_refused_by_row() -> None:
    one, nan = torch.ones(2, 1), torch.tensor([[0.5], [torch.nan]])
    said = Prediction(nan, one, one, torch.ones(2, dtype=torch.bool), torch.ones(2))
    check_finite(
        Prediction(one, one, one, said.in_domain, said.interval_factor), pd.Series([2, 5]), ("y",), "a.csv"
    )
    with pytest.raises(InputError) as caught:
        check_finite(said, pd.Series([2, 5]), ("y",), "a.csv")
    assert str(caught.value) == (
        "a.csv, row 5: the model gives it a mean of y of nan and a variance of 2.0; finite numbers were "
        "expected. Train the model again or give another."
    )


def test_predictions_are_joined_in_order() -> None:
    numbers = [torch.tensor([1.0]), torch.tensor([2.0, 3.0])]
    parts = [Prediction(of, of + 10, of + 20, of > 1, of + 30) for of in numbers]
    whole = joined(parts)
    assert [whole.mean.tolist(), whole.aleatoric.tolist()] == [[[1], [2], [3]], [[21], [22], [23]]]
    assert whole.in_domain.tolist() == [False, True, True]
    assert whole.interval_factor.tolist() == [31, 32, 33]


SALTED = """solvent_1,weight_fraction_1,salt_1,molality_mol_kg_1,salt_2,molality_mol_kg_2,TARGET
EC,1,LiPF6,0.5,LiBF4,0.5,1
EC,1,LiPF6,1,,,2
EC,1,,,,,3
"""


@pytest.mark.parametrize("is_measured", [False, True])
@pytest.mark.parametrize("is_student", [False, True])
def test_rows_of_no_salt_and_of_several_are_bad_rows_to_molsets_alone(
    tmp_path: Path, is_measured: bool, is_student: bool
) -> None:
    law = choose_row_model(saved_law_model(tmp_path / "law"))
    (tmp_path / "c.csv").write_text(SALTED.replace("TARGET", law.targets[0]), encoding="utf-8")
    assert len(law.read(read_text(tmp_path / "c.csv"), is_measured, {}, {}).predict().prediction.mean) == 3
    (tmp_path / "c.csv").write_text(SALTED.replace("TARGET", "y"), encoding="utf-8")
    saved = (
        saved_student(tmp_path / "student", "molsets") if is_student else saved_ensemble(tmp_path / "sets")
    )
    molsets = choose_row_model(saved)
    with pytest.raises(InputError) as caught:
        molsets.read(read_text(tmp_path / "c.csv"), is_measured, {}, {})
    one, mend = (
        "a model of encoder: molsets takes one a mixture",
        "Give a model trained with encoder: diffmix, ",
    )
    assert str(caught.value).splitlines() == [
        f"c.csv, row 2: 2 salts came; {one}. {mend}or remove the row.",
        f"c.csv, row 4: no salt came; {one}. {mend}or remove the row.",
    ]
    assert [problem.row for problem in caught.value.problems] == [2, 4]
