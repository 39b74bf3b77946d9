"""What comparisons are played on: a user's files, data sets, emulators; failures and directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from campaigns import contests
from campaigns.compare import play
from campaigns.contests import Contest, choose_comparison, contest, ternary_of
from campaigns.oracles import Emulator
from campaigns.strategies import Name
from surrogates.errors import InputError
from tests.synthetic_arenas import CONSTRAINTS, SPACE, config_of, mixtures_of
from tests.synthetic_laws import small_law_ensemble

MIXTURES = """s1,w1,s2,w2,salt,m,T,kappa,failed,reason
EC,50,DMC,50,LiPF6,1,25,1.05,,
EC,30,DMC,70,LiPF6,1,25,1.20,,
DMC,50,EC,50,LiPF6,1,25,1.15,,
EC,90,DMC,10,LiPF6,1,25,,yes,it froze
EC,40,DMC,60,LiPF6,1,25,1.00,,
EC,40,DMC,60,LiPF6,1,25,,yes,a bubble
EC,20,DMC,80,LiPF6,1,25,0.90,,
EC,10,DMC,90,LiPF6,1,25,0.80,,
"""
COLUMNS = {"solvent_1": "s1", "weight_fraction_1": "w1", "solvent_2": "s2", "weight_fraction_2": "w2"}
COLUMNS |= {"molality_mol_kg": "m", "temperature_K": "T", "conductivity_mS_cm": "kappa"}
UNITS = {"weight_fraction_1": "percent", "weight_fraction_2": "percent"}
UNITS |= {"temperature_K": "degC", "conductivity_mS_cm": "S/m"}
MINE = {"file": "../mine.csv", "columns": COLUMNS, "units": UNITS, "target": "conductivity_mS_cm"}
TABLE = """Ni,Fe,Co,overpotential_V,failed
0.5,0.5,0,0.40,
0.3,0.3,0.4,0.35,
0.5,0.5,0,0.44,
1,0,0,,yes
0,1,0,0.50,
0,0,1,0.46,
0.2,0.2,0.6,0.38,
"""


def job_of(tmp_path: Path, **keys: object) -> Contest:
    """Return the contest of a job beside `mine.csv`."""
    words = {"strategies": ["greedy", "random"], "starts": 2, "rounds": 3, "batch": 1, "seeds": 2}
    job = tmp_path / "jobs" / "job.yaml"
    job.parent.mkdir(exist_ok=True)
    job.write_text(yaml.safe_dump({**words, **keys}), encoding="utf-8")
    return contest(choose_comparison(str(job)))


@pytest.fixture
def of_mixtures(tmp_path: Path) -> Contest:
    (tmp_path / "mine.csv").write_text(MIXTURES, encoding="utf-8")
    return job_of(tmp_path, replay=MINE, top_percent=20)


@pytest.fixture
def of_table(tmp_path: Path) -> Contest:
    (tmp_path / "mine.csv").write_text(TABLE, encoding="utf-8")
    table = {
        "file": "../mine.csv",
        "inputs": ["Ni", "Fe", "Co"],
        "target": "overpotential_V",
        "direction": "lowest",
    }
    return job_of(tmp_path, table=table, top_percent=20)


def test_a_user_s_mixtures_are_a_pool(of_mixtures: Contest) -> None:
    assert of_mixtures.truth.tolist() == pytest.approx([11.0, 12.0, np.nan, 10.0, 9.0, 8.0], nan_ok=True)
    assert of_mixtures.target.shown_name == "conductivity_mS_cm"
    assert of_mixtures.top.tolist() == [False, True, False, False, False, False]
    assert of_mixtures.oracle.measured([0, 2, 3, 3], 0).tolist() == pytest.approx(
        [10.5, np.nan, 10.0, np.nan], nan_ok=True
    )
    assert set(of_mixtures.hashes) == {"model_sha256", "file_sha256"}


@pytest.mark.parametrize("name", ["bayesian", "greedy", "trees", "random", "maximin"])
def test_what_always_fails_may_be_proposed_and_is_never_the_best(of_mixtures: Contest, name: Name) -> None:
    for seed in range(3):
        rows = play(of_mixtures, name, seed)
        places = [int(place) for cell in rows["places"] for place in cell.split()]
        assert len(set(places)) == 5
        worked = [place for place in places if place != 2]
        assert rows["best"].iloc[-1] == pytest.approx(of_mixtures.truth[worked].max())
        assert rows["regret"].iloc[-1] == pytest.approx(1 - of_mixtures.truth[worked].max() / 12.0)


def test_a_table_of_numbers_whose_lowest_is_the_best(of_table: Contest) -> None:
    truth = [0.42, 0.35, np.nan, 0.50, 0.46, 0.38]
    assert of_table.truth.tolist() == pytest.approx(truth, nan_ok=True)
    assert of_table.worth.tolist() == pytest.approx(truth, nan_ok=True)
    assert of_table.top.tolist() == [False, True, False, False, False, False]
    assert of_table.values([3], 0) == pytest.approx([-5.0])
    rows = play(of_table, "greedy", 0)
    assert (rows["best"].diff().dropna() <= 0).all()
    assert rows["regret"].iloc[-1] == pytest.approx((rows["best"].iloc[-1] - 0.35) / (0.42 - 0.35))


def test_shares_of_one_whole_stand_as_far_apart_as_they_are(of_table: Contest) -> None:
    told = (of_table.arena.inputs[3] - of_table.arena.inputs[4]).norm()
    assert float(told) == pytest.approx(2 * 2**0.5)


def test_a_column_of_formulas(tmp_path: Path) -> None:
    rows = [f"LiMn{10 - i}Ti{i + 1}O20,{100 + i * (7 - i)}" for i in range(8)]
    (tmp_path / "mine.csv").write_text("\n".join(["cathode,capacity_mAh_g", *rows]), encoding="utf-8")
    table = {"file": "../mine.csv", "formula": "cathode", "target": "capacity_mAh_g"}
    asked = job_of(tmp_path, table={**table, "direction": "highest"}, starts=3, batch=1)
    assert len(asked.arena) == 8
    assert asked.arena.descriptors.shape == (8, 2)  # Mn and Ti alone vary
    assert play(asked, "ucb", 0)["best"].iloc[-1] >= 110


def test_the_plate_by_its_name(data_dir: Path) -> None:
    asked = contest(choose_comparison("compare-oer"), data_dir)
    assert len(asked.arena) == 2121
    assert int(asked.top.sum()) == 106
    assert asked.worth[asked.top.numpy()].max() < np.median(asked.worth)


def test_a_changed_table_of_limits_is_another_comparison(tmp_path: Path) -> None:
    limits = tmp_path / "limits.csv"
    header = "solvent_1,weight_fraction_1,salt,molality_mol_kg,temperature_K\n"
    limits.write_text(f"{header}EC,1,LiPF6,1.0,298\n", encoding="utf-8")
    config = config_of(constraints={"solubility": {"use": "constraint", "table": str(limits)}})
    before = contest(config).hashes
    limits.write_text(f"{header}EC,1,LiPF6,1.2,298\n", encoding="utf-8")
    after = contest(config).hashes
    assert {key for key in before if before[key] != after[key]} == {str(limits)}


def test_a_column_in_small_units_counts(tmp_path: Path) -> None:
    thick = np.random.default_rng(0).permutation(np.linspace(50, 900, 40))
    lines = [f"{1e-9 * nm:.6g},{1e-9 * (nm % 7):.6g},{np.sin(nm / 200):.6g}" for nm in thick]
    (tmp_path / "mine.csv").write_text("\n".join(["thick_m,rough_m,y", *lines]), encoding="utf-8")
    table = {"file": "../mine.csv", "inputs": ["thick_m", "rough_m"], "target": "y"}
    asked = job_of(tmp_path, table=table, starts=3, rounds=5)
    assert asked.arena.inputs.std(0, correction=0)[-2:].tolist() == pytest.approx([1.0, 1.0], rel=1e-6)
    assert np.ptp(asked.arena.descriptors, axis=0).min() > 0.1
    for name in ("maximin", "greedy"):
        places = [int(place) for cell in play(asked, name, 0)["places"] for place in cell.split()]
        assert len(set(places)) == 8


def test_an_emulator_is_played_as_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_law_ensemble()
    monkeypatch.setattr(contests, "load_model", lambda directory: model)
    monkeypatch.setattr(contests, "model_hash", lambda directory: "0")
    config = config_of(truth={"emulator": "molsets-conductivity"})
    same = config_of(model="./diffmix-calisol/", truth={"emulator": "diffmix-calisol"})
    with pytest.raises(InputError) as caught:
        contest(same)
    assert str(caught.value) == (
        "diffmix-calisol: model, ./diffmix-calisol/, and truth.emulator are one; who knows the truth has "
        "nothing to find. Give another model, or model: null."
    )
    asked = contest(config)
    of = mixtures_of(asked.arena)
    assert asked.truth == pytest.approx(Emulator(model).expected(of.table, of.batch).numpy())
    assert asked.arena.prior_mean.abs().max() == 0
    drawn = [asked.values([1, 2, 3], seed) for seed in (0, 1)]
    assert drawn[0] != drawn[1]
    unknown = int((~model.bind(of.table).predict(of.batch.to(torch.float32)).in_domain).sum())
    told = f"{unknown:,} of {len(asked.arena):,} candidates lie beyond what the emulator was trained on"
    assert asked.notes == ((told,) if unknown else ())
    assert play(asked, "random", 0)["regret"].between(0, 1).all()
    pool = ternary_of(config)
    assert pool is not None
    assert pool.worth == pytest.approx(asked.worth)


def test_an_emulator_of_one_salt_takes_no_mixture_without() -> None:
    space = {**SPACE, "molality_mol_kg": [0.0, 1.0]}
    with pytest.raises(InputError) as caught:
        contest(config_of(space=space, constraints=None, truth={"emulator": "molsets-conductivity"}))
    assert str(caught.value) == (
        "emulator molsets-conductivity: some candidates have no salt; a model of encoder: molsets takes "
        "one salt a mixture. Remove the 0 from space.molality_mol_kg, or give a model trained with encoder: "
        "diffmix."
    )


def test_what_cannot_be_a_pool(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("a,y,failed\n1,,yes\n2,,yes\n", encoding="utf-8")
    table = {"file": "../mine.csv", "inputs": ["a"], "target": "y", "direction": "highest"}
    with pytest.raises(InputError) as caught:
        job_of(tmp_path, table=table)
    assert str(caught.value) == "table: all of its measurements failed. Give some that worked."
    (tmp_path / "mine.csv").write_text("a,y\n1,1\n2,3\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        job_of(tmp_path, table=table)
    assert (
        str(caught.value) == "table: 2 candidates were measured; starts and rounds measure 5. Measure fewer."
    )
    with pytest.raises(InputError) as caught:
        job_of(tmp_path, replay="oer_plat")
    assert str(caught.value) == (
        'data set "oer_plat": no data set is known by this name. Did you mean oer_plate?'
    )
    with pytest.raises(InputError) as caught:
        job_of(tmp_path, replay="diffmix-excess")
    assert str(caught.value) == (
        'data set "diffmix-excess": it holds excess molar enthalpies (631) and volumes (1,069) of binary '
        "mixtures, 293 to 343 K, no measurements that could be a pool. Name one that does: molsets, "
        "calisol23, diffmix, oer_plate, p3ht."
    )
    with pytest.raises(InputError) as caught:
        job_of(tmp_path, replay={"file": "../none.csv"})
    assert "the file cannot be read (No such file or directory)" in str(caught.value)


def test_starts_that_are_no_whole(tmp_path: Path) -> None:
    start = {"weight_fractions": {"EC": 0.3, "DMC": 0.6}, "salt": "LiPF6", "molality_mol_kg": 1.0}
    with pytest.raises(InputError) as caught:
        job_of(tmp_path, space=SPACE, constraints=CONSTRAINTS, model=None, starts=[start])
    assert str(caught.value) == (
        'job.yaml, key "starts[item 1]": weight_fractions sum to 0.9; 1 was expected, to within 1e-06. '
        "Correct the values."
    )
