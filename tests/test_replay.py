from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from campaigns.oracles import Oracle
from campaigns.replay import Person, Replay
from surrogates.errors import InputError

TARGET = "conductivity_mS_cm"
HEADER = "solvent_1,weight_fraction_1,solvent_2,weight_fraction_2,salt,molality_mol_kg,temperature_K"
MEASURED = f"""{HEADER},{TARGET}
EC,0.3,DMC,0.7,LiPF6,1,298.15,11.5
EC,0.5,DMC,0.5,LiPF6,1,298.15,10.5
DMC,0.7,EC,0.3,LiPF6,1,298.15,11.9
EC,0.5,DMC,0.5,LiPF6,1,273.15,6.5
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def ask(*fractions: float, **changes: object) -> pd.DataFrame:
    plain = {
        "solvent_1": "EC",
        "weight_fraction_1": fractions,
        "solvent_2": "DMC",
        "weight_fraction_2": [1 - fraction for fraction in fractions],
        "salt": "LiPF6",
        "molality_mol_kg": 1.0,
        "temperature_K": 298.15,
    }
    return pd.DataFrame({**plain, **changes})


def test_a_pool_answers_with_its_measurements(tmp_path: Path) -> None:
    replay: Oracle = Replay.of_file(write(tmp_path / "pool.csv", MEASURED), TARGET)
    came = replay.measure(ask(0.5, 0.3, note="kept"))

    assert replay.target == TARGET
    assert came[TARGET].tolist() == [10.5, 11.5]
    assert came["failed"].tolist() == [False, False]
    assert came["reason"].tolist() == ["", ""]
    assert came["note"].tolist() == ["kept", "kept"]


def test_asked_again_it_gives_the_next_measurement(tmp_path: Path) -> None:
    replay = Replay.of_file(write(tmp_path / "pool.csv", MEASURED), TARGET)

    assert replay.measure(ask(0.3, 0.3))[TARGET].tolist() == [11.5, 11.9]
    assert replay.measure(ask(0.3, repeat=1))[TARGET].tolist() == [11.9]


def test_its_candidates_are_its_distinct_mixtures(tmp_path: Path) -> None:
    replay = Replay.of_file(write(tmp_path / "pool.csv", MEASURED), TARGET)

    assert replay.pool["temperature_K"].tolist() == [298.15, 298.15, 273.15]
    assert replay.means.tolist() == pytest.approx([11.7, 10.5, 6.5])
    assert replay.measure(replay.pool)[TARGET].tolist() == [11.5, 10.5, 6.5]


def test_amounts_need_not_agree_to_the_last_digit(tmp_path: Path) -> None:
    replay = Replay.of_file(write(tmp_path / "pool.csv", MEASURED), TARGET)
    near = ask(0.30005, 0.49995, molality_mol_kg=np.float32(1.00001), temperature_K=298.159)

    assert replay.measure(near)[TARGET].tolist() == [11.5, 10.5]


def test_what_is_not_in_the_pool_is_named(tmp_path: Path) -> None:
    replay = Replay.of_file(write(tmp_path / "pool.csv", MEASURED), TARGET)
    strange = ask(0.5, 0.3, 0.3, 0.3, 0.5, 0.3002, 0.5)
    strange.loc[4, "solvent_2"] = "DEC"
    strange.loc[6, "temperature_K"] = 298.17

    with pytest.raises(InputError) as error:
        replay.measure(strange)
    none = "pool.csv holds no measurement of this mixture at this temperature. Ask for what was measured, or "
    assert str(error.value) == (
        "candidates, row 5: pool.csv holds this mixture 2 times; measurement 3 of it was asked for. Ask for "
        "what was measured, or add the measurement.\n"
        f"candidates, row 6: {none}add the measurement.\n"
        f"candidates, row 7: {none}add the measurement.\n"
        f"candidates, row 8: {none}add the measurement."
    )
    with pytest.raises(InputError) as error:
        replay.measure(ask(0.5, repeat=1))
    assert str(error.value) == (
        "candidates, row 2: pool.csv holds this mixture once; measurement 2 of it was asked for. Ask for "
        "what was measured, or add the measurement."
    )


def test_a_file_may_hold_experiments_that_failed(tmp_path: Path) -> None:
    text = f"""{HEADER},kappa,failed,reason
EC,0.3,DMC,0.7,LiPF6,1,25,1.15,no,
EC,0.5,DMC,0.5,LiPF6,1,25,,Yes,the salt came out
EC,0.4,DMC,0.6,LiPF6,1,25,,1,
"""
    replay = Replay.of_file(
        write(tmp_path / "pool.csv", text),
        TARGET,
        columns={TARGET: "kappa"},
        units={TARGET: "S/m", "temperature_K": "degC"},
    )
    came = replay.measure(ask(0.3, 0.5, 0.4))

    assert came[TARGET].tolist() == pytest.approx([11.5, np.nan, np.nan], nan_ok=True)
    assert came["failed"].tolist() == [False, True, True]
    assert came["reason"].tolist() == ["", "the salt came out", "no reason given"]
    assert replay.means.tolist() == pytest.approx([11.5, np.nan, np.nan], nan_ok=True)


def test_all_may_have_failed(tmp_path: Path) -> None:
    text = f"{HEADER},failed\nEC,0.3,DMC,0.7,LiPF6,1,298.15,true\n"
    replay = Replay.of_file(write(tmp_path / "pool.csv", text), TARGET)

    assert replay.measure(ask(0.3))["failed"].tolist() == [True]


def test_all_that_is_wrong_with_a_file_is_told_at_once(tmp_path: Path) -> None:
    text = f"""{HEADER},{TARGET},failed
EC,0.3,DMC,0.8,LiPF6,1,298.15,1.15,
EC,0.5,DMC,0.5,LiPF6,1,298.15,,no
EC,0.5,nonsense,0.5,LiPF6,1,298.15,,yes
"""
    with pytest.raises(InputError) as error:
        Replay.of_file(write(tmp_path / "pool.csv", text), TARGET)
    assert str(error.value) == (
        'pool.csv, row 2, columns "weight_fraction_1", "weight_fraction_2": 0.3, 0.8 sum to 1.1, expected 1 '
        "within 0.001 among the solvents. Divide them by their sum or correct the row.\n"
        'pool.csv, row 3, column "conductivity_mS_cm": the cell is empty; expected a conductivity above 0. '
        "Fill it in.\n"
        'pool.csv, row 4, column "solvent_2": "nonsense" is neither a known name nor a SMILES that RDKit can '
        "read. Give its SMILES; the known names stand in surrogates/chemicals.csv."
    )


def test_failed_or_not_must_be_said_plainly(tmp_path: Path) -> None:
    text = f"{HEADER},{TARGET},failed\nEC,0.3,DMC,0.7,LiPF6,1,298.15,1.15,perhaps\n"

    with pytest.raises(InputError) as error:
        Replay.of_file(write(tmp_path / "pool.csv", text), TARGET)
    assert str(error.value) == (
        'pool.csv, row 2, column "failed": "perhaps" came; yes, no or nothing was expected. Correct the cell.'
    )


@pytest.mark.parametrize(("name", "rows", "mixtures"), [("molsets", 1076, 1060), ("calisol23", 13266, 13216)])
def test_public_data_are_pools(data_dir: Path, name: str, rows: int, mixtures: int) -> None:
    replay = Replay.of_dataset(name, data_dir)
    drawn = np.random.default_rng(0).choice(mixtures, 100, replace=False)
    came = replay.measure(replay.pool.iloc[drawn])

    assert (len(replay.batch), len(replay.pool), len(replay.means)) == (rows, mixtures, mixtures)
    once = np.isclose(came[replay.target], replay.means[drawn], rtol=1e-12)
    assert once.mean() > 0.95  # the others were measured more than once


def test_a_person_is_asked_and_answers(tmp_path: Path) -> None:
    person: Oracle = Person(TARGET, tmp_path / "proposals.csv", tmp_path / "measured.csv")
    proposals = ask(0.3, 0.5, note="of round 1")
    waiting = (
        f"{tmp_path}/measured.csv: there is no such file yet, and {tmp_path}/proposals.csv holds 2 proposals "
        'to measure. Save them under this name with a column "conductivity_mS_cm", filled, and go on.'
    )

    for _ in range(2):
        with pytest.raises(InputError) as error:
            person.measure(proposals)
        assert str(error.value) == waiting
    filled = pd.read_csv(tmp_path / "proposals.csv")
    pd.testing.assert_frame_equal(filled, proposals)

    filled.iloc[:1].assign(**{TARGET: 11.5}).to_csv(tmp_path / "measured.csv", index=False)
    with pytest.raises(InputError) as error:
        person.measure(proposals)
    assert str(error.value) == (
        "candidates, row 3: measured.csv holds no measurement of this mixture at this temperature. Ask for "
        "what was measured, or add the measurement."
    )

    answers = filled.iloc[::-1].assign(
        **{TARGET: [None, 11.5], "failed": ["yes", ""], "reason": ["leak", ""]}
    )
    answers.to_csv(tmp_path / "measured.csv", index=False)
    came = person.measure(proposals)
    assert came[TARGET].tolist() == pytest.approx([11.5, np.nan], nan_ok=True)
    assert came["failed"].tolist() == [False, True]
    assert came["reason"].tolist() == ["", "leak"]
    assert came["note"].tolist() == ["of round 1"] * 2


def test_a_second_round_goes_on_in_the_same_files(tmp_path: Path) -> None:
    person = Person(TARGET, tmp_path / "proposals.csv", write(tmp_path / "measured.csv", MEASURED))

    assert person.measure(ask(0.3))[TARGET].tolist() == [11.5]
    assert person.measure(ask(0.5))[TARGET].tolist() == [10.5]
    assert pd.read_csv(tmp_path / "proposals.csv")["weight_fraction_1"].tolist() == [0.5]


def test_proposals_that_wait_are_not_overwritten(tmp_path: Path) -> None:
    person = Person(TARGET, tmp_path / "proposals.csv", write(tmp_path / "measured.csv", MEASURED))
    with pytest.raises(InputError):
        person.measure(ask(0.5, 0.6))
    before = (tmp_path / "proposals.csv").read_bytes()

    with pytest.raises(InputError) as error:
        person.measure(ask(0.3))
    assert str(error.value) == (
        f"{tmp_path}/proposals.csv: it holds other proposals, 1 of 2 not in measured.csv. Measure them, or "
        "move the file away."
    )
    assert (tmp_path / "proposals.csv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["measured.csv", "proposals.csv"]


def test_proposals_that_cannot_be_written(tmp_path: Path) -> None:
    person = Person(TARGET, tmp_path / "nowhere" / "proposals.csv", tmp_path / "measured.csv")

    with pytest.raises(InputError) as error:
        person.measure(ask(0.3))
    assert str(error.value) == (
        f"{tmp_path}/nowhere/proposals.csv: the proposals cannot be written here: No such file or directory. "
        "Give another path."
    )
