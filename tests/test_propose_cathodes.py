"""`activelearn propose` of cathodes, from measurements to a file that can be filled in and read again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from campaigns.cli import app
from surrogates.errors import InputError
from tests.test_cathode_config import CAPACITY, RETENTION

SPACE = """\
space:
  metals: [Mn2+, Mn3+, Cr3+, Ti4+, Nb5+]
  metals_per_composition: [2, 3]
  lithium: [1.2]
  fluorine: [0.2]
  step: 0.1
"""
CONSTRAINTS = "constraints: {bounds: {Cr: {at_most: 0.3}}}\n"
MEASURED = """\
formula,capacity_mAh_g,retention_30,comment
Li1.2Mn0.5Nb0.3O1.8F0.2,260,0.6,best
Li1.2Mn0.6Ti0.2O1.8F0.2,210,,
Li1.2Zr0.2Mn0.6O1.8F0.2,300,0.9,zirconium
"""
PENDING = "formula\nLi1.2Mn0.5Ti0.3O1.9F0.1\n"
ESTIMATE = ("mean", "std", "std_epistemic", "std_aleatoric", "lower_90", "upper_90")


def _write(tmp_path: Path, objectives: str = CAPACITY + RETENTION, more: str = CONSTRAINTS) -> Path:
    job = tmp_path / "job.yaml"
    job.write_text(objectives + more + SPACE, encoding="utf-8")
    (tmp_path / "measured.csv").write_text(MEASURED, encoding="utf-8")
    (tmp_path / "pending.csv").write_text(PENDING, encoding="utf-8")
    return job


def _propose(job: Path, *more: str) -> tuple[int, str]:
    said = CliRunner().invoke(app, ["propose", str(job), *more])
    if isinstance(said.exception, InputError):
        return 2, str(said.exception)
    assert said.exception is None or isinstance(said.exception, SystemExit), said.exception
    return said.exit_code, said.output


def test_proposals_for_two_objectives_in_people_s_words(tmp_path: Path) -> None:
    job, out = _write(tmp_path), tmp_path / "results" / "next.csv"
    files = ["--data", str(tmp_path / "measured.csv"), "--pending", str(tmp_path / "pending.csv")]
    code, said = _propose(job, *files, "-q", "4", "-o", str(out))
    assert code == 0, said
    assert "columns passed over: comment" in said
    assert "2 of 3 measured cathodes could be candidates of the space; proposals are judged by these" in said
    assert "capacity_mAh_g: mean error of the model " in said
    assert "retention_30: mean error of the model " in said
    assert "over 2 values" in said
    assert "learns: gp; capacity_mAh_g: 3 values lie " in said
    assert "learns: gp; retention_30: 2 values lie " in said
    assert f"The proposals: {out}" in said.replace("\n", "")
    table = pd.read_csv(out)
    amounts = [f"{what}_{slot}" for slot in (1, 2, 3) for what in ("metal", "amount")]
    assert list(table) == [
        *("proposal", "formula", "lithium", *amounts, "fluorine"),
        *(f"{name}_{part}" for name in ("capacity_mAh_g", "retention_30") for part in ESTIMATE),
        *("in_domain", "acquisition", "acquisition_value", "why", "feasible", "slack Cr at most 0.3"),
    ]
    assert table["proposal"].tolist() == [1, 2, 3, 4]
    assert table["formula"].is_unique
    assert not table["formula"].isin(["Li1.2Mn0.5Nb0.3O1.8F0.2", "Li1.2Mn0.6Ti0.2O1.8F0.2"]).any()
    assert (table["slack Cr at most 0.3"] >= -1e-6).all()
    assert set(table["acquisition"]) == {"log-nehvi"}
    assert table["why"][1] == (
        "highest expected gain of hypervolume, with those measured, beside the 1 before it"
    )

    # What was proposed can be measured, and stands in the way of being proposed again.
    table.assign(capacity_mAh_g=250.0).to_csv(tmp_path / "done.csv", index=False)
    code, said = _propose(
        job, "--data", str(tmp_path / "done.csv"), "-q", "3", "-o", str(tmp_path / "2.parquet")
    )
    assert code == 0, said
    again = pd.read_parquet(tmp_path / "2.parquet")
    assert not set(again["formula"]) & set(table["formula"])


def test_what_a_laboratory_reads_is_learnt_or_told_alone(tmp_path: Path) -> None:
    means: dict[str, pd.Series[float]] = {}
    for learns in ("gp", "nothing"):
        job = _write(tmp_path, CAPACITY, f"learns: {learns}\nacquisition: mean\n")
        data = tmp_path / "low.csv"
        data.write_text("formula,capacity_mAh_g\nLi1.2Mn0.5Nb0.3O1.8F0.2,90\nLi1.2Mn0.6Ti0.2O1.8F0.2,95\n")
        out = tmp_path / f"{learns}.csv"
        code, said = _propose(job, "--data", str(data), "-q", "3", "-o", str(out))
        assert code == 0, said
        means[learns] = pd.read_csv(out)["capacity_mAh_g_mean"]
    assert "learns: nothing; the model is as it was before these measurements" in said
    assert (means["gp"] < means["nothing"] - 20).all()


def test_one_objective_before_the_first_measurement(tmp_path: Path) -> None:
    job = _write(tmp_path, CAPACITY, "goal: top\nacquisition: mean\n")
    out = tmp_path / "next.csv"
    code, said = _propose(job, "-q", "3", "-o", str(out))
    assert code == 0, said
    table = pd.read_csv(out)
    assert table["acquisition"].tolist() == ["mean"] * 3
    assert table["why"].tolist() == ["highest predicted value"] * 3
    assert table["acquisition_value"].tolist() == pytest.approx(table["capacity_mAh_g_mean"].tolist())
    assert table["capacity_mAh_g_mean"].is_monotonic_decreasing
    assert "feasible" not in table
    code, said = _propose(job, "-q", "3", "-o", str(out))
    assert code == 2
    assert said == f"{out}: something stands here already. Give another --out, or move it away."


def test_a_condition_that_the_model_has_not_seen_is_warned_of(tmp_path: Path) -> None:
    job = _write(tmp_path, CAPACITY.replace("1.5, 4.8", "1.0, 4.8"), "")
    code, said = _propose(job, "-q", "1", "-o", str(tmp_path / "next.csv"))
    assert code == 0
    told = said.replace("\n", "")
    assert (
        "Warning: capacity_mAh_g: V_low is outside 1.5 to 2.5, what drxnet-distilled was trained on" in told
    )


@pytest.mark.parametrize(
    ("more", "words", "message"),
    [
        (
            CONSTRAINTS,
            ["-q", "100"],
            "space: 25 candidates are left that fulfil all and were not measured; 100 were asked for. Ask "
            "for fewer, widen the space or loosen a constraint.",
        ),
        (
            CONSTRAINTS,
            ["--column", "capacity_mAh_g=Q"],
            'measured.csv: columns maps "capacity_mAh_g" to "Q", which is not in the file. Its columns are '
            "formula, capacity_mAh_g, retention_30, comment.",
        ),
        (
            "constraints: {bounds: {Mn: {at_most: 0.0}, Cr: {at_most: 0.0}}}\n",
            [],
            'constraints: "Mn at most 0" and "Cr at most 0" exclude each other; for a candidate to be left, '
            'one must give way: "Mn at most 0" by 0.3 or "Cr at most 0" by 0.6. Loosen one of them, or '
            "change the space.",
        ),
        (
            "model: ./nowhere\n",
            [],
            "{tmp}/nowhere/card.json: cannot be read as part of a model: No such file or directory. Give a "
            "directory that `activelearn train` wrote, or train the model again.",
        ),
    ],
)
def test_what_cannot_be_done_exits_with_2_and_writes_nothing(
    tmp_path: Path, more: str, words: list[str], message: str
) -> None:
    job = _write(tmp_path, more=more)
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "next.csv"
    code, said = _propose(job, "--data", str(tmp_path / "measured.csv"), *words, "-o", str(out))
    assert code == 2
    assert said == message.replace("{tmp}", str(tmp_path))
    assert sorted(tmp_path.rglob("*")) == before
