"""`activelearn landscape`: what goes in and out of the command, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from campaigns import cli

TABLE_S2 = """
temperature_K: 303.15
step: 0.1
systems:
  - {{solvents: [PC, DMC, EC], salt: LiPF6, lithium_mole_fraction: 0.08}}
measured:
  - file: {file}
    columns: {{conductivity_mS_cm: conductivity_predicted_mS_cm}}
  - file: {file}
    columns: {{conductivity_mS_cm: conductivity_measured_mS_cm, temperature_K: temperature_measured_C}}
    units: {{temperature_K: degC}}
"""


def activelearn(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["activelearn", "landscape", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_bundled_job_runs_without_a_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert activelearn(monkeypatch) == 0
    out = Path("results/landscape-carbonates")
    table = pd.read_csv(out / "landscape.csv")
    assert table.groupby("system", sort=False).size().to_dict() == {
        "PC/FEC/EC": 1326,
        "EMC/DMC/DEC": 1326,
        "PC/DMC/EC": 1326,
    }
    assert (table["conductivity_mS_cm"] > 0).all()
    assert capsys.readouterr().out.endswith(
        f"The maps: {out}/landscape.png\nThe tables: {out}/*.csv\nWhat was run: {out}/run.json\n"
    )


def test_table_s2_is_compared_in_both_columns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reference_dir: Path
) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(TABLE_S2.format(file=reference_dir / "diffmix_table_s2.csv"), encoding="utf-8")
    assert activelearn(monkeypatch, str(job), "--out", str(tmp_path / "out")) == 0
    paper, robot = json.loads((tmp_path / "out" / "run.json").read_text())["agreement"]
    assert (paper["rows"], robot["rows"]) == (28, 28)
    rows = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert rows["temperature_K"].tolist()[:29] == pytest.approx([303.15] * 28 + [300.31])
    # A model of other mixtures, 1 mS/cm off: it ranks them all the same.
    assert min(paper["spearman"], robot["spearman"]) > 0.85


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere/job.yaml"], "nowhere/job.yaml: there is no such file. Check the path."),
        (
            ["--model", "molset-conductivity"],
            "molset-conductivity/card.json: cannot be read as part of a model: No such file or directory. "
            "Give a directory that `activelearn train` wrote, or train the model again.",
        ),
    ],
)
def test_what_cannot_be_done_exits_with_2(
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert activelearn(monkeypatch, *words) == 2
    said = capsys.readouterr()
    assert said.err == f"error: {message}\n"
    assert not list(tmp_path.iterdir())
