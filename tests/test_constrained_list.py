"""A screen under constraints: what it leaves out, counts and says beside each candidate."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from activelearn.screening import in_process
from campaigns.screen import ChosenModel, choose_screen, print_summary, screen_to_files
from campaigns.screen_record import ScreenRecord
from surrogates.errors import InputError
from tests.fake_model import FakeModel

JOB = """
top_k: 2000
space:
  solvents: [EC, DMC, FEC]
  salts: [LiPF6, LiBOB, LiTDI]
  solvents_per_mixture: [2, 3]
  fraction_step: 0.1
  molality_mol_kg: [0.5, 1.5]
  temperature_K: [253.15, 298.15]
"""
"""756 candidates, one chunk."""
ASKED = """
constraints:
  bounds: {EC: {at_least: 0.3}}
  solubility: {use: constraint}
  liquid_range: flag
"""


def screened(out: Path, job: str) -> ScreenRecord:
    path = out.parent / "job.yaml"
    path.write_text(job, encoding="utf-8")
    chosen = ChosenModel(FakeModel(), {"sha256": "a"}, load_s=0.0)
    config = choose_screen(str(path), None)
    return screen_to_files(config, chosen, out, nullcontext(in_process), Console(quiet=True))


def fraction(table: pd.DataFrame, name: str) -> pd.Series:
    slots = [table[f"weight_fraction_{i}"].where(table[f"solvent_{i}"] == name, 0.0) for i in (1, 2, 3)]
    return sum(slot.fillna(0.0) for slot in slots)


def test_a_list_under_constraints_is_the_whole_list_less_what_misses_them(tmp_path: Path) -> None:
    whole = pd.read_csv(screened(tmp_path / "whole", JOB).ranked)
    record = screened(tmp_path / "some", JOB + ASKED)
    some = pd.read_csv(record.ranked)
    molecules = 1000 * sum(
        fraction(whole, name) / mass for name, mass in (("EC", 88.062), ("DMC", 90.078), ("FEC", 106.05))
    )
    needed = whole["salt"].map({"LiPF6": 2.0, "LiBOB": 8.0})
    room = molecules / needed - whole["molality_mol_kg"]
    poor, unknown, salty = fraction(whole, "EC") < 0.299, whole["salt"] == "LiTDI", room < -1e-6
    kept = whole[~(poor | unknown | salty)]
    assert some["candidate"].tolist() == kept["candidate"].tolist()
    assert some["score"].tolist() == kept["score"].tolist()
    run = json.loads(record.summary.read_text(encoding="utf-8"))
    assert run["counts"] | {"in_domain": 0, "out_of_domain": 0} == {
        "candidates": 756,
        "in_domain": 0,
        "out_of_domain": 0,
        "ranked": len(kept),
        "of_earlier_runs": 0,
        "feasible": len(kept),
        "infeasible": 756 - len(kept),
        "infeasible_by": {
            "EC at least 0.3": int(poor.sum()),
            "solubility of LiPF6": int((salty & (whole["salt"] == "LiPF6")).sum()),
            "solubility of LiBOB": int((salty & (whole["salt"] == "LiBOB")).sum()),
            "solubility: no data on the salt": int(unknown.sum()),
        },
    }
    assert 0 < salty.sum() < len(kept)
    assert list(some)[-10:] == [
        *("score", "feasible", "slack EC at least 0.3"),
        *("salt_limit_mol_kg", "slack_salt_mol_kg", "salt_limit_source"),
        *("liquidus_K", "slack_liquid_K", "liquidus_source", "flags"),
    ]
    assert some["slack EC at least 0.3"].tolist() == pytest.approx(
        (fraction(some, "EC") - 0.3).tolist(), abs=1e-6
    )
    assert some["slack_salt_mol_kg"].tolist() == pytest.approx(room[kept.index].tolist(), rel=1e-3)
    assert some["salt_limit_source"].str.match(r"^(2|8) solvents a Li, (READ|GUESS): ").all()
    has_fec = fraction(some, "FEC") > 0
    assert (some["flags"].fillna("").str.contains("liquid range unknown") == has_fec).all()
    cold = some["flags"].fillna("").str.contains("colder than its ideal liquidus")
    assert (cold == (some["temperature_K"] < some["liquidus_K"])).all()
    assert 0 < cold.sum() < len(some)
    assert some.loc[has_fec & ~cold, "slack_liquid_K"].isna().all()
    every = pd.concat([pd.read_parquet(path) for path in sorted(record.shards.iterdir())])
    assert set(every.loc[every["feasible"], "candidate"]) == set(some["candidate"])
    assert run["warnings"] == ["no data on the solubility of LiTDI", "no melting data on FEC"]


def test_flags_alone_leave_the_ranking_as_it_is(tmp_path: Path) -> None:
    whole = pd.read_csv(screened(tmp_path / "whole", JOB).ranked)
    flagged = screened(tmp_path / "flags", f"{JOB}constraints: {{solubility: {{use: flag}}}}\n")
    some = pd.read_csv(flagged.ranked)
    pd.testing.assert_frame_equal(some[list(whole)], whole)
    assert list(some)[len(whole.columns) :] == [
        *("salt_limit_mol_kg", "slack_salt_mol_kg", "salt_limit_source", "flags")
    ]
    unknown = some["salt"] == "LiTDI"
    assert (some.loc[unknown, "flags"] == "solubility unknown").all()
    assert (some.loc[unknown, "salt_limit_source"] == "no data on LiTDI").all()
    beyond = some["slack_salt_mol_kg"] < 0
    assert (some["flags"].eq("beyond the salt's limit") == beyond).all()
    assert beyond.any()


def test_a_table_stands_beside_the_job(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(
        "solvent_1,weight_fraction_1,salt,molality_mol_kg,temperature_K\nEC,1,LiTDI,0.01,25\n",
        encoding="utf-8",
    )
    asked = "constraints: {solubility: {use: flag, table: mine.csv, units: {temperature_K: degC, "
    record = screened(tmp_path / "out", f"{JOB}{asked}molality_mol_kg: mol/g}}}}}}\n")
    some = pd.read_csv(record.ranked)
    own = some[(some["salt"] == "LiTDI") & (fraction(some, "EC") > 0)]
    assert own["salt_limit_source"].str.startswith("measured: mine.csv, row 2").all()
    assert own["salt_limit_mol_kg"].tolist() == pytest.approx((10 * fraction(own, "EC")).tolist(), rel=1e-4)


def test_the_summary_counts_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = screened(tmp_path / "out", JOB + ASKED)
    counts = json.loads(record.summary.read_text(encoding="utf-8"))["counts"]
    print_summary(record, Console(width=400))
    by = ", ".join(f'"{name}" {count}' for name, count in counts["infeasible_by"].items() if count)
    assert f"Left out by constraints: {counts['infeasible']}; they miss {by}\n" in capsys.readouterr().out


def test_an_impossible_screen_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        screened(tmp_path / "out", f"{JOB}constraints: {{bounds: {{EC: {{at_least: 1.2}}}}}}\n")
    assert str(error.value) == (
        'constraints: "EC at least 1.2" excludes every candidate; it is missed by 0.2 at least. '
        "Loosen it, or change the space."
    )
    assert not (tmp_path / "out").exists()
