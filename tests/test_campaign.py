"""Ask and tell: the same again from a copy, nothing twice, failures avoided, changed models refused."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from activelearn.asked import Asked, Proposals
from activelearn.propose import propose
from campaigns import mixture_family
from campaigns.campaign import Campaign
from campaigns.mixture_family import MixtureFamily
from campaigns.oracles import VirtualLaboratory
from campaigns.propose_config import ProposeConfig
from surrogates.errors import InputError
from surrogates.tables import read_mixtures
from tests.saved_models import saved_ensemble, saved_law_model, saved_student

TARGET = "log10_conductivity_S_cm"
SPACE: dict[str, Any] = {
    "solvents": ["EC", "DMC", "DEC"],
    "salts": ["LiPF6", "LiBF4"],
    "solvents_per_mixture": [2],
    "fraction_step": 0.1,
    "molality_mol_kg": [0.5, 1.0, 1.5],
}
MIXTURE = ["solvent_1", "weight_fraction_1", "solvent_2", "weight_fraction_2", "salt", "molality_mol_kg"]


def config_of(model: object, **changes: Any) -> ProposeConfig:
    plain = {"model": str(model), "space": SPACE, "how": "pool", "seed": 3}
    return ProposeConfig.model_validate({**plain, **changes})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(saved_law_model(tmp_path_factory.mktemp("saved") / "model"))


@pytest.fixture
def begun(tmp_path: Path, model: Path) -> Campaign:
    return Campaign.new(tmp_path / "c.db", config_of(model))


def family_of(campaign: Campaign) -> MixtureFamily:
    assert isinstance(campaign.family, MixtureFamily)
    return campaign.family


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def values_of(proposals: pd.DataFrame, *values: float) -> pd.DataFrame:
    return pd.DataFrame({"proposal": proposals["proposal"], TARGET: values})


def mixtures_of(proposals: pd.DataFrame) -> set[tuple[object, ...]]:
    return set(proposals[MIXTURE].itertuples(index=False, name=None))


def test_a_campaign_runs_in_a_loop_with_an_oracle(begun: Campaign) -> None:
    oracle = VirtualLaboratory(seed=1, failure_rate=0.4)
    given: list[pd.DataFrame] = []
    for _ in range(3):
        given.append(oracle.measure(begun.suggest(3)))
        begun.record(given[-1])
    all_given = pd.concat(given)
    failed = int(all_given["failed"].sum())

    assert all_given["proposal"].tolist() == list(range(1, 10))
    assert len(mixtures_of(all_given)) == 9
    status = begun.status()
    assert 0 < failed < 9
    assert (status.measured, status.failed, status.pending) == (9 - failed, failed, ())
    assert status.quality[TARGET].measured == 9 - failed
    kept = begun.export()
    assert status.best is not None
    assert status.best.value == pytest.approx(kept[TARGET].max())
    assert status.hint.startswith(("Go on: ", "Gains become small: ", "It may be time to stop: "))


def test_a_copy_of_the_file_is_given_the_same(begun: Campaign, tmp_path: Path) -> None:
    first = begun.suggest(2)
    begun.record(values_of(first, -2.0, -2.25))
    shutil.copy(tmp_path / "c.db", tmp_path / "copy.db")
    here, there = begun.suggest(3), Campaign.open(tmp_path / "copy.db").suggest(3)

    pd.testing.assert_frame_equal(here, there)
    pd.testing.assert_frame_equal(here, begun.pending())
    again = Campaign.new(tmp_path / "again.db", begun.config)
    pd.testing.assert_frame_equal(again.suggest(2), first)


def test_draws_depend_on_the_seed_and_on_the_call(tmp_path: Path, model: Path) -> None:
    seen: list[set[tuple[object, ...]]] = []
    for seed in (3, 4):
        path = tmp_path / f"{seed}.db"
        campaign = Campaign.new(path, config_of(model, acquisition="thompson", seed=seed))
        seen.append(mixtures_of(campaign.suggest(4)))
        asked = [
            family_of(campaign)._asked(campaign.store.history(), campaign.config.rule()).seed
            for _ in range(2)
        ]
        assert asked[0] == asked[1]
    assert seen[0] != seen[1]


def test_what_others_were_given_meanwhile_is_not_given_again(
    begun: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Campaign.open(tmp_path / "c.db")
    theirs: list[pd.DataFrame] = []
    calls: list[int] = []

    def interrupted(asked: Asked, q: int, *rest: Any) -> Proposals:
        calls.append(q)
        found = propose(asked, q, *rest)
        if len(calls) == 1:  # while the first thinks, the second is faster
            theirs.append(other.suggest(2))
        return found

    monkeypatch.setattr(mixture_family, "propose", interrupted)
    mine = begun.suggest(2)

    assert len(calls) == 3
    assert theirs[0]["proposal"].tolist() == [1, 2]
    assert mine["proposal"].tolist() == [3, 4]
    assert not mixtures_of(mine) & mixtures_of(theirs[0])


def test_what_pends_is_told_to_the_acquisition(begun: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    given = begun.suggest(3)
    begun.record(values_of(given[:1], -2.0))
    seen: list[Asked] = []

    def watched(asked: Asked, q: int, *rest: Any) -> Proposals:
        seen.append(asked)
        return propose(asked, q, *rest)

    monkeypatch.setattr(mixture_family, "propose", watched)
    begun.suggest(1)
    e = seen[0].experiments
    assert e.pending is not None
    assert e.measured is not None
    assert e.failed is None
    assert e.pending.batch.fractions()[:, 0].tolist() == pytest.approx(
        given["weight_fraction_1"][1:].tolist()
    )
    assert e.measured.values.tolist() == [-2.0]


def test_failures_are_avoided_and_nothing_is_learnt_of_them(begun: Campaign, tmp_path: Path) -> None:
    given = begun.suggest(2)
    shutil.copy(tmp_path / "c.db", tmp_path / "copy.db")
    begun.record(pd.DataFrame({"proposal": [1, 2], "status": "failed", "reason": "the salt came out"}))
    untold = Campaign.open(tmp_path / "copy.db")
    next_ones = begun.suggest(5)

    assert not mixtures_of(next_ones) & mixtures_of(given)
    said, unsaid = (
        family_of(one)._asked(one.store.history(), one.config.rule()).experiments for one in (begun, untold)
    )
    assert said.measured is unsaid.measured is None  # no value of 0 or any other
    assert said.model is family_of(begun)._chosen.model
    assert begun.export()["reason"].tolist() == ["the salt came out"] * 2


def test_amounts_beside_a_failure_are_avoided(tmp_path: Path, model: Path) -> None:
    space = {**SPACE, "solvents": ["EC", "DMC"], "salts": ["LiPF6"], "molality_mol_kg": [1.0]}
    campaign = Campaign.new(tmp_path / "c.db", config_of(model, space=space, how="continuous"))
    shares: list[float] = []
    for _ in range(3):
        (share,) = campaign.suggest(1)["weight_fraction_1"]
        assert all(abs(share - other) > 0.014 for other in shares)
        shares.append(share)
        campaign.record(pd.DataFrame({"proposal": [len(shares)], "status": ["failed"]}))


def test_replicates_are_all_kept_and_learnt_from(begun: Campaign) -> None:
    given = begun.suggest(3)
    begun.record(pd.DataFrame({"proposal": [1, 1, 1, 2, 2, 3], TARGET: [-2.0, -2.1, -2.0, -2.3, -2.2, -2.5]}))
    status = begun.status()

    assert status.measured == 6
    assert status.best is not None
    assert status.best.value == pytest.approx(-6.1 / 3)
    assert status.best.measurements == (1, 2, 3)
    assert not mixtures_of(begun.suggest(2)) & mixtures_of(given)


def test_corrections_count_and_stay_in_the_history(begun: Campaign) -> None:
    given = begun.suggest(2)
    begun.record(values_of(given, -2.0, -0.2))
    done = begun.record(pd.DataFrame({"corrects": [2], TARGET: [-2.2], "reason": ["a comma"]}))
    kept = begun.export()

    assert (done.measurements, done.corrections, done.unproposed) == ((3,), 1, 0)
    assert kept[["measurement", "proposal", TARGET]].values.tolist() == [
        [1, 1, -2.0],
        [2, 2, -0.2],
        [3, 2, -2.2],
    ]
    assert kept["is_current"].tolist() == [True, False, True]
    assert kept["corrected_by"].tolist() == [pd.NA, 3, pd.NA]
    assert kept["corrects"].tolist() == [pd.NA, pd.NA, 2]
    status = begun.status()
    assert status.best is not None
    assert (status.best.value, status.measured, status.corrected) == (-2.0, 2, 1)


def test_what_nobody_proposed_is_learnt_from_but_is_not_the_best_of_the_space(begun: Campaign) -> None:
    frame = pd.DataFrame(
        {
            "solvent_1": ["EC", "EC"],
            "weight_fraction_1": [0.3, 0.3],
            "solvent_2": ["DMC", "DME"],
            "weight_fraction_2": [0.7, 0.7],
            "salt": ["LiPF6", "LiPF6"],
            "molality_mol_kg": [1.0, 1.0],
            "temperature_K": [298.15, 298.15],
            "conductivity_mS_cm": [10.0, 100.0],
        }
    )
    done = begun.record(frame)
    status = begun.status()

    assert done.unproposed == 2
    assert not status.quality
    assert status.best is not None
    assert (status.measured, status.best.measurements) == (2, (1,))
    assert ("EC", 0.3, "DMC", 0.7, "LiPF6", 1.0) not in mixtures_of(begun.suggest(2).round(6))


def test_the_export_is_a_training_file(begun: Campaign, tmp_path: Path) -> None:
    given = begun.suggest(3)
    begun.record(values_of(given, -2.0, -2.1, -2.2))
    begun.export().to_csv(tmp_path / "all.csv", index=False)
    data = read_mixtures(tmp_path / "all.csv", TARGET)

    assert data.target.tolist() == [-2.0, -2.1, -2.2]
    assert len(data.table) <= 5


def test_what_stands_can_be_recorded_in_a_new_campaign(begun: Campaign, tmp_path: Path) -> None:
    given = begun.suggest(4)
    begun.record(values_of(given, -2.0, -0.2, -2.1, -2.2))
    begun.record(pd.DataFrame({"corrects": [2], TARGET: [-2.25]}))
    begun.record(pd.DataFrame({"corrects": [3], "status": ["withdrawn"], "reason": ["another's"]}))
    begun.record(pd.DataFrame({"corrects": [4], "status": ["failed"], "reason": ["it froze"]}))
    begun.export().to_csv(tmp_path / "all.csv", index=False)
    assert refusal(lambda: begun.record(tmp_path / "all.csv")) == (
        'all.csv: it is an export with its history (column "is_current"), whose numbers are its campaign\'s. '
        "Record what `activelearn campaign export --current` writes."
    )
    begun.results().to_csv(tmp_path / "results.csv", index=False)
    again = Campaign.new(tmp_path / "again.db", begun.config)
    done = again.record(tmp_path / "results.csv")
    assert (dict(done.outcomes), done.corrections) == ({"measured": 2, "failed": 1, "withdrawn": 0}, 0)
    kept = again.export()
    assert sorted(kept[TARGET].dropna()) == [-2.25, -2.0]
    assert kept.loc[kept["status"] == "failed", "reason"].tolist() == ["it froze"]
    assert set(mixtures_of(kept)) == set(mixtures_of(given.drop(index=2)))


def test_a_file_that_was_withdrawn_can_be_recorded_again(begun: Campaign, tmp_path: Path) -> None:
    values_of(begun.suggest(1), -2.0).to_csv(tmp_path / "results.csv", index=False)
    begun.record(tmp_path / "results.csv")
    begun.record(pd.DataFrame({"corrects": [1], "status": ["withdrawn"], "reason": ["the unit"]}))
    assert begun.record(tmp_path / "results.csv").measurements == (3,)


def test_all_rows_or_none(begun: Campaign) -> None:
    begun.suggest(2)
    frame = pd.DataFrame({"proposal": [1, 2, 3], TARGET: ["-2", "-2", "-2"]})
    assert refusal(lambda: begun.record(frame)) == (
        'results, row 4, column "proposal": "3" came; the campaign has proposals 1 to 2. Correct the number, '
        "or clear the cell."
    )
    assert begun.export().empty
    assert len(begun.pending()) == 2


def test_before_anything_was_measured(begun: Campaign) -> None:
    status = begun.status()
    assert status.hint == "Nothing that could be a candidate has been measured yet: go on."
    assert (status.best, status.quality, status.pending) == (None, {}, ())
    assert begun.pending().empty
    assert begun.export().empty


def test_a_space_that_is_used_up(tmp_path: Path, model: Path) -> None:
    space = {"solvents": ["EC", "DMC", "DEC"], "salts": ["LiPF6"]}
    campaign = Campaign.new(tmp_path / "c.db", config_of(model, space=space))
    campaign.record(values_of(campaign.suggest(3), -2.0, -2.1, -2.2))

    left = "0 candidates are left that fulfil all and were not measured"
    assert campaign.status().hint == f"No experiment is left to propose: {left}; 1 were asked for."
    with pytest.raises(InputError, match=left):
        campaign.suggest(1)


def test_a_changed_model_is_refused_and_measurements_are_not(begun: Campaign, tmp_path: Path) -> None:
    own = tmp_path / "model"
    shutil.copytree(begun.config.model, own)
    campaign = Campaign.new(tmp_path / "own.db", config_of(own))
    given = campaign.suggest(1)
    card = (own / "card.json").read_text()
    (own / "card.json").write_text(card.replace('"rows": 60', '"rows": 61').replace('"rows":60', '"rows":61'))
    opened = Campaign.open(tmp_path / "own.db")

    told = (
        f"{tmp_path}/own.db: {own} is not what it was when the campaign began. Restore it, or begin a new "
        "campaign and record there what `activelearn campaign export --current` writes of this one."
    )
    assert refusal(lambda: opened.suggest(1)) == told
    assert refusal(opened.status) == told
    assert opened.record(values_of(given, -2.0)).measurements == (1,)
    assert len(opened.export()) == 1


def test_a_changed_table_is_refused(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    header = "salt,temperature_K,solvent_1,weight_fraction_1,solvent_2,weight_fraction_2,molality_mol_kg"
    (tmp_path / "limits.csv").write_text(f"{header}\nLiPF6,298.15,EC,0.5,DMC,0.5,3.5\n")
    asked = {"solubility": {"use": "constraint", "table": "limits.csv"}}
    campaign = Campaign.new(Path("c.db"), config_of(model, constraints=asked))
    monkeypatch.chdir(tmp_path.parent)

    assert len(campaign.suggest(1)) == 1  # its paths are absolute
    with (tmp_path / "limits.csv").open("a") as file:
        file.write("LiPF6,298.15,EC,0.4,DMC,0.6,3.5\n")
    told = refusal(lambda: Campaign.open(tmp_path / "c.db").suggest(1))
    assert f"c.db: {tmp_path}/limits.csv is not what it was when the campaign began. Restore it, or" in told


def test_what_cannot_be_is_refused_at_the_beginning(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "c.db"
    student = config_of(saved_student(tmp_path / "student"))
    assert refusal(lambda: Campaign.new(path, student)) == (
        f"{tmp_path}/student: a student came; it learns nothing from measurements. Give the ensemble that it "
        "stands for, or write learns: nothing."
    )
    unsalted = {**SPACE, "molality_mol_kg": [0.0, 1.0]}
    one_salt = config_of(saved_ensemble(tmp_path / "ensemble"), space=unsalted)
    assert refusal(lambda: Campaign.new(path, one_salt)) == (
        'key "space.molality_mol_kg": 0 is a mixture without salt; a model of encoder: molsets takes one '
        "salt a mixture. Remove the 0, or give another model."
    )
    nothing = config_of(model, constraints={"bounds": {"EC": {"at_least": 2.0}}})
    assert "EC at least 2" in refusal(lambda: Campaign.new(path, nothing))
    assert not path.exists()
    Campaign.new(path, config_of(model))
    assert "something stands here already" in refusal(lambda: Campaign.new(path, config_of(model)))


def test_a_model_of_one_salt_is_kept_to_it(tmp_path: Path) -> None:
    campaign = Campaign.new(tmp_path / "c.db", config_of(saved_ensemble(tmp_path / "ensemble")))
    frame = pd.DataFrame({"solvent_1": ["EC"], "weight_fraction_1": [1.0], "salt": "", "molality_mol_kg": ""})
    assert "no salt came; a model of encoder: molsets takes one a mixture" in refusal(
        lambda: campaign.record(frame.assign(y=1.0, temperature_K=298.15))
    )
    given = campaign.suggest(2)
    campaign.record(pd.DataFrame({"proposal": given["proposal"], "y": [1.0, 2.0]}))
    assert campaign.status().measured == 2


def test_a_config_of_a_stranger_is_checked(begun: Campaign, tmp_path: Path) -> None:
    config = begun.head.config.replace('"seed":3', '"seed":-3')
    with sqlite3.connect(tmp_path / "c.db") as connection:
        connection.execute(
            "UPDATE campaign SET config = ?, config_sha256 = ?",
            (config, sha256(config.encode()).hexdigest()),
        )
    connection.close()
    assert refusal(lambda: Campaign.open(tmp_path / "c.db")) == (
        f"{tmp_path}/c.db: the file is damaged: campaign.config.seed: Input should be greater than or equal "
        "to 0. Restore it from a copy."
    )


def test_the_config_comes_back_as_it_was(begun: Campaign, tmp_path: Path) -> None:
    opened = Campaign.open(tmp_path / "c.db")
    assert opened.config == begun.config
    assert opened.head == begun.head
