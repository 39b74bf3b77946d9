"""A landscape from its YAML to its files: what stands in them, and what is refused and leaves none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from campaigns import landscapes
from campaigns.landscapes import Landscapes, choose_landscape, landscape_to_directory, print_landscapes
from campaigns.screen import ChosenModel
from surrogates.errors import InputError
from surrogates.prediction import Model
from tests.fake_landscape import HIGHEST, PEAK, FakeModel
from tests.fake_model import FakeModel as ModelWithoutGradient

JOB = """
model: mine
step: 0.1
temperature_K: 300
systems:
  - {solvents: [EMC, DMC, DEC], salt: LiPF6, lithium_mole_fraction: 0.12}
  - {solvents: [PC, DMC, EC], salt: LiPF6, lithium_mole_fraction: 0.08}
"""
MEASURED = "x_PC,x_DMC,x_EC,k\n0.1,0.6,0.3,19\n0.2,0.5,0.3,14\n"
FILES = ["landscape.csv", "landscape.png", "peaks.csv", "run.json"]


def fake(monkeypatch: pytest.MonkeyPatch, model: Model | None = None) -> list[str]:
    """Let jobs have the fake model; return the list of the models that are asked for."""
    asked: list[str] = []

    def choose(model_or_directory: str) -> ChosenModel:
        asked.append(model_or_directory)
        return ChosenModel(model or FakeModel(), {"sha256": "fake"}, load_s=0.0)

    monkeypatch.setattr(landscapes, "choose_model", choose)
    return asked


def run(tmp_path: Path, text: str = JOB, model: str | None = None) -> tuple[Landscapes, str]:
    job = tmp_path / "job.yaml"
    job.write_text(text, encoding="utf-8")
    (tmp_path / "rows.csv").write_text(MEASURED, encoding="utf-8")
    with (tmp_path / "said.txt").open("w") as file:
        found = landscape_to_directory(str(job), model, tmp_path / "out", Console(file=file, width=200))
    return found, (tmp_path / "said.txt").read_text()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Landscapes, Path]:
    """The plain job, run once, and its directory."""
    place = tmp_path_factory.mktemp("landscape")
    with pytest.MonkeyPatch.context() as patch:
        fake(patch)
        found, _ = run(place)
    return found, place / "out"


def test_the_files_hold_what_was_computed(done: tuple[Landscapes, Path]) -> None:
    found, out = done
    assert sorted(path.name for path in out.iterdir()) == FILES
    table = pd.read_csv(out / "landscape.csv")
    assert table["system"].tolist() == ["EMC/DMC/DEC"] * 66 + ["PC/DMC/EC"] * 66
    x = table[["mole_fraction_1", "mole_fraction_2", "mole_fraction_3"]].to_numpy()
    value = HIGHEST * 10 ** (-4 * np.square(x - PEAK).sum(1))
    assert table["conductivity_mS_cm"].to_numpy() == pytest.approx(value, rel=1e-5)
    weights = table[["weight_fraction_1", "weight_fraction_2", "weight_fraction_3"]]
    assert weights.sum(axis=1).to_numpy() == pytest.approx(np.ones(132), abs=1e-5)
    assert (table["in_domain"] == (table["weight_fraction_1"] < 0.5)).all()
    assert table.loc[100, ["solvent_1", "solvent_2", "solvent_3", "salt"]].tolist() == [
        *["PC", "DMC", "EC"],
        "LiPF6",
    ]
    gradient = table[["gradient_1_mS_cm", "gradient_2_mS_cm", "gradient_3_mS_cm"]].to_numpy()
    assert gradient == pytest.approx(np.concatenate([said.gradient for said in found.grids]), rel=1e-5)
    assert table["lithium_mole_fraction"].unique().tolist() == [0.12, 0.08]


def test_the_peaks_are_the_best_of_each_system(done: tuple[Landscapes, Path]) -> None:
    peaks = pd.read_csv(done[1] / "peaks.csv")
    assert peaks["system"].tolist() == ["EMC/DMC/DEC", "PC/DMC/EC"]
    for i, x in enumerate(PEAK, 1):
        assert peaks[f"mole_fraction_{i}"].tolist() == pytest.approx([x, x])
    assert peaks["conductivity_mS_cm"].tolist() == pytest.approx([HIGHEST] * 2)
    assert peaks["gradient_norm_mS_cm"].tolist() == pytest.approx([0, 0], abs=1e-9)


def test_what_was_run_is_kept(done: tuple[Landscapes, Path]) -> None:
    told = json.loads((done[1] / "run.json").read_text())
    assert told["config"]["step"] == 0.1
    assert told["config"]["systems"][1]["solvents"][0]["smiles"] == "CC1COC(=O)O1"
    assert told["model"] == {"sha256": "fake"}
    assert told["grid_points"] == [66, 66]
    assert [peak["mole_fraction_2"] for peak in told["peaks"]] == pytest.approx([0.6, 0.6])
    assert {"python", "torch", "activelearn"} <= set(told["versions"])
    assert told["agreement"] == told["measured_sha256"] == []


def test_measurements_stand_beside_predictions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake(monkeypatch)
    found, said = run(tmp_path, JOB + "measured: [{file: rows.csv, columns: {conductivity_mS_cm: k}}]")
    assert said == ("rows.csv: 2 rows of PC/DMC/EC\nrows.csv: no column temperature_K, 300 K taken\n")
    table = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert table[["file", "row", "column", "system"]].to_numpy().tolist() == [
        ["rows.csv", 2, "k", "PC/DMC/EC"],
        ["rows.csv", 3, "k", "PC/DMC/EC"],
    ]
    assert table["conductivity_mS_cm_measured"].tolist() == [19, 14]
    second = HIGHEST * 10 ** (-4 * 0.02)
    assert table["conductivity_mS_cm"].tolist() == pytest.approx([HIGHEST, second], rel=1e-5)
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    assert told["agreement"][0]["bias"] == pytest.approx((1 + second - 14) / 2)
    assert len(told["measured_sha256"][0]) == 64
    with (tmp_path / "shown.txt").open("w") as file:
        print_landscapes(found, Console(file=file, width=150))
    shown = (tmp_path / "shown.txt").read_text()
    assert "PC/DMC/EC    0.1 : 0.6 : 0.3           20.0 ± 2.6   16.4 to 24.4 " in shown
    assert "In domain: 73%, 68% of the grid points; elsewhere the numbers are a guess.\n" in shown
    assert shown.splitlines()[-1] == (
        "rows.csv, k, 2 rows of PC/DMC/EC: MAE 1.82 mS/cm, bias +1.82 mS/cm, Spearman 1.000, 100% within the "
        "90 % interval"
    )


def test_the_model_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = fake(monkeypatch)
    run(tmp_path)
    assert asked == [str(tmp_path / "mine")]
    job = str(tmp_path / "job.yaml")
    assert choose_landscape(job, "other").model == "other"


def refusal(tmp_path: Path, text: str = JOB, model: str | None = None) -> str:
    with pytest.raises(InputError) as refused:
        run(tmp_path, text, model)
    return str(refused.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            FakeModel("log10_viscosity_mPa_s"),
            "target: the model predicts log10_viscosity_mPa_s, a landscape needs log10_conductivity_S_cm. "
            "Give another model.",
        ),
        (
            ModelWithoutGradient(),
            "{mine}: the model has no gradient with respect to composition. Give an ensemble of networks.",
        ),
    ],
)
def test_a_model_that_cannot_serve_is_refused(
    model: Model, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake(monkeypatch, model)
    assert refusal(tmp_path) == message.format(mine=tmp_path / "mine")
    assert not (tmp_path / "out").exists()


def test_results_are_not_written_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake(monkeypatch)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text("{}")
    assert refusal(tmp_path) == (
        f"{tmp_path / 'out'}: something stands here already; an empty or new directory was expected. Give "
        "another directory, or move this one away."
    )
    assert (tmp_path / "out" / "run.json").read_text() == "{}"


def test_what_cannot_be_written_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake(monkeypatch)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(landscapes.json, "dumps", full)
    assert refusal(tmp_path) == (
        f"{tmp_path / 'out'}: the directory cannot be written: No space left on device. Give another --out."
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.yaml", "rows.csv", "said.txt"]
