"""`activelearn suggest`: rows of a file chosen for an alignment, as they stand there, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from campaigns import cli, suggest
from surrogates.aligned_model import compare
from surrogates.checkpoints import load_model
from surrogates.laboratories import default_laboratories
from surrogates.law_ensemble import LawEnsemble
from surrogates.tables import candidate_mixtures
from surrogates.telling_rows import telling_rows
from surrogates.text_tables import read_text
from tests.saved_models import saved_ensemble, saved_law_model, saved_student

Y = "log10_conductivity_S_cm"
OURS = [f"{Y}_{part}" for part in ("mean", "std", "std_epistemic", "std_aleatoric", "lower_90", "upper_90")]
LONG = f"{'x' * 300}.csv"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved_law_model(tmp_path_factory.mktemp("models") / "law")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def candidates(n: int) -> pd.DataFrame:
    """Return candidates as a user writes them, with a column of the user's own."""
    rng = np.random.default_rng(0)
    share = rng.uniform(0.1, 0.9, n).round(3)
    return pd.DataFrame(
        {
            "id": [f"0{row}" for row in range(n)],
            "solvent_1": "EC",
            "weight_fraction_1": share,
            "solvent_2": "DMC",
            "weight_fraction_2": (1 - share).round(3),
            "salt": "LiPF6",
            "molality_mol_kg": rng.uniform(0.3, 2, n).round(2),
            "temperature_K": rng.integers(250, 330, n),
        }
    )


def activelearn(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["activelearn", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def _telling(model: str, file: str, count: int, among: torch.Tensor) -> list[int]:
    fitted = load_model(Path(model))
    assert isinstance(fitted, LawEnsemble)
    found = candidate_mixtures(read_text(Path(file)))
    said = compare(fitted, found.table, found.batch[among])
    weight = 10 ** (fitted.shift + fitted.scale * said.z)
    return among[telling_rows(said, default_laboratories(), count, weight)].tolist()


def test_the_most_telling_rows_come_out_as_they_stand_with_what_the_model_says(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    candidates(40).to_csv("c.csv", index=False)
    assert activelearn(monkeypatch, "suggest", model, "c.csv", "--count", "4", "-o", "new/out.csv") == 0
    said = capsys.readouterr()
    assert said.out == "4 of 40 candidates chosen, the most telling first: new/out.csv\n"
    assert said.err.splitlines()[0] == "40 rows read, none dropped; 0 empty rows passed over"
    assert said.err.splitlines()[-1] == "columns passed over: id"
    expected = _telling(model, "c.csv", 4, torch.arange(40))
    out = pd.read_csv("new/out.csv", dtype=str)
    assert [*out] == [*candidates(1), *OURS, "in_domain"]
    asked = pd.read_csv("c.csv", dtype=str).iloc[expected].reset_index(drop=True)
    pd.testing.assert_frame_equal(out[[*asked]], asked)
    assert activelearn(monkeypatch, "predict", model, "c.csv", "-o", "all.csv") == 0
    predicted = pd.read_csv("all.csv").iloc[expected]
    np.testing.assert_allclose(out[OURS].astype(float), predicted[OURS], rtol=1e-4)


def test_parquet_keeps_types_and_the_file_has_a_default_place(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates(9).to_parquet("c.parquet")
    assert activelearn(monkeypatch, "suggest", model, "c.parquet", "-o", "out.parquet") == 0
    out, table = pq.read_table("out.parquet"), pd.read_parquet("c.parquet")
    chosen = table.iloc[_telling(model, "c.parquet", 5, torch.arange(9))]
    assert out["id"].to_pylist() == chosen["id"].tolist()
    assert out["temperature_K"].to_pylist() == chosen["temperature_K"].tolist()
    assert activelearn(monkeypatch, "suggest", model, "c.parquet") == 0
    assert (
        pd.read_csv("results/c-suggested.csv")["temperature_K"].tolist() == chosen["temperature_K"].tolist()
    )


def test_of_more_than_can_be_compared_some_are_drawn_and_it_is_said(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suggest, "MOST", 12)
    candidates(40).to_csv("c.csv", index=False)
    assert activelearn(monkeypatch, "suggest", model, "c.csv", "--count", "3", "-o", "out.csv") == 0
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == "12 of 40 candidates drawn; the others are not compared"
    assert said.out.startswith("3 of 40 candidates chosen")
    among = torch.randperm(40, generator=torch.Generator().manual_seed(0))[:12].sort().values
    chosen = _telling(model, "c.csv", 3, among)
    assert pd.read_csv("out.csv", dtype=str)["id"].tolist() == [f"0{row}" for row in chosen]
    assert activelearn(monkeypatch, "suggest", model, "c.csv", "--count", "13", "-o", "more.csv") == 2
    assert capsys.readouterr().err.endswith(
        "c.csv: 40 candidates came, of which 12 are compared; 13 are to be chosen. Give a smaller --count.\n"
    )


def test_what_was_suggested_can_be_measured_and_aligned_with(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates(40).to_csv("c.csv", index=False)
    assert activelearn(monkeypatch, "suggest", model, "c.csv", "-o", "measure.csv") == 0
    table = pd.read_csv("measure.csv")
    table.assign(conductivity_mS_cm=0.8 * 10 ** (table[OURS[0]] + 3)).to_csv("lab.csv", index=False)
    assert activelearn(monkeypatch, "align", model, "lab.csv", "--out", "mine") == 0
    for name in (model, "mine"):
        assert activelearn(monkeypatch, "predict", name, "c.csv", "-o", f"{Path(name).name}.csv") == 0
    before, after = (pd.read_csv(name)[OURS[0]] for name in ("law.csv", "mine.csv"))
    np.testing.assert_allclose(after - before, np.log10(0.8), atol=0.06)


@pytest.mark.parametrize(
    ("change", "words", "message"),
    [
        (
            {"molality_mol_kg": ["1", "-1", "x"]},
            (),
            'c.csv, row 3, column "molality_mol_kg": "-1" is not a molality between 0 and 1000 mol/kg. '
            "Correct the cell.\n"
            'c.csv, row 4, column "molality_mol_kg": "x" is not a finite number; expected a molality between '
            "0 and 1000 mol/kg. Write a plain number with a decimal point.",
        ),
        ({}, (), "c.csv: 3 candidates came; 5 are to be chosen. Add candidates, or give a smaller --count."),
        (
            {"in_domain": 1},
            (),
            'c.csv: its column "in_domain" is one that is written here. Rename or remove it.',
        ),
        (
            {},
            ("-o", "c.csv"),
            "c.csv: something stands here already. Give another --out, or move it away.",
        ),
        (
            {},
            ("-o", "out.xlsx"),
            'out.xlsx: the suffix ".xlsx" came; .csv or .parquet was expected. Write it as out.csv.',
        ),
        ({}, ("-o", LONG), f"{LONG}: nothing can be written here: File name too long. Give another --out."),
    ],
)
def test_what_cannot_be_done_exits_with_2(
    change: dict[str, object],
    words: tuple[str, ...],
    message: str,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    candidates(3).assign(**change).to_csv("c.csv", index=False)
    assert activelearn(monkeypatch, "suggest", model, "c.csv", *words) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert [path.name for path in Path().iterdir()] == ["c.csv"]


def test_models_that_cannot_be_aligned_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    candidates(9).to_csv("c.csv", index=False)
    models = {
        saved_student(Path("student")): "the model stands for an ensemble. Give that ensemble.",
        saved_ensemble(Path("other")): "the model predicts y; only a logarithm can be corrected by a factor. "
        "Train a model with a target that begins with log10_.",
    }
    for name, message in models.items():
        assert activelearn(monkeypatch, "suggest", name, "c.csv") == 2
        assert capsys.readouterr().err == f"error: {name}: {message}\n"
    assert not Path("results").exists()
