"""What a laboratory brings back: read by number and by composition, and refused with all that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from campaigns.campaign_history import History, Result
from campaigns.campaign_results import Reading, read_results, repeated, text_of_frame
from campaigns.mixture_family import MixtureReader
from surrogates.errors import InputError
from surrogates.text_tables import read_text
from tests.small_campaigns import DEC, TARGET, mixture, result, small_store

READING = Reading(MixtureReader(TARGET, False), {}, {})
MIXTURE = "solvent_1,weight_fraction_1,solvent_2,weight_fraction_2,salt,molality_mol_kg,temperature_K"


@pytest.fixture
def known(tmp_path: Path) -> History:
    """Proposals of 0.3, 0.4 and 0.5 EC; the first measured, and a mixture that nobody proposed."""
    store = small_store(tmp_path / "c.db", 0.3, 0.4, 0.5)
    store.record(lambda known: [result(0.3, -2.0, proposal=1), result(0.8, -2.5)])
    return store.history()


def read(tmp_path: Path, known: History, *lines: str, reading: Reading = READING) -> list[Result]:
    path = tmp_path / "results.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_results(read_text(path), reading, known)


def refusal(tmp_path: Path, known: History, *lines: str, reading: Reading = READING) -> list[str]:
    with pytest.raises(InputError) as error:
        read(tmp_path, known, *lines, reading=reading)
    return str(error.value).splitlines()


def test_by_number(tmp_path: Path, known: History) -> None:
    rows = read(tmp_path, known, f"proposal,{TARGET},operator", "2,-1.75,me", "3,-1.5,me", "2,-1.7,you")

    assert [(one.proposal, one.values.get(TARGET)) for one in rows] == [(2, -1.75), (3, -1.5), (2, -1.7)]
    assert [one.candidate for one in rows] == [mixture(0.4), mixture(0.5), mixture(0.4)]
    assert [(one.source, one.source_row) for one in rows] == [("results.csv", row) for row in (2, 3, 4)]
    assert len({one.source_sha256 for one in rows}) == 1


def test_by_composition(tmp_path: Path, known: History) -> None:
    rows = read(
        tmp_path,
        known,
        f"{MIXTURE},conductivity_mS_cm",
        "DMC,0.6,EC,0.4,LiPF6,1,298.15,10",
        "EC,0.40004,DMC,0.59996,LiPF6,1,298.15,10",  # rounded
        "EC,0.41,DMC,0.59,LiPF6,1,298.15,10",  # nobody proposed it
        "EC,0.4,DEC,0.6,LiPF6,1,298.15,10",
        "EC,0.4,DMC,0.6,,,298.15,0.01",
    )
    assert [one.proposal for one in rows] == [2, 2, None, None, None]
    assert [one.candidate for one in rows[:2]] == [mixture(0.4)] * 2
    assert rows[3].candidate.is_same(mixture(0.4, second=DEC))
    assert rows[4].candidate.salts == ()
    assert [one.values.get(TARGET) for one in rows] == pytest.approx([-2, -2, -2, -2, -5])


def test_what_was_made_for_a_proposal_counts_as_it_was_made(tmp_path: Path, known: History) -> None:
    header = f"proposal,{MIXTURE},{TARGET}"
    rows = read(
        tmp_path,
        known,
        header,
        "2,EC,0.39,DMC,0.61,LiPF6,1.03,299.15,-2",
        "2,EC,0.400004,DMC,0.599996,LiPF6,1,298.15,-2",
        "3,,,,,,,,-2",
    )
    assert [one.proposal for one in rows] == [2, 2, 3]
    assert rows[0].candidate.is_same(mixture(0.39, 1.03, 299.15))
    assert [one.candidate for one in rows[1:]] == [mixture(0.4), mixture(0.5)]
    assert refusal(tmp_path, known, header, "2,EC,0.5,DMC,0.5,LiPF6,1,298.15,-2") == [
        'results.csv, row 2, column "proposal": proposal 2 is EC 0.4 + DMC 0.6, 1 mol/kg LiPF6, 298.15 K; EC '
        "0.5 + DMC 0.5, 1 mol/kg LiPF6, 298.15 K came. Correct the number, or clear it if another mixture "
        "was made."
    ]


def test_failures_are_remembered_with_their_reason(tmp_path: Path, known: History) -> None:
    lines = ("proposal,status,reason,conductivity_mS_cm", "2,Failed,the salt came out,", "3,failed,,")
    rows = read(tmp_path, known, *lines, "1,measured,a note,10", "1,,,10")

    assert [one.outcome for one in rows] == ["failed", "failed", "measured", "measured"]
    assert [one.values.get(TARGET) for one in rows[:2]] == [None, None]
    assert [one.reason for one in rows] == ["the salt came out", "no reason given", "a note", ""]
    all_failed = read(tmp_path, known, "proposal,status", "2,failed")  # without a column to measure
    assert [one.outcome for one in all_failed] == ["failed"]


def test_failures_as_an_oracle_says_them(known: History) -> None:
    frame = pd.DataFrame({"proposal": [2, 3], TARGET: [-2.0, float("nan")], "failed": [False, True]})
    rows = read_results(text_of_frame(frame.assign(reason=["", "leak"])), READING, known)

    assert [(one.outcome, one.reason) for one in rows] == [("measured", ""), ("failed", "leak")]
    assert [(one.source, one.source_row, one.source_sha256) for one in rows] == [
        ("results", 2, ""),
        ("results", 3, ""),
    ]


def test_corrections(tmp_path: Path, known: History) -> None:
    header = f"corrects,{TARGET},status,reason,{MIXTURE}"
    rows = read(
        tmp_path,
        known,
        header,
        "1,-2.25,,cell constant,,,,,,,",
        "2,,withdrawn,of another campaign,,,,,,,",
    )
    assert [(one.corrects, one.proposal, one.values.get(TARGET)) for one in rows] == [
        (1, 1, -2.25),
        (2, None, None),
    ]
    assert [one.candidate for one in rows] == [mixture(0.3), mixture(0.8)]
    assert [(one.outcome, one.reason) for one in rows] == [
        ("measured", "cell constant"),
        ("withdrawn", "of another campaign"),
    ]
    (weighed,) = read(tmp_path, known, header, "1,-2.0,,weighed again,EC,0.31,DMC,0.69,LiPF6,1,298.15")
    assert weighed.proposal == 1
    assert weighed.candidate.is_same(mixture(0.31))
    (another,) = read(tmp_path, known, header, "1,-2.0,,labels mixed up,EC,0.4,DMC,0.6,LiPF6,1,298.15")
    assert (another.proposal, another.corrects, another.candidate) == (2, 1, mixture(0.4))
    (elsewhere,) = read(tmp_path, known, header, "1,-2.0,,labels mixed up,EC,0.7,DMC,0.3,LiPF6,1,298.15")
    assert elsewhere.proposal is None


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, known: History) -> None:
    assert refusal(
        tmp_path,
        known,
        f"proposal,corrects,status,{TARGET},{MIXTURE}",
        "4,,,-2,,,,,,,",
        "1.5,,,-2,,,,,,,",
        ",,,-2,,,,,,,",
        "2,,lost,-2,,,,,,,",
        "2,,failed,-2,,,,,,,",
        "2,,,,,,,,,,",
        "2,,,ten,,,,,,,",
        "2,,withdrawn,,,,,,,,",
        ",9,,-2,,,,,,,",
        ",1,,-2,,,,,,,",
        ",1,,-3,,,,,,,",
        ",,,-2,EC,0.4,nonsense,0.6,LiPF6,1,298.15",
    ) == [
        'results.csv, row 2, column "proposal": "4" came; the campaign has proposals 1 to 3. Correct the '
        "number, or clear the cell.",
        'results.csv, row 3, column "proposal": "1.5" came; the campaign has proposals 1 to 3. Correct the '
        "number, or clear the cell.",
        "results.csv, row 4: neither a mixture, nor the number of a proposal or of what it corrects, came. "
        "Give one of them.",
        'results.csv, row 5, column "status": "lost" came; measured, failed, withdrawn or nothing was '
        "expected. Correct the cell.",
        'results.csv, row 6, column "log10_conductivity_S_cm": "-2" came; no value was expected in a row '
        "that is not measured. Clear the cell, or write measured as its status.",
        'results.csv, row 7, column "log10_conductivity_S_cm": the cell is empty; expected a number between '
        "-1e15 and 1e15. Fill it in.",
        'results.csv, row 8, column "log10_conductivity_S_cm": "ten" is not a finite number; expected a '
        "number between -1e15 and 1e15. Write a plain number with a decimal point.",
        'results.csv, row 9, column "status": "withdrawn" came; only what was recorded before can be '
        "withdrawn. Give the number of the measurement in corrects, or write failed.",
        'results.csv, row 10, column "corrects": "9" came; the campaign has measurements 1 to 2. Correct the '
        "number, or clear the cell.",
        'results.csv, row 12, column "corrects": 1 came, which row 11 corrects already. Keep one of the '
        "rows.",
        'results.csv, row 13, column "solvent_2": "nonsense" is neither a known name nor a SMILES that RDKit '
        "can read. Give its SMILES; the known names stand in surrogates/chemicals.csv.",
    ]


def test_a_row_that_was_corrected_is_not_corrected_again(tmp_path: Path) -> None:
    store = small_store(tmp_path / "c.db")
    store.record(lambda known: [result()])
    store.record(lambda known: [result(corrects=1)])
    assert refusal(tmp_path, store.history(), f"corrects,{TARGET}", "1,-2") == [
        'results.csv, row 2, column "corrects": 1 came, which measurement 2 has corrected already. Correct '
        "measurement 2."
    ]


def test_a_campaign_without_proposals(tmp_path: Path) -> None:
    assert refusal(tmp_path, History((), ()), f"proposal,{TARGET}", "1,-2")[0] == (
        'results.csv, row 2, column "proposal": "1" came; the campaign has no proposals yet. Correct the '
        "number, or clear the cell."
    )


def test_a_file_is_recorded_once(tmp_path: Path) -> None:
    store = small_store(tmp_path / "c.db", 0.3)
    lines = (f"proposal,{TARGET}", "1,-2")
    store.record(lambda known: read(tmp_path, known, *lines))
    assert refusal(tmp_path, store.history(), *lines) == [
        "results.csv: this file was recorded before, as measurements 1 to 1. Give a file with the new rows "
        "alone, or withdraw those first."
    ]
    longer = read(tmp_path, store.history(), *lines, "1,-2.125")
    assert repeated(longer, store.history()) == [2]


def test_columns_and_units_of_the_file(tmp_path: Path, known: History) -> None:
    reading = Reading(
        MixtureReader(TARGET, False),
        {"temperature_K": "T", "conductivity_mS_cm": "kappa"},
        {"temperature_K": "degC", "conductivity_mS_cm": "S/m"},
    )
    header = "proposal," + MIXTURE.replace("temperature_K", "T") + ",kappa"
    lines = (header, ",EC,0.4,DMC,0.6,LiPF6,1,25,1", "3,,,,,,,,1")
    rows = read(tmp_path, known, *lines, reading=reading)

    assert [one.proposal for one in rows] == [2, 3]
    assert [one.values.get(TARGET) for one in rows] == pytest.approx([-2, -2])
    assert refusal(tmp_path, known, header, "3,,,,,,,,hot", reading=reading) == [
        'results.csv, row 2, column "kappa": "hot" is not a finite number; expected a conductivity above 0. '
        "Write a plain number with a decimal point."
    ]


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (
            ("proposal,yield", "2,7"),
            f'results.csv: column "{TARGET}" is missing. Add it or one that converts to it '
            "(conductivity_S_cm, conductivity_mS_cm, log10_conductivity_mS_cm), or map a header to one of "
            "them in columns.",
        ),
        (
            (f"proposal,status,failed,{TARGET}", "2,,no,-2"),
            'results.csv: columns "status" and "failed" both say what failed. Remove one of them.',
        ),
        (
            (f"proposal,failed,{TARGET}", "2,perhaps,-2"),
            'results.csv, row 2, column "failed": "perhaps" came; yes, no or nothing was expected. Correct '
            "the cell.",
        ),
    ],
)
def test_headers_that_cannot_be_used(
    tmp_path: Path, known: History, lines: tuple[str, ...], wrong: str
) -> None:
    assert refusal(tmp_path, known, *lines) == [wrong]


def test_a_model_of_one_salt_takes_one(tmp_path: Path, known: History) -> None:
    lines = (f"{MIXTURE},{TARGET}", "EC,0.4,DMC,0.6,,,298.15,-2")
    assert refusal(tmp_path, known, *lines, reading=Reading(MixtureReader(TARGET, True), {}, {})) == [
        "results.csv, row 2: no salt came; a model of encoder: molsets takes one a mixture. Give a model "
        "trained with encoder: diffmix, or remove the row."
    ]


@pytest.mark.parametrize(
    ("frame", "wrong"),
    [
        (pd.DataFrame({"proposal": []}), "results: there are no rows. Give a row for each measurement."),
        (
            pd.DataFrame([[1, 2]], columns=["proposal", "proposal"]),
            'results: several columns are named "proposal". Rename or remove all but one.',
        ),
    ],
)
def test_frames_that_cannot_be_used(frame: Any, wrong: str) -> None:
    with pytest.raises(InputError) as error:
        text_of_frame(frame)
    assert str(error.value) == wrong
