"""`activelearn campaign`: from a YAML file to measurements and back, and what is refused on the way."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from campaigns.cli import app, main
from surrogates.errors import InputError, Problem
from tests.saved_models import saved_law_model

JOB = """\
model: {model}
space:
  solvents: [EC, DMC, DEC]
  salts: [LiPF6]
  solvents_per_mixture: [2, 3]
  fraction_step: 0.2
  molality_mol_kg: [0.5, 1.0, 1.5]
constraints:
  bounds: {{EC: {{at_least: 0.2}}}}
batch_g: 20
"""
TARGET = "log10_conductivity_S_cm"


def campaign(*words: object) -> tuple[int, str]:
    said = CliRunner().invoke(app, ["campaign", *map(str, words)])
    if isinstance(said.exception, InputError):
        return 2, str(said.exception)
    assert said.exception is None or isinstance(said.exception, SystemExit), said.exception
    return said.exit_code, said.output


def done(*words: object) -> str:
    code, said = campaign(*words)
    assert code == 0, said
    return said


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a job, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text(JOB.format(model=Path(saved_law_model(tmp_path / "model")).name))
    return tmp_path


def test_a_laboratory_s_loop(here: Path) -> None:
    assert done("new", "job.yaml") == f"The campaign: campaign.db, 54 candidates, measuring {TARGET}\n"
    said = done("suggest", "-q", "3", "-o", "next.csv")
    assert "The proposals: next.csv" in said
    assert "Pending, proposal 3: " in done("status")

    given = pd.read_csv("next.csv")
    assert given["proposal"].tolist() == [1, 2, 3]
    assert given.filter(regex="_g$").drop(columns="molality_mol_kg", errors="ignore").shape[1] >= 3
    filled = given.assign(conductivity_mS_cm=[10.0, 9.0, None], status=["", "", "failed"], reason="leak")
    filled.to_csv("results.csv", index=False)
    assert done("record", "results.csv") == "Recorded as measurements 1 to 3: 2 measured, 1 failed\n"
    said = done("status")
    assert said.startswith(f"2 measured, 1 failed, 0 corrected, 0 pending\nBest so far: {TARGET} -2 ")

    assert done("suggest", "-q", "2").count("\n") > 4
    assert done("export") == "3 measurements: results/measurements.csv\n"
    kept = pd.read_csv("results/measurements.csv")
    assert kept["status"].tolist() == ["measured", "measured", "failed"]
    assert done("export", "--pending", "-o", "waiting.parquet") == "2 proposals: waiting.parquet\n"
    assert pd.read_parquet("waiting.parquet")["proposal"].tolist() == [4, 5]


def test_what_stands_alone_is_exported(here: Path) -> None:
    done("new", "job.yaml")
    done("suggest", "-q", "2")
    Path("results.csv").write_text(f"proposal,{TARGET}\n1,-2\n2,-2.5\n")
    done("record", "results.csv")
    Path("more.csv").write_text(f"corrects,status,{TARGET}\n2,withdrawn,\n")
    done("record", "more.csv")
    assert done("export", "--current") == "1 measurements: results/measurements.csv\n"
    assert "proposal" not in pd.read_csv("results/measurements.csv")
    assert campaign("export", "--current", "--pending", "-o", "x.csv") == (
        2,
        "--pending --current: both came. Give one: proposals, or measurements.",
    )


def test_proposals_that_cannot_be_written_are_kept(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise InputError(Problem("next.csv", "nothing can be written here: disk full", "Give another --out."))

    done("new", "job.yaml", "-c", "lab.db")
    with monkeypatch.context() as patched:
        patched.setattr("campaigns.predict.write_table", full)
        assert campaign("suggest", "-c", "lab.db", "-q", "1", "-o", "next.csv") == (
            2,
            "next.csv: nothing can be written here: disk full. The proposals are kept: `activelearn campaign "
            "export -c lab.db --pending -o FILE`.",
        )
    assert done("export", "-c", "lab.db", "--pending", "-o", "next.csv") == "1 proposals: next.csv\n"


def test_what_is_told_of_rows(here: Path) -> None:
    done("new", "job.yaml", "-c", "lab.db")
    done("suggest", "-c", "lab.db", "-q", "1")
    Path("first.csv").write_text("proposal,kappa\n1,1.0\n")
    options = ("--column", "conductivity_mS_cm=kappa", "--unit", "conductivity_mS_cm=S/m")
    assert done("record", "first.csv", "-c", "lab.db", *options) == (
        "Recorded as measurements 1 to 1: 1 measured\n"
    )
    header = f"corrects,proposal,{TARGET},solvent_1,weight_fraction_1,salt,molality_mol_kg,temperature_K"
    Path("second.csv").write_text(f"{header}\n,1,-2,,,,,\n,,-2.5,DME,1,LiPF6,1,298.15\n1,,-2.25,,,,,\n")
    assert done("record", "second.csv", "-c", "lab.db") == (
        "Recorded as measurements 2 to 4: 3 measured\n"
        "1 of them in the place of an earlier measurement, which is kept\n"
        "1 of them of mixtures that nobody proposed\n"
        "Warning: rows 2 repeat the value of an earlier measurement of the same mixture. If it was recorded "
        "twice, withdraw one: corrects, its number; status, withdrawn.\n"
    )


def test_bad_rows_leave_all_as_it_was(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done("new", "job.yaml")
    done("suggest", "-q", "2")
    Path("results.csv").write_text(f"proposal,{TARGET}\n1,-2\n2,high\n")
    monkeypatch.setattr("sys.argv", ["activelearn", "campaign", "record", "results.csv"])
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f'error: results.csv, row 3, column "{TARGET}": "high" is not a finite number; expected a number '
        "between -1e15 and 1e15. Write a plain number with a decimal point.\n"
    )
    assert done("export") == "0 measurements: results/measurements.csv\n"
    assert done("status").startswith("0 measured, 0 failed, 0 corrected, 2 pending\n")


def test_a_place_that_is_taken_is_told_before_anything_is_given(here: Path) -> None:
    done("new", "job.yaml")
    Path("next.csv").write_text("mine")
    for words in (("suggest", "-o", "next.csv"), ("export", "-o", "next.csv")):
        assert campaign(*words) == (
            2,
            "next.csv: something stands here already. Give another --out, or move it away.",
        )
    assert campaign("suggest", "-o", "next.txt")[0] == 2
    assert campaign("new", "job.yaml")[0] == 2
    assert done("status").startswith("0 measured, 0 failed, 0 corrected, 0 pending\n")


def test_without_a_campaign(here: Path) -> None:
    assert campaign("status") == (
        2,
        "campaign.db: there is no such file. Check the path, or begin a campaign with `activelearn campaign "
        "new`.",
    )
