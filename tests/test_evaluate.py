"""`activelearn evaluate`: scores in and out of the domain, the worst rows, and what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from campaigns import cli
from surrogates.calibration import scores
from surrogates.checkpoints import load_model
from surrogates.tables import read_mixtures
from tests.saved_models import saved_ensemble, saved_law_model

HEADER = "id,solvent_1,weight_fraction_1,solvent_2,weight_fraction_2,salt,molality_mol_kg,temperature_K"
Y = "log10_conductivity_S_cm"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model() -> str:
    """A model that states that it learnt from `mine.csv`, 24 rows, some far from what it knows."""
    rng = np.random.default_rng(0)
    lines = [f"{HEADER},{Y}"]
    for row in range(24):
        solvents = ("EC", "DMC") if row % 3 else ("DMSO", "O")
        share, y = rng.uniform(0.2, 0.8), rng.uniform(-3, -1)
        lines.append(f"{row},{solvents[0]},{share},{solvents[1]},{1 - share},LiPF6,1,298.15,{y}")
    lines[5] = "3,DMC,1,,,LiPF6,1,298.15,-9"
    Path("mine.csv").write_text("\n".join(lines) + "\n")
    return saved_law_model(Path("model"), hashlib.sha256(Path("mine.csv").read_bytes()).hexdigest())


def activelearn(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["activelearn", "evaluate", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_scores_are_those_of_the_rows_in_and_out_of_the_domain(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert activelearn(monkeypatch, model, "mine.csv", "--out", "e") == 0
    assert sorted(path.name for path in Path("e").iterdir()) == [
        *("errors.png", "parity.png", "reliability.png", "scores.csv", "scores.json", "worst.csv"),
    ]
    data = read_mixtures(Path("mine.csv"), Y)
    predictor = load_model(Path(model)).bind(data.table)
    said = predictor.predict(data.batch)
    table = pd.read_csv("e/scores.csv").set_index("part")
    content = json.loads(Path("e/scores.json").read_text())
    known = said.in_domain.numpy()
    assert 0 < known.sum() < len(known)
    for part, some in (("all", known | True), ("in_domain", known), ("out_of_domain", ~known)):
        mean, std = said.mean.numpy()[some], said.std.numpy()[some]
        expected = scores(data.target.numpy()[some], mean, std, said.interval_factor.numpy()[some])
        for name in ("rows", "mae", "rmse", "spearman", "nll", "crps", "coverage_90", "width_90", "ence"):
            assert table[name][part] == pytest.approx(getattr(expected, name), rel=1e-4)
            assert content["scores"][part][name] == pytest.approx(getattr(expected, name), rel=1e-4)
        in_mS_cm = np.abs(10 ** (mean + 3) - 10 ** (data.target.numpy()[some] + 3)).mean()
        assert table["mae_mS_cm"][part] == pytest.approx(in_mS_cm, rel=1e-4)
    assert content["data"] | {"sha256": ""} == {"source": "mine.csv", "sha256": "", "rows": 24, "bad_rows": 0}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == f"{Y}: mine.csv"
    assert lines[1].split() == ["all", "in", "domain", "not", "in", "domain"]
    assert lines[3].split() == ["rows", "24", str(known.sum()), str(24 - known.sum())]
    assert f"MAE  {table['mae']['all']:.3g}".split() == lines[4].split()[:2]
    assert lines[-4:] == [
        "The scores: e/scores.csv",
        "The 10 worst rows: e/worst.csv",
        "The figures: e/*.png",
        "What was judged: e/scores.json",
    ]


def test_the_worst_rows_come_first_with_their_number_and_distance(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert activelearn(monkeypatch, model, "mine.csv", "--out", "e") == 0
    worst = pd.read_csv("e/worst.csv")
    assert len(worst) == 10
    own = [*HEADER.split(","), Y]
    assert list(worst)[: len(own) + 1] == ["row", *own]
    first = worst.iloc[0]
    assert (first["row"], first["id"], first["solvent_1"]) == (6, 3, "DMC")  # -9 was measured
    assert first["error"] == pytest.approx(first[f"{Y}_mean"] + 9, rel=1e-5)
    assert first["error_in_std"] == pytest.approx(first["error"] / first[f"{Y}_std"], rel=1e-4)
    assert (worst["error"].abs().diff().dropna() <= 0).all()
    data = read_mixtures(Path("mine.csv"), Y)
    trained = load_model(Path(model))
    distance = trained.domain.bind(data.table, trained.features).distance(data.batch).numpy()
    assert worst["distance_to_training"].to_numpy() == pytest.approx(distance[worst["row"] - 2], rel=1e-4)
    assert worst["distance_limit"].to_numpy() == pytest.approx(trained.domain.threshold, rel=1e-5)
    assert worst[f"{Y}_measured"].to_numpy() == pytest.approx(data.target.numpy()[worst["row"] - 2], rel=1e-5)


def test_training_data_are_no_test_and_it_is_said(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        "These are the data the model was trained on (same sha256): the scores are not those of a test, and "
        "too good."
    )
    text = Path("mine.csv").read_text()
    for name, content, is_said in (("same.csv", text, True), ("other.csv", text.replace("-9", "-8"), False)):
        Path(name).write_text(content)
        assert activelearn(monkeypatch, model, name) == 0
        assert (words in capsys.readouterr().out.splitlines()) == is_said
        content = json.loads(Path(f"results/evaluate-{Path(name).stem}/scores.json").read_text())
        assert content["is_training_data"] == is_said


def test_a_measured_column_of_another_name_and_unit(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.read_csv("mine.csv")
    table["kappa"] = 10 ** (table.pop(Y) + 2)  # S/m
    table.to_csv("other.csv", index=False)
    told = ("--column", "conductivity_S_cm=kappa", "--unit", "conductivity_S_cm=S/m")
    assert activelearn(monkeypatch, model, "mine.csv", "--out", "a") == 0
    assert activelearn(monkeypatch, model, "other.csv", "--out", "b", *told) == 0
    assert Path("a/scores.csv").read_text() == Path("b/scores.csv").read_text()


def test_bad_rows_stand_beside_the_scores(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path("mine.csv").read_text().replace("-9", "").replace("0,DMSO", "0,DMSE")
    Path("bad.csv").write_text(text)
    assert activelearn(monkeypatch, model, "bad.csv", "--out", "e") == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith(
        '"DMSE" is neither a known name nor a SMILES that RDKit can read. Did you mean '
        "DME or DMSO or diglyme? Otherwise give its SMILES."
    )
    assert said[1] == (
        f'bad.csv, row 6, column "{Y}": the cell is empty; expected a number between -1e15 and 1e15. '
        "Fill it in."
    )
    assert not Path("e").exists()
    assert activelearn(monkeypatch, model, "bad.csv", "--out", "e", "--skip-bad") == 0
    assert "Bad rows, 2 left out: e/bad.csv" in capsys.readouterr().out
    assert pd.read_csv("e/bad.csv")["row"].tolist() == [2, 6]
    assert json.loads(Path("e/scores.json").read_text())["data"]["rows"] == 22
    assert pd.read_csv("e/worst.csv")["row"].is_unique


def test_one_row_and_another_target(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = saved_ensemble(Path("model"))
    Path("one.csv").write_text(f"{HEADER},y\n1,EC,1,,,LiPF6,1,298.15,0.5\n")
    assert activelearn(monkeypatch, name, "one.csv", "--out", "e") == 0
    assert "mae_mS_cm" not in pd.read_csv("e/scores.csv")
    assert json.loads(Path("e/scores.json").read_text())["scores"]["all"]["pearson"] is None
    (pearson,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Pearson")]
    assert pearson.split() == ["Pearson", "-", "-"]  # all, and the one part that has the row


def test_cathodes_are_judged_by_the_one_target_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("c.csv").write_text(
        "row,formula,rate_mA_g,V_low,V_high,cycle,capacity_mAh_g\n"
        "x,Li1.2Mn0.4Ti0.4O2,20,1.5,4.8,1,100\ny,Li1.2Mn0.4Ti0.4O2,1000,1.5,4.8,1,100\n"
    )
    assert activelearn(monkeypatch, "drxnet-distilled", "c.csv", "--out", "e") == 0
    worst = pd.read_csv("e/worst.csv", keep_default_na=False)
    assert list(worst)[:2] == ["row", "row (file)"]
    assert worst["row (file)"].tolist() == ["x", "y"]
    assert worst["error"].to_numpy() == pytest.approx(worst["capacity_mAh_g_mean"] - 100, rel=1e-4)
    assert "distance_to_training" not in worst


def test_a_taken_directory_is_refused(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert activelearn(monkeypatch, model, "mine.csv", "--out", "model") == 2
    assert capsys.readouterr().err == (
        "error: model: something stands here already; an empty or new directory was expected. "
        "Give another directory, or move this one away.\n"
    )
