"""A table of numbers that answers with its measurements, and says so where it holds none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from campaigns.oracles import Oracle
from campaigns.table_replay import TableReplay
from surrogates.errors import InputError

TEXT = """Ni,Fe,T_C,overpotential_V,failed,reason
0.5,0.5,25,0.40,no,
0.3,0.7,25,0.35,,
0.5,0.5,25,,yes,the film came off
0.5,0.5,60,,1,
"""


@pytest.fixture
def replay(tmp_path: Path) -> TableReplay:
    (tmp_path / "plate.csv").write_text(TEXT, encoding="utf-8")
    return TableReplay.of_file(tmp_path / "plate.csv", ["Ni", "Fe", "T_C"], "overpotential_V")


def test_it_answers_with_its_measurements(replay: TableReplay) -> None:
    oracle: Oracle = replay
    came = oracle.measure(replay.pool.assign(note="kept"))
    assert oracle.target == "overpotential_V"
    assert came["overpotential_V"].tolist() == pytest.approx([0.40, 0.35, np.nan], nan_ok=True)
    assert came["failed"].tolist() == [False, False, True]
    assert came["reason"].tolist() == ["", "", "no reason given"]
    assert came["note"].tolist() == ["kept"] * 3


def test_asked_again_it_gives_the_next(replay: TableReplay) -> None:
    twice = replay.measure(replay.pool.iloc[[0, 0]])
    assert twice["overpotential_V"].tolist() == pytest.approx([0.40, np.nan], nan_ok=True)
    assert twice["reason"].tolist() == ["", "the film came off"]
    again = replay.measure(replay.pool.iloc[[0]].assign(repeat=1))
    assert again["failed"].tolist() == [True]


def test_failures_break_no_mean(replay: TableReplay) -> None:
    assert replay.means.tolist() == pytest.approx([0.40, 0.35, np.nan], nan_ok=True)
    assert replay.rows == ((0, 2), (1,), (3,))
    assert replay.first == [0, 1, 3]


def test_what_is_not_in_it_is_named(replay: TableReplay) -> None:
    asked = pd.DataFrame({"Ni": [0.3, 0.31, 0.3], "Fe": [0.7, 0.69, 0.7], "T_C": [25, 25, 25]})
    with pytest.raises(InputError) as caught:
        replay.measure(asked)
    mend = "Ask for what was measured, or add the measurement."
    assert str(caught.value).splitlines() == [
        f"candidates, row 3: plate.csv holds no measurement with these inputs. {mend}",
        "candidates, row 4: plate.csv holds these inputs once; measurement 2 of them was asked for. " + mend,
    ]


def test_what_cannot_be_asked(replay: TableReplay) -> None:
    with pytest.raises(InputError) as caught:
        replay.measure(pd.DataFrame({"Ni": [0.3], "Fe": [0.7], "failed": [False]}))
    assert str(caught.value).splitlines() == [
        'candidates: column "T_C" is missing. Add it; plate.csv has it.',
        'candidates: its column "failed" is one that a measurement adds. Rename or remove it.',
    ]
    with pytest.raises(InputError) as caught:
        replay.measure(pd.DataFrame({"Ni": [0.3], "Fe": ["much"], "T_C": [25]}))
    assert str(caught.value) == (
        'candidates, row 2, column "Fe": "much" came; a number was expected. Correct the cell.'
    )
    with pytest.raises(InputError, match="there are no rows"):
        replay.measure(replay.pool.iloc[:0])
