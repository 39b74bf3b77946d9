"""A screen under constraints: what it leaves out, counts and says beside each candidate."""

from __future__ import annotations

import json
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from activelearn.screening import in_process
from campaigns.screen import ChosenModel, choose_screen, print_summary, screen_to_files
from campaigns.screen_record import ScreenRecord
from surrogates.compositions import parse_formula
from surrogates.errors import InputError
from tests import test_screen_cathodes as cathodes
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


def screened(out: Path, job: str, resume: bool = False) -> ScreenRecord:
    path = out.parent / "job.yaml"
    path.write_text(job, encoding="utf-8")
    chosen = ChosenModel(FakeModel(), {"sha256": "a"}, load_s=0.0)
    config = choose_screen(str(path), None)
    return screen_to_files(config, chosen, out, nullcontext(in_process), Console(quiet=True), resume)


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


OF_CATHODES = """
constraints:
  bounds: {F: {at_least: 0.1}}
  linear: [{name: redox, terms: {Mn: 1, Cr: 1, V: 1}, at_least: 0.4}]
  at_most: [{count: 3, least: 0.1}]
  oxidation_states: {Mn: {at_most: 2.5}}
"""


def test_a_list_of_cathodes_under_constraints_is_what_is_left_of_the_whole_list(tmp_path: Path) -> None:
    job = cathodes.JOB.replace("top_k: 40", "top_k: 3000")
    whole = pd.read_csv(cathodes.screened(tmp_path / "whole", job).ranked)
    record = cathodes.screened(tmp_path / "some", job + OF_CATHODES)
    some = pd.read_csv(record.ranked)
    amounts = [parse_formula(formula) for formula in whole["formula"]]
    fluorine, redox, manganese = (
        pd.Series([sum(row.get(element, 0.0) for element in elements) for row in amounts])
        for elements in (("F",), ("Mn", "Cr", "V"), ("Mn",))
    )
    metals = pd.Series([[row[e] for e in row if e not in ("Li", "O", "F")] for row in amounts])
    highest = {"Li": 1, "Mn": 2.5, "Cr": 3, "V": 3, "Ti": 4, "Nb": 5, "O": -2, "F": -1}
    charge = pd.Series([sum(n * highest[element] for element, n in row.items()) for row in amounts])
    missed = {
        "F at least 0.1": fluorine < 0.099,
        "redox at least 0.4": redox < 0.399,
        "at most 3 metals": metals.map(len) > 3,
        "at least 0.1 metals, if any": metals.map(min) < 0.099,
        "cations carry no more charge than the anions (Mn 2 to 2.5)": manganese < 0,
        "cations can carry the charge of the anions (Mn 2 to 2.5)": charge < -1e-6,
    }
    kept = whole[~pd.DataFrame(missed).any(axis=1)]
    assert sorted(some["candidate"]) == sorted(kept["candidate"])
    assert 50 < len(some) < 500
    run = json.loads(record.summary.read_text(encoding="utf-8"))
    assert {key: run["counts"][key] for key in ("ranked", "feasible", "infeasible", "infeasible_by")} == {
        "ranked": len(kept),
        "feasible": len(kept),
        "infeasible": 2131 - len(kept),
        "infeasible_by": {name: int(rows.sum()) for name, rows in missed.items()},
    }
    assert list(some)[len(whole.columns) :] == ["feasible", *(f"slack {name}" for name in missed)]
    assert some["feasible"].all()
    by_candidate = charge.set_axis(whole["candidate"])[some["candidate"]]
    slack = some["slack cations can carry the charge of the anions (Mn 2 to 2.5)"]
    assert slack.tolist() == pytest.approx(by_candidate.tolist(), abs=1e-6)
    every = pd.concat([pd.read_parquet(path) for path in sorted(record.shards.iterdir())])
    assert set(every.loc[every["feasible"], "candidate"]) == set(some["candidate"])
    assert len(every) == 2131


def test_pareto_ranks_of_cathodes_are_those_among_what_is_left(tmp_path: Path) -> None:
    some = pd.read_csv(cathodes.screened(tmp_path / "out", cathodes.JOB + OF_CATHODES).ranked)
    means = some[["capacity_mAh_g_mean", "retention_30_mean"]].to_numpy()
    rank = np.zeros(len(means), dtype=int)
    for row in np.argsort(-means.sum(1)):
        above = (means >= means[row]).all(1) & (means > means[row]).any(1)
        rank[row] = 1 + max(rank[above], default=0)
    assert some["pareto_rank"].tolist() == rank.tolist()


def test_an_impossible_screen_of_cathodes_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        cathodes.screened(
            tmp_path / "out", f"{cathodes.JOB}constraints: {{bounds: {{F: {{at_least: 1}}}}}}\n"
        )
    assert str(error.value) == (
        'constraints: "F at least 1" excludes every candidate; it is missed by 0.8 at least. '
        "Loosen it, or change the space."
    )
    assert not (tmp_path / "out").exists()


@pytest.fixture
def margin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a function of the user's own."""
    path = tmp_path / "margin_of_mine.py"
    path.write_text("def of_fluorine(x):\n    return x['F'] - 0.05\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return path


def test_a_resume_with_another_function_is_refused(tmp_path: Path, margin: Path) -> None:
    job = f"{cathodes.JOB}constraints: {{functions: ['margin_of_mine:of_fluorine']}}\n"
    out = tmp_path / "out"
    before = cathodes.screened(out, job).ranked.read_bytes()
    there = sha256(margin.read_bytes()).hexdigest()
    assert cathodes.screened(out, job, resume=True).ranked.read_bytes() == before
    margin.write_text("def of_fluorine(x):\n    return x['F'] - 0.15\n", encoding="utf-8")
    with pytest.raises(InputError) as error:
        cathodes.screened(out, job, resume=True)
    assert str(error.value) == (
        f'{out}/run.json, "constraint_files.margin_of_mine:of_fluorine": the screen there has {there}, '
        f"this one has {sha256(margin.read_bytes()).hexdigest()}. Give another --out, or what stands there."
    )


def test_a_resume_with_another_table_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    header = "solvent_1,weight_fraction_1,salt,molality_mol_kg,temperature_K\n"
    table.write_text(f"{header}EC,1,LiTDI,1.0,298\n", encoding="utf-8")
    job = f"{JOB}constraints: {{solubility: {{table: mine.csv}}}}\n"
    record = screened(tmp_path / "out", job)
    screened(tmp_path / "out", job, resume=True)
    there = sha256(table.read_bytes()).hexdigest()
    run = json.loads(record.summary.read_text(encoding="utf-8"))
    assert run["constraint_files"] == {str(table): there}
    table.write_text(f"{header}EC,1,LiTDI,1.1,298\n", encoding="utf-8")
    with pytest.raises(InputError) as error:
        screened(tmp_path / "out", job, resume=True)
    assert str(error.value) == (
        f'{tmp_path}/out/run.json, "constraint_files.{table}": the screen there has {there}, this one has '
        f"{sha256(table.read_bytes()).hexdigest()}. Give another --out, or what stands there."
    )
