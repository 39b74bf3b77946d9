"""Campaigns of cathodes: rounds with an emulated laboratory, and the same guarantees as for mixtures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from campaigns.campaign import Campaign
from campaigns.cathode_family import CathodeFamily
from campaigns.cathode_propose_config import CathodeProposeConfig
from campaigns.cli import app
from surrogates.composition_batches import read_formulas
from surrogates.discharge_models import DISTILLED, discharge_model
from surrogates.discharge_objectives import DischargeObjectives
from surrogates.errors import InputError

CAPACITY = {"quantity": "capacity", "rate_mA_g": 20, "window_V": [1.5, 4.8], "cycle": 1}
RETENTION = {"quantity": "retention_30", "rate_mA_g": 20, "window_V": [1.5, 4.8]}
ENERGY = {"quantity": "energy_Wh_kg", "rate_mA_g": 20, "window_V": [1.5, 4.8], "cycle": 1}
SPACE = {
    "metals": ["Mn2+", "Mn3+", "Cr3+", "Ti4+", "Nb5+"],
    "metals_per_composition": [2, 3],
    "lithium": [1.2],
    "fluorine": [0.2],
    "step": 0.1,
}
"""36 candidates."""
NAMES = ("energy_Wh_kg", "retention_30")


def config_of(*objectives: dict[str, Any], **changes: Any) -> CathodeProposeConfig:
    plain = {"objectives": list(objectives) or [ENERGY, RETENTION], "space": SPACE, "seed": 3}
    return CathodeProposeConfig.model_validate({**plain, **changes})


@pytest.fixture
def begun(tmp_path: Path) -> Campaign:
    return Campaign.new(tmp_path / "c.db", config_of())


@pytest.fixture
def one(tmp_path: Path) -> Campaign:
    """A campaign of one objective."""
    return Campaign.new(tmp_path / "one.db", config_of(CAPACITY))


def measure(campaign: Campaign, proposals: pd.DataFrame, factor: float = 0.9) -> pd.DataFrame:
    """Return what a laboratory reads that is not the model's: a share of the mean, with 1 % of noise."""
    assert isinstance(campaign.config, CathodeProposeConfig)
    table, batch = read_formulas(proposals["formula"].tolist())
    model = DischargeObjectives(discharge_model(DISTILLED), campaign.config.asked())
    mean = model.bind(table).predict(batch).mean.double().numpy()
    noise = np.random.default_rng(len(campaign.export())).normal(1, 0.01, mean.shape)
    values = pd.DataFrame(factor * mean * noise, columns=list(campaign.head.targets))
    return pd.concat([proposals[["proposal", "formula"]].reset_index(drop=True), values], axis=1)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def test_three_rounds_with_a_laboratory_that_reads_lower(begun: Campaign) -> None:
    rounds: list[pd.DataFrame] = []
    stated: list[float] = []
    for _ in range(3):
        proposals = begun.suggest(3)
        read = measure(begun, proposals)
        stated.append(float((proposals["energy_Wh_kg_mean"] / read["energy_Wh_kg"]).mean()))
        begun.record(read)
        rounds.append(read)
    everything = pd.concat(rounds)
    status = begun.status()

    assert everything["proposal"].tolist() == list(range(1, 10))
    assert everything["formula"].is_unique
    assert stated[0] > 1.08  # the model has not heard of the laboratory
    assert abs(stated[2] - 1) < 0.04
    assert (status.measured, status.failed, status.pending) == (9, 0, ())
    assert set(status.quality) == set(NAMES)
    assert status.quality["energy_Wh_kg"].measured == 9
    assert status.hint.startswith(("Go on: ", "Gains become small: ", "It may be time to stop: "))
    values = everything[list(NAMES)].to_numpy()
    beaten = [(values > row).all(axis=1).any() for row in values]
    front = everything[~np.array(beaten)].sort_values("energy_Wh_kg", ascending=False)
    assert [one.candidate.words() for one in status.front] == front["formula"].tolist()
    np.testing.assert_allclose([list(one.values.values()) for one in status.front], front[list(NAMES)])


def test_one_objective_has_a_best(one: Campaign) -> None:
    read = measure(one, one.suggest(4))
    one.record(read)
    status = one.status()
    assert len(status.front) == 1
    assert status.best is not None
    assert status.best.value == pytest.approx(read["capacity_mAh_g"].max())
    assert "and a measurement scatters by" in status.hint
    best = int(read["capacity_mAh_g"].idxmax()) + 1
    one.record(pd.DataFrame({"proposal": [best], "capacity_mAh_g": [1.0]}))
    again = one.status().best
    assert again is not None
    assert again.measurements != status.best.measurements  # the mean of the repeats is no longer the best


def test_a_copy_of_the_file_is_given_the_same(begun: Campaign, tmp_path: Path) -> None:
    begun.record(measure(begun, begun.suggest(2)))
    shutil.copy(tmp_path / "c.db", tmp_path / "copy.db")
    here, there = begun.suggest(3), Campaign.open(tmp_path / "copy.db").suggest(3)
    pd.testing.assert_frame_equal(here, there, rtol=1e-4)
    pd.testing.assert_frame_equal(here, begun.pending())
    opened = Campaign.open(tmp_path / "c.db")
    assert (opened.config, opened.head) == (begun.config, begun.head)


def test_what_pends_failed_or_was_measured_is_not_given_again(one: Campaign) -> None:
    given = one.suggest(3)
    one.record(measure(one, given[:1]))
    one.record(pd.DataFrame({"proposal": [2], "status": ["failed"], "reason": ["no single phase"]}))
    family = one.family
    assert isinstance(family, CathodeFamily)
    pool = family._pool(one.store.history())
    assert (len(pool.measured.batch) if pool.measured else 0) == 1  # nothing is learnt of the failure
    assert one.export()["reason"].tolist() == ["", "no single phase"]
    rest = one.suggest(33)
    assert len({*rest["formula"], *given["formula"]}) == 36
    with pytest.raises(InputError, match="0 candidates are left"):
        one.suggest(1)
    assert one.status().hint.startswith("No experiment is left to propose: 0 candidates are left")


def test_a_row_may_hold_some_objectives_and_rows_nobody_proposed(begun: Campaign) -> None:
    given = begun.suggest(2)
    rows = pd.DataFrame(
        {
            "proposal": [1, None, None],
            "formula": ["", given["formula"][1], "Li1.2Zr0.2Mn0.6O1.8F0.2"],
            "energy_Wh_kg": [600.0, None, 900.0],
            "retention_30": [None, 0.9, 0.9],
        }
    )
    done = begun.record(rows.astype("string"))
    kept = begun.export()
    status = begun.status()

    assert (done.outcomes["measured"], done.unproposed) == (3, 1)
    assert kept["proposal"].tolist() == [1, 2, pd.NA]
    assert kept["formula"].tolist() == [*given["formula"], "Li1.2Zr0.2Mn0.6O1.8F0.2"]
    assert kept["energy_Wh_kg"].isna().tolist() == [False, True, False]
    assert status.front == ()  # zirconium is none of the space, the others lack an objective
    assert status.hint == "Nothing that could be a candidate has been measured yet: go on."
    assert [one.measured for one in status.quality.values()] == [1, 1]
    begun.record(pd.DataFrame({"proposal": [1], "retention_30": [0.7]}))
    (best,) = begun.status().front
    assert best.measurements == (1, 4)
    assert best.values == {"energy_Wh_kg": 600.0, "retention_30": 0.7}


def test_corrections_count_and_stay_in_the_history(one: Campaign) -> None:
    one.record(measure(one, one.suggest(2)))
    one.record(pd.DataFrame({"corrects": [1], "capacity_mAh_g": [12.0], "reason": ["a digit"]}))
    one.record(pd.DataFrame({"corrects": [2], "status": ["withdrawn"]}))
    kept = one.export()
    assert kept["is_current"].tolist() == [False, False, True, True]
    assert kept["status"].tolist() == ["measured", "measured", "measured", "withdrawn"]
    status = one.status()
    assert status.best is not None
    assert (status.best.value, status.measured, status.corrected) == (12.0, 1, 2)
    assert [proposal.id for proposal in status.pending] == [2]


def test_bad_rows_are_all_told_and_none_is_kept(begun: Campaign) -> None:
    begun.suggest(1)
    rows = pd.DataFrame(
        {
            "proposal": ["1", "1", "", "", "7"],
            "formula": ["Li1.2Mn0.2Nb0.6O2", "", "Li1.2Mn0.8", "", ""],
            "energy_Wh_kg": ["600", "", "600", "600", "high"],
        }
    )
    told = refusal(lambda: begun.record(rows))
    assert 'results, row 6, column "proposal": "7" came; the campaign has proposals 1 to 1.' in told
    assert "results, row 5: neither a cathode, nor the number of a proposal or of what it corrects" in told
    assert 'row 6, column "energy_Wh_kg": "high" is not a finite number' in told
    assert 'row 4, column "formula": "Li1.2Mn0.8" is no' in told
    assert begun.export().empty
    nothing = pd.DataFrame({"proposal": ["1"], "energy_Wh_kg": [""]})
    assert refusal(lambda: begun.record(nothing)) == (
        'results, row 2, column "energy_Wh_kg": no objective was measured under its condition; one value at '
        "least was expected. Fill one in, or write failed as its status."
    )
    other = pd.DataFrame({"proposal": ["1"], "cathode": ["x"]})
    assert "none of the columns energy_Wh_kg, retention_30 came; one at least is needed" in refusal(
        lambda: begun.record(other)
    )


def test_what_was_measured_under_another_condition_is_refused(one: Campaign) -> None:
    one.suggest(1)
    rows = pd.DataFrame({"proposal": ["1"], "rate_mA_g": ["200"], "capacity_mAh_g": ["150"]})
    assert "no objective was measured under its condition" in refusal(lambda: one.record(rows))
    assert one.record(rows.assign(rate_mA_g="20")).measurements == (1,)


def test_a_formula_that_is_another_cathode_than_its_proposal_is_refused(one: Campaign) -> None:
    formula = one.suggest(1)["formula"][0]
    rows = pd.DataFrame({"proposal": [1], "formula": ["Li1.2Mn0.4Ti0.4O2"], "capacity_mAh_g": [200.0]})
    assert refusal(lambda: one.record(rows)) == (
        f'results, row 2, column "proposal": proposal 1 is {formula}; Li1.2Mn0.4Ti0.4O2 came. Correct the '
        "number, or clear it if another cathode was made."
    )


def test_a_changed_model_is_refused_and_measurements_are_not(
    begun: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = measure(begun, begun.suggest(1))
    opened = Campaign.open(tmp_path / "c.db")
    monkeypatch.setattr("surrogates.members.Members.sha256", lambda self: "another")
    told = (
        f"{tmp_path}/c.db: drxnet-distilled is not what it was when the campaign began. Restore it, or begin "
        "a new campaign and record there what `activelearn campaign export --current` writes of this one."
    )
    assert refusal(lambda: opened.suggest(1)) == told
    assert refusal(opened.status) == told
    assert opened.record(read).measurements == (1,)
    assert len(opened.export()) == 1


def test_what_cannot_be_is_refused_at_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    nothing = config_of(constraints={"bounds": {"Mn": {"at_most": 0.0}, "Cr": {"at_most": 0.0}}})
    assert "exclude each other" in refusal(lambda: Campaign.new(path, nothing))
    missing = config_of(model=f"{tmp_path}/nowhere")
    assert "nowhere/card.json: cannot be read" in refusal(lambda: Campaign.new(path, missing))
    assert not path.exists()


def test_a_model_that_learns_nothing_says_nothing_of_noise(tmp_path: Path) -> None:
    campaign = Campaign.new(tmp_path / "c.db", config_of(CAPACITY, learns="nothing"))
    campaign.record(measure(campaign, campaign.suggest(1)))
    assert campaign.status().hint.startswith("Nothing is known of noise, for the model learns nothing: ")


def test_the_loop_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text(config_of().model_dump_json(), encoding="utf-8")  # JSON is YAML

    def done(*words: str) -> str:
        said = CliRunner().invoke(app, ["campaign", *words])
        assert said.exit_code == 0, (said.output, said.exception)
        return said.output

    said = done("new", "job.yaml")
    assert said == "The campaign: campaign.db, 36 candidates, measuring energy_Wh_kg, retention_30\n"
    assert "The proposals: next.csv" in done("suggest", "-q", "3", "-o", "next.csv")
    given = pd.read_csv("next.csv")
    filled = given.assign(energy_Wh_kg=[600.0, 500.0, None], retention_30=[0.7, 0.9, None])
    filled.assign(status=["", "", "failed"]).to_csv("results.csv", index=False)
    assert done("record", "results.csv") == "Recorded as measurements 1 to 3: 2 measured, 1 failed\n"
    lines = done("status").splitlines()
    assert lines[:2] == ["2 measured, 1 failed, 0 corrected, 0 pending", "On the measured front, 2:"]
    assert lines[2] == f"energy_Wh_kg 600, retention_30 0.7 (measurement 1), {given['formula'][0]}"
    assert lines[4].startswith("The model of energy_Wh_kg: ")
    extra = "formula,energy_Wh_kg\nLi1.2Mn0.4Ti0.4O2,600\n"
    (tmp_path / "more.csv").write_text(extra, encoding="utf-8")
    assert "1 of them of cathodes that nobody proposed" in done("record", "more.csv")
    assert done("export") == "4 measurements: results/measurements.csv\n"
    kept = pd.read_csv("results/measurements.csv")
    assert kept["energy_Wh_kg"].dropna().tolist() == [600, 500, 600]
