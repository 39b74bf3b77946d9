"""The published tables without a header, and which number of them is which."""

from __future__ import annotations

from pathlib import Path

import pytest

from surrogates.datasets import dataset, load_table
from surrogates.errors import InputError
from surrogates.olympus_data import P3HT, load_olympus


def test_a_file_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("75.0,0.0,25.0,0.0,0.0,13.19\n30,0,70,0,0,15.5\n", encoding="utf-8")
    table = load_olympus(path, P3HT)
    assert table.names == P3HT[:-1]
    assert table.inputs[0].tolist() == [75, 0, 25, 0, 0]
    assert table.values.tolist() == [13.19, 15.5]
    assert table.whole == 100.0
    path.write_text("75.0,0.0,25.0,0.0,0.0,13.19\n30,0,70,0,15.5\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"data\.csv, row 2: 5 cells stand here, the header has 6"):
        load_olympus(path, P3HT)


@pytest.mark.parametrize(("name", "whole"), [("oer_plate", 1.0), ("p3ht", 100.0)])
def test_the_published_ones(name: str, whole: float, data_dir: Path) -> None:
    table = load_table(name, data_dir)
    assert len(table) == dataset(name).rows == table.same().max() + 1
    assert table.whole == pytest.approx(whole, rel=1e-3)


def test_the_plate_is_searched_for_the_lowest(data_dir: Path) -> None:
    table = load_table("oer_plate", data_dir)
    assert dataset("oer_plate").lowest
    assert (table.inputs > 0).sum(1).max() == 4
    assert table.values.min() == pytest.approx(0.340246)


def test_mixtures_are_no_table() -> None:
    with pytest.raises(InputError) as caught:
        load_table("molsets")
    assert str(caught.value) == (
        'data set "molsets": it holds ionic conductivity of polymer and liquid electrolytes with a lithium '
        "salt, 298 K, no table of numbers. Name one that does: oer_plate, p3ht."
    )
