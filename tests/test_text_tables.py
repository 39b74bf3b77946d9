"""Files of strangers as text, and every way they cannot be read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from surrogates.errors import InputError, Problem
from surrogates.text_tables import Findings, TextTable, read_text, read_usable, rename


def _refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_text(path)
    return str(caught.value)


def _file(tmp_path: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_cells_stay_as_written_under_their_spreadsheet_rows(tmp_path: Path) -> None:
    table = read_text(_file(tmp_path, '\ufeffa,b\r\n 1.50 ,"x, y"\r\n,\r\nNA,"line\nbreak"\r\n\r\n'))
    assert table.cells.to_dict("index") == {2: {"a": "1.50", "b": "x, y"}, 4: {"a": "NA", "b": "line\nbreak"}}
    assert table.empty_rows == 2


def test_a_published_file_without_a_header_is_given_one(tmp_path: Path) -> None:
    table = read_text(_file(tmp_path, "0.5,0.5\n\n1,2\n"), names=("a", "b"))
    assert table.cells.to_dict("index") == {1: {"a": "0.5", "b": "0.5"}, 3: {"a": "1", "b": "2"}}


def test_parquet_gives_the_same_cells_as_csv(tmp_path: Path) -> None:
    frame = pd.DataFrame({"salt": ["LiPF6", None], "m": [0.1, 298.15], "n": [1, 2]})
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv", index=False)
    pd.testing.assert_frame_equal(
        read_text(tmp_path / "a.parquet").cells, read_text(tmp_path / "a.csv").cells
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a.csv: the file is empty. Give it a header and rows."),
        ("a,b\n", "a.csv: there are no rows below the header. Add a row for each mixture or measurement."),
        ("a,b\n,\n", "a.csv: there are no rows below the header. Add a row for each mixture or measurement."),
        (b"a\n1\n\xe9\n", "a.csv, line 3: this is not UTF-8 text. Save the file as CSV (UTF-8)."),
        (
            'a\n"x',
            "a.csv: this is not CSV: unexpected end of data. Close every quote and save the file as CSV.",
        ),
        ("a,b,a\n1,2,3\n", 'a.csv: 2 columns are named "a". Rename or remove all but one.'),
        (
            "a;b\n1,5;2\n",
            "a.csv: semicolons stand between the cells; commas were expected. "
            "Save the file with commas between cells and points in numbers.",
        ),
        (
            "a\tb\n1\t2\n",
            "a.csv: tabs stand between the cells; commas were expected. "
            "Save the file with commas between cells and points in numbers.",
        ),
        ("a,,\n1,2,3\n", "a.csv: 2 columns have no name. Name or remove them."),
        (
            "a,b\n1\n1,2\n1,2,3\n",
            "a.csv, row 2: 1 cells stand here, the header has 2. "
            "Quote cells that hold a comma, or complete the row.\n"
            "a.csv, row 4: 3 cells stand here, the header has 2. "
            "Quote cells that hold a comma, or complete the row.",
        ),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert _refusal(_file(tmp_path, content)) == message


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    assert _refusal(tmp_path / "b.csv") == (
        f"{tmp_path}/b.csv: the file cannot be read (No such file or directory). Check its path."
    )
    assert _refusal(tmp_path) == f"{tmp_path}: the file cannot be read (Is a directory). Check its path."
    assert _refusal(tmp_path / "a\0b") == (
        f"{tmp_path}/a\0b: the file cannot be read (embedded null byte). Check its path."
    )


def test_a_file_that_only_claims_to_be_parquet_is_refused(tmp_path: Path) -> None:
    message = _refusal(_file(tmp_path, "a,b\n1,2\n", "a.parquet"))
    assert message.startswith("a.parquet: this is not Parquet: ")
    assert message.endswith("Write the file anew.")


def test_a_parquet_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "a.parquet")
    assert _refusal(tmp_path / "a.parquet") == (
        'a.parquet: 2 columns are named "a". Rename or remove all but one.'
    )


def test_parquet_columns_of_lists_and_bytes_are_text_that_is_no_number(tmp_path: Path) -> None:
    columns = {"a": [[1.0], None, [2.0]], "b": [b"\xff", b" x", None], "c": [{"d": 1}, None, None]}
    pd.DataFrame(columns | {"e": [1, 2, 3]}).to_parquet(tmp_path / "a.parquet")
    assert read_text(tmp_path / "a.parquet").cells.to_dict("list") == {
        "a": ["[1.0]", "", "[2.0]"],
        "b": ["b'\\xff'", "b' x'", ""],
        "c": ["{'d': 1}", "", ""],
        "e": ["1", "2", "3"],
    }


def test_mapped_headers_are_renamed_and_messages_keep_the_files_words(tmp_path: Path) -> None:
    table = read_text(_file(tmp_path, "Salz,b\nx,1\n"))
    found = Findings(table.file, {"salt": "Salz"})
    cells = rename(table, found.headers, lambda name: name == "salt", found)
    assert list(cells) == ["salt", "b"]
    found.row(2, ["salt", "b"], "they disagree", "Mend it.")
    with pytest.raises(InputError, match=r'^a\.csv, row 2, columns "Salz", "b": they disagree\. Mend it\.$'):
        found.stop()


def test_a_wrong_mapping_is_refused_with_all_that_is_wrong(tmp_path: Path) -> None:
    table = read_text(_file(tmp_path, "Salz,b\nx,1\n"))
    found = Findings(table.file)
    rename(table, {"slat": "Salz", "salt": "Saltz", "b": "Salz"}, lambda name: name in ("salt", "b"), found)
    with pytest.raises(InputError) as caught:
        found.stop()
    assert str(caught.value).splitlines() == [
        'a.csv: columns maps "slat", which is no column here. Correct the key in columns.',
        'a.csv: columns maps "salt" to "Saltz", which is not in the file. '
        'Did you mean "Salz"? Its columns are Salz, b.',
        'a.csv: columns maps "b" to "Salz", but the file has a column "b" too. Remove one of the two.',
    ]


def test_problems_come_in_the_order_of_rows() -> None:
    found = Findings("a.csv")
    found.row(9, ["b"], "second", "Mend.")
    found.row(3, ["a"], "first", "Mend.")
    with pytest.raises(InputError) as caught:
        found.stop()
    assert [problem.wrong for problem in caught.value.problems] == ["first", "second"]


RAGGED = (
    "a.csv, row {}: {} cells stand here, the header has 2. "
    "Quote cells that hold a comma, or complete the row."
)


def _even(table: TextTable) -> list[str]:
    """Return the column `a`, in which only even numbers are good."""
    found = Findings(table.file)
    bad = (table.cells["a"].astype(int) % 2 == 1).to_numpy()
    found.cells(table.cells["a"], bad, lambda text: f"{text} is odd", "Double it.")
    found.stop()
    return table.cells["a"].tolist()


def test_bad_rows_are_left_out_with_what_is_wrong_with_them(tmp_path: Path) -> None:
    table = read_text(_file(tmp_path, "a,b\n2,x\n1,y\n\n4\n6,z\n8,u,v\n"), skip_bad=True)
    read, left = read_usable(table, _even, skip_bad=True)
    assert read == ["2", "6"]
    assert left.cells.index.tolist() == [2, 6]
    assert [(bad.row, bad.cells, [str(p) for p in bad.problems]) for bad in left.bad_rows] == [
        (3, ("1", "y"), ['a.csv, row 3, column "a": 1 is odd. Double it.']),
        (5, ("4",), [RAGGED.format(5, 1)]),
        (7, ("8", "u", "v"), [RAGGED.format(7, 3)]),
    ]
    assert left.report() == "2 rows read, 3 dropped; 1 empty rows passed over"


def test_bad_rows_are_refused_unless_they_may_be_left_out(tmp_path: Path) -> None:
    table = read_text(_file(tmp_path, "a,b\n2,x\n1,y\n3,z\n"))
    with pytest.raises(InputError) as caught:
        read_usable(table, _even, skip_bad=False)
    assert [problem.row for problem in caught.value.problems] == [3, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1\n1,2,3\n", f"{RAGGED.format(2, 1)}\n{RAGGED.format(3, 3)}"),
        ("a,b,b\n1\n1,2,3\n", 'a.csv: 2 columns are named "b". Rename or remove all but one.'),
    ],
)
def test_headers_and_files_without_a_good_row_are_refused_all_the_same(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_text(_file(tmp_path, content), skip_bad=True)
    assert str(caught.value) == message


def test_only_rows_are_left_out_and_one_must_be_left(tmp_path: Path) -> None:
    def headless(table: TextTable) -> None:
        raise InputError([Problem("a.csv", "x", "y"), Problem("a.csv, row 2", "x", "y", 2)])

    table = read_text(_file(tmp_path, "a,b\n1,x\n3,y\n"))
    for read, problems in ((headless, 2), (_even, 2)):
        with pytest.raises(InputError) as caught:
            read_usable(table, read, skip_bad=True)
        assert len(caught.value.problems) == problems
