"""A stranger's CSV or Parquet file as cells of text, and all that is found wrong with it."""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from surrogates.errors import InputError, Problem

_NOT_COMMAS = {";": "semicolons", "\t": "tabs"}
Mask = npt.NDArray[np.bool_]
_ReadT = TypeVar("_ReadT")


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        row: As a spreadsheet numbers it.
        cells: Stripped text; fewer or more than the header has where that is what is wrong.
        problems: All that is wrong with it.
    """

    row: int
    cells: tuple[str, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class TextTable:
    """A file's cells as they are written there.

    Attributes:
        file: Its name.
        sha256: Of the file.
        cells: Stripped text; the index numbers rows as a spreadsheet does, the header being row 1.
        empty_rows: How many rows without any text were passed over.
        bad_rows: Rows that were left out of `cells`, in their order.
    """

    file: str
    sha256: str
    cells: pd.DataFrame
    empty_rows: int
    bad_rows: tuple[BadRow, ...] = ()

    def without(self, problems: Iterable[Problem]) -> TextTable:
        """Return the table without the rows that are named in problems."""
        of_row: dict[int, list[Problem]] = defaultdict(list)
        for problem in problems:
            if problem.row is not None:
                of_row[problem.row].append(problem)
        bad = [
            BadRow(row, tuple(map(str, self.cells.loc[row])), tuple(found)) for row, found in of_row.items()
        ]
        return replace(
            self,
            cells=self.cells.drop(index=list(of_row)),
            bad_rows=tuple(sorted((*self.bad_rows, *bad), key=lambda one: one.row)),
        )

    def report(self) -> str:
        """Return how many rows were read, a line."""
        dropped = len(self.bad_rows) or "none"
        return f"{len(self.cells)} rows read, {dropped} dropped; {self.empty_rows} empty rows passed over"


@dataclass
class Findings:
    """What is wrong with one file, gathered until all of it has been looked at.

    Attributes:
        file: Its name.
        headers: The file's header for each of our column names that it calls otherwise.
    """

    file: str
    headers: Mapping[str, str] = field(default_factory=dict)
    _found: list[tuple[int, Problem]] = field(default_factory=list)

    def header(self, wrong: str, mend: str) -> None:
        """Note what is wrong with the columns."""
        self._found.append((1, Problem(self.file, wrong, mend)))

    def row(self, row: int, columns: Sequence[str], wrong: str, mend: str) -> None:
        """Note what is wrong in some cells of a row, or in the row as a whole if no column is named."""
        where = f"{self.file}, row {row}"
        if columns:
            named = ", ".join(f'"{self.headers.get(column, column)}"' for column in columns)
            where += f", column{'s' * (len(columns) > 1)} {named}"
        self._found.append((row, Problem(where, wrong, mend, row)))

    def cells(self, cells: pd.Series[str], bad: Mask, wrong: Callable[[str], str], mend: str) -> None:
        """Note every cell of a column where `bad`; `wrong` makes the words from the cell's text."""
        for row, text in cells[bad].items():
            self.row(int(str(row)), [str(cells.name)], wrong(text), mend)

    def stop(self) -> None:
        """Raise all that was found, in the order of rows.

        Raises:
            InputError: If anything was found.
        """
        if self._found:
            raise InputError(self.problems)

    @property
    def problems(self) -> list[Problem]:
        """All that was found, in the order of rows."""
        return [problem for _, problem in sorted(self._found, key=lambda found: found[0])]


def read_text(path: Path, skip_bad: bool = False, names: Sequence[str] = ()) -> TextTable:
    """Return the cells of a Parquet file (by its suffix) or of a UTF-8 CSV file.

    Args:
        path: The file.
        skip_bad: Leave out rows of another length than the header, unless all are.
        names: Of its columns, if it is a published file without a header; its first row is then row 1.

    Raises:
        InputError: If the file cannot be read, has no rows, names a column twice or not at all, or has
            rows of another length than its header.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # the latter for a path that holds a null character
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            Problem(str(path), f"the file cannot be read ({reason})", "Check its path.")
        ) from None
    read = _parquet_records if path.suffix == ".parquet" else _csv_records
    header, records = read(data, path.name)
    if names:
        header, records = list(names), [header, *records]
    found = Findings(path.name)
    _check_header(header, found)
    filled = {row: cells for row, cells in enumerate(records, 1 if names else 2) if any(cells)}
    ragged = {row: cells for row, cells in filled.items() if len(cells) != len(header)}
    may_skip = skip_bad and len(ragged) < len(filled)
    skipped = Findings(path.name) if may_skip else found
    for row, cells in ragged.items():
        skipped.row(
            row,
            [],
            f"{len(cells)} cells stand here, the header has {len(header)}",
            "Quote cells that hold a comma, or complete the row.",
        )
    if not filled:
        found.header("there are no rows below the header", "Add a row for each mixture or measurement.")
    found.stop()
    even = {row: cells for row, cells in filled.items() if row not in ragged}
    return TextTable(
        file=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        cells=pd.DataFrame(list(even.values()), columns=header, index=list(even), dtype=str),
        empty_rows=len(records) - len(filled),
        bad_rows=tuple(
            BadRow(row, tuple(cells), (problem,))
            for (row, cells), problem in zip(ragged.items(), skipped.problems, strict=True)
        ),
    )


def read_usable(
    table: TextTable, read: Callable[[TextTable], _ReadT], skip_bad: bool
) -> tuple[_ReadT, TextTable]:
    """Return what can be read of a table, and the table, without its bad rows if these may be left out.

    Args:
        table: The file.
        read: Raises an `InputError` that names all bad rows.
        skip_bad: Whether they may be left out.

    Raises:
        InputError: As `read` does, if rows may not be left out, more is wrong than rows, or all are bad.
    """
    try:
        return read(table), table
    except InputError as error:
        left = table.without(error.problems)
        if not skip_bad or any(problem.row is None for problem in error.problems) or left.cells.empty:
            raise
    return read_usable(left, read, skip_bad)


def rename(
    table: TextTable, columns: Mapping[str, str], is_known: Callable[[str], bool], found: Findings
) -> pd.DataFrame:
    """Return the cells under our column names.

    Args:
        table: The file.
        columns: The file's header for each of our names that it calls otherwise.
        is_known: Whether a name is one of ours.
        found: Takes what is wrong with `columns`.
    """
    cells = table.cells
    header = [str(name) for name in cells]
    for ours, theirs in columns.items():
        if not is_known(ours):
            found.header(f'columns maps "{ours}", which is no column here', "Correct the key in columns.")
        if theirs not in header:
            found.header(
                f'columns maps "{ours}" to "{theirs}", which is not in the file',
                f"{nearest(theirs, header)}Its columns are {', '.join(header)}.",
            )
        elif ours in header and theirs != ours:
            found.header(
                f'columns maps "{ours}" to "{theirs}", but the file has a column "{ours}" too',
                "Remove one of the two.",
            )
    return cells.rename(columns={theirs: ours for ours, theirs in columns.items()})


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `Did you mean ...? ` with a trailing space, or nothing if no known name is spelled alike."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f'Did you mean "{close[0]}"? ' if close else ""


def _csv_records(data: bytes, file: str) -> tuple[list[str], list[list[str]]]:
    try:
        text = data.decode("utf-8-sig")
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            Problem(f"{file}, line {line}", "this is not UTF-8 text", "Save the file as CSV (UTF-8).")
        ) from None
    except csv.Error as error:
        raise InputError(
            Problem(file, f"this is not CSV: {error}", "Close every quote and save the file as CSV.")
        ) from None
    if not records:
        raise InputError(Problem(file, "the file is empty", "Give it a header and rows."))
    header, *rows = ([cell.strip() for cell in record] for record in records)
    if len(header) == 1 and (other := next((mark for mark in _NOT_COMMAS if mark in header[0]), None)):
        wrong = f"{_NOT_COMMAS[other]} stand between the cells; commas were expected"
        mend = "Save the file with commas between cells and points in numbers."
        raise InputError(Problem(file, wrong, mend))
    return header, rows


def _parquet_records(data: bytes, file: str) -> tuple[list[str], list[list[str]]]:
    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read()  # `read_table` fails if two names are equal
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(Problem(file, f"this is not Parquet: {reason}", "Write the file anew.")) from None
    columns = [_texts(column) for column in table.columns]
    return table.column_names, [list(cells) for cells in zip(*columns, strict=True)]


def _texts(column: pa.ChunkedArray) -> list[str]:
    """Return a column as text; where it holds lists or the like, text that is no number and no name."""
    try:
        texts = column.cast(pa.string()).fill_null("").to_pylist()
    except pa.ArrowException:
        texts = ["" if value is None else str(value) for value in column.to_pylist()]
    return [text.strip() for text in texts]


def _check_header(header: list[str], found: Findings) -> None:
    for name, count in Counter(header).items():
        if name == "":
            found.header(f"{count} columns have no name", "Name or remove them.")
        elif count > 1:
            found.header(f'{count} columns are named "{name}"', "Rename or remove all but one.")
