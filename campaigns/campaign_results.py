"""What a laboratory brings back: rows of measurements, failures and corrections, and what each belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from campaigns.campaign_history import History, Outcome, Result, StoredMeasurement, StoredProposal
from campaigns.candidate_tables import FAILED, REASON
from campaigns.candidates import StoredCandidate
from campaigns.family import Reader
from campaigns.replay import failures
from surrogates.errors import InputError, Problem
from surrogates.text_tables import Findings, TextTable

PROPOSAL, CORRECTS, STATUS = "proposal", "corrects", "status"
CURRENT = "is_current"
"""Of an export: whether a measurement counts. Such a file is no file of results."""
_FRAME = "results"
_OUTCOMES: Mapping[str, Outcome] = {"": "measured", "measured": "measured", "failed": "failed"}
_WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Reading:
    """How results are read.

    Attributes:
        of: Reads candidates and measurements of a family.
        columns: The file's header for each of our column names that it calls otherwise.
        units: The file's unit for each of our column names that is in another.
    """

    of: Reader
    columns: Mapping[str, str]
    units: Mapping[str, str]


def text_of_frame(frame: pd.DataFrame) -> TextTable:
    """Return a DataFrame as cells of text; errors number its rows as a spreadsheet would, the first is 2.

    Raises:
        InputError: If it has no rows, or names a column twice.
    """
    text = frame.astype("string").fillna("").astype(object).rename(columns=str)
    text = text.set_axis(range(2, len(frame) + 2)).map(lambda cell: cell.strip())
    found = Findings(_FRAME)
    for name in text.columns[text.columns.duplicated()].unique():
        found.header(f'several columns are named "{name}"', "Rename or remove all but one.")
    if text.empty:
        found.header("there are no rows", "Give a row for each measurement.")
    found.stop()
    return TextTable(_FRAME, "", text, 0)


def read_results(text: TextTable, reading: Reading, known: History) -> list[Result]:
    """Return the rows of a file as measurements.

    Columns, besides those of a training file (see `surrogates.tables.read_mixtures`), or of cathodes
    `formula` and one for each objective (see `surrogates.measured_cathodes`): `proposal`, the number of the
    proposal that was made; `status`: `measured` or empty, `failed`, or `withdrawn` for a correction that
    takes back what should never have been recorded (or `failed`: yes or no); `reason`; `corrects`, the number
    of the measurement in whose place the row stands. A row with one of the two numbers need not say what the
    candidate is. Other columns are passed over.

    Args:
        text: The file.
        reading: How.
        known: What the campaign holds.

    Raises:
        InputError: With every bad header, unit and cell, if this very file was recorded before, or if it is
            an export with its history.
    """
    earlier = [
        one
        for one in known.measurements
        if text.sha256 and one.source_sha256 == text.sha256 and one.id not in known.withdrawn
    ]
    if earlier:
        wrong = f"this file was recorded before, as measurements {earlier[0].id} to {earlier[-1].id}"
        mend = "Give a file with the new rows alone, or withdraw those first."
        raise InputError(Problem(text.file, wrong, mend))
    if CURRENT in text.cells:
        wrong = f'it is an export with its history (column "{CURRENT}"), whose numbers are its campaign\'s'
        mend = "Record what `activelearn campaign export --current` writes."
        raise InputError(Problem(text.file, wrong, mend))
    found = Findings(text.file)
    outcomes = _outcomes(text, found)
    proposals = _numbers(text, PROPOSAL, len(known.proposals), found)
    corrects = _numbers(text, CORRECTS, len(known.measurements), found)
    is_described = _described(text, reading)
    _check_corrections(text, corrects, outcomes, known, found)
    is_named = _is_given(text, PROPOSAL) | _is_given(text, CORRECTS)
    for row in text.cells.index[~is_described & ~is_named]:
        wrong = f"neither a {reading.of.word}, nor the number of a proposal or of what it corrects, came"
        found.row(int(row), [], wrong, "Give one of them.")
    problems = list(found.problems)
    values = _values(text, outcomes, reading, problems)
    candidates = _candidates(text, is_described, reading, problems)
    _stop(problems)
    results = _linked(text, known, reading, proposals, corrects, candidates, problems)
    _stop(problems)
    reasons = text.cells[REASON].tolist() if REASON in text.cells else [""] * len(text.cells)
    return [
        Result(
            candidate=candidate,
            outcome=outcomes[place],
            values=values[place],
            reason=reasons[place] or ("no reason given" if outcomes[place] == "failed" else ""),
            proposal=proposal,
            corrects=int(corrects[place]) or None,
            source=text.file,
            source_sha256=text.sha256,
            source_row=int(row),
        )
        for place, (row, (proposal, candidate)) in enumerate(zip(text.cells.index, results, strict=True))
    ]


def repeated(results: Sequence[Result], known: History) -> list[int]:
    """Return the rows that say what another measurement of the same candidate has said, to the last digit."""
    seen: dict[object, list[StoredCandidate]] = {}
    for one in known.standing("measured"):
        seen.setdefault(_key(one), []).append(one.candidate)
    again = [r for r in results if r.corrects is None and r.outcome == "measured"]
    return [r.source_row for r in again if r.candidate in seen.get(_key(r), [])]


def _key(one: Result | StoredMeasurement) -> object:
    return one.candidate.components(), frozenset(one.values.items())


def _stop(problems: Sequence[Problem]) -> None:
    if problems:
        unique = dict.fromkeys(problems)
        raise InputError(sorted(unique, key=lambda problem: problem.row or 1))


def _outcomes(text: TextTable, found: Findings) -> list[Outcome]:
    """Return what became of each row."""
    cells = text.cells
    if STATUS in cells and FAILED in cells:
        found.header(f'columns "{STATUS}" and "{FAILED}" both say what failed', "Remove one of them.")
    if STATUS not in cells:
        try:
            return ["failed" if one else "measured" for one in failures(text)[0]]
        except InputError as error:
            for problem in error.problems:
                found.row(problem.row or 1, [FAILED], problem.wrong, problem.mend)
            return ["measured"] * len(cells)
    said = cells[STATUS].str.lower()
    wrong = "measured, failed, withdrawn or nothing was expected"
    known = [*_OUTCOMES, _WITHDRAWN]
    found.cells(
        cells[STATUS],
        ~said.isin(known).to_numpy(),
        lambda cell: f'"{cell}" came; {wrong}',
        "Correct the cell.",
    )
    return ["withdrawn" if one == _WITHDRAWN else _OUTCOMES.get(one, "measured") for one in said]


def _numbers(text: TextTable, column: str, last: int, found: Findings) -> npt.NDArray[np.int64]:
    """Return the numbers in a column, 0 where a row has none."""
    if column not in text.cells:
        return np.zeros(len(text.cells), dtype=np.int64)
    cells = text.cells[column]
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    is_there = (numbers >= 1) & (numbers <= last) & (numbers == np.floor(numbers))
    of = "proposals" if column == PROPOSAL else "measurements"
    there = f"the campaign has {of} 1 to {last}" if last else f"the campaign has no {of} yet"
    mend = "Correct the number, or clear the cell."
    found.cells(cells, _is_given(text, column) & ~is_there, lambda cell: f'"{cell}" came; {there}', mend)
    return np.where(is_there, numbers, 0).astype(np.int64)


def _is_given(text: TextTable, column: str) -> npt.NDArray[np.bool_]:
    """Return which rows say something in a column."""
    if column not in text.cells:
        return np.zeros(len(text.cells), dtype=bool)
    given: npt.NDArray[np.bool_] = (text.cells[column] != "").to_numpy(dtype=bool)
    return given


def _described(text: TextTable, reading: Reading) -> npt.NDArray[np.bool_]:
    """Return which rows say anything of what the candidate is."""
    theirs = {theirs: ours for ours, theirs in reading.columns.items()}
    names = [name for name in text.cells if reading.of.is_input(theirs.get(str(name), str(name)))]
    described: npt.NDArray[np.bool_] = (text.cells[names] != "").any(axis=1).to_numpy(dtype=bool)
    return described


def _check_corrections(
    text: TextTable,
    corrects: npt.NDArray[np.int64],
    outcomes: Sequence[Outcome],
    known: History,
    found: Findings,
) -> None:
    """Note rows that correct what was corrected already, and rows that are withdrawn and correct nothing."""
    first: dict[int, int] = {}
    for row, number, outcome in zip(text.cells.index.tolist(), corrects.tolist(), outcomes, strict=True):
        if not number:
            if outcome == "withdrawn":
                wrong = f'"{_WITHDRAWN}" came; only what was recorded before can be withdrawn'
                mend = "Give the number of the measurement in corrects, or write failed."
                found.row(row, [STATUS], wrong, mend)
        elif number in known.corrected_by:
            by = known.corrected_by[number]
            wrong = f"{number} came, which measurement {by} has corrected already"
            found.row(row, [CORRECTS], wrong, f"Correct measurement {by}.")
        elif number in first:
            wrong = f"{number} came, which row {first[number]} corrects already"
            found.row(row, [CORRECTS], wrong, "Keep one of the rows.")
        else:
            first[number] = row


def _values(
    text: TextTable, outcomes: Sequence[Outcome], reading: Reading, problems: list[Problem]
) -> list[dict[str, float]]:
    """Return what was measured in each row, nothing where it was not."""
    is_measured = np.array([outcome == "measured" for outcome in outcomes])
    values: list[dict[str, float]] = [{} for _ in outcomes]
    found = Findings(text.file, reading.columns)
    theirs = {theirs: ours for ours, theirs in reading.columns.items()}
    for name in text.cells:
        if reading.of.holds_values(theirs.get(str(name), str(name))):
            cells = text.cells[name]
            beside = (cells != "").to_numpy() & ~is_measured
            found.cells(
                cells,
                beside,
                lambda cell: f'"{cell}" came; no value was expected in a row that is not measured',
                "Clear the cell, or write measured as its status.",
            )
    problems += found.problems
    if is_measured.any():
        measured = replace(text, cells=text.cells[is_measured])
        try:
            came = reading.of.values(measured, reading.columns, reading.units)
        except InputError as error:
            problems += error.problems
            return values
        for place, one in zip(np.flatnonzero(is_measured).tolist(), came, strict=True):
            values[place] = one
    return values


def _candidates(
    text: TextTable, is_described: npt.NDArray[np.bool_], reading: Reading, problems: list[Problem]
) -> list[StoredCandidate | None]:
    """Return the candidate of each row, None where it says nothing of it."""
    found: list[StoredCandidate | None] = [None] * len(text.cells)
    if not is_described.any():
        return found
    described = replace(text, cells=text.cells[is_described])
    try:
        stored = reading.of.candidates(described, reading.columns, reading.units)
    except InputError as error:
        problems += error.problems
        return found
    for place, candidate in zip(np.flatnonzero(is_described).tolist(), stored, strict=True):
        found[place] = candidate
    return found


def _linked(
    text: TextTable,
    known: History,
    reading: Reading,
    proposals: npt.NDArray[np.int64],
    corrects: npt.NDArray[np.int64],
    candidates: Sequence[StoredCandidate | None],
    problems: list[Problem],
) -> list[tuple[int | None, StoredCandidate]]:
    """Return the proposal that each row is of, None of what nobody proposed, and its candidate.

    A file rounds: what differs from a proposal by no more than that is the proposal itself.
    """
    alike: dict[frozenset[str], list[StoredProposal]] = {}
    for one in known.proposals:
        alike.setdefault(one.candidate.components(), []).append(one)
    found = Findings(text.file)
    linked: list[tuple[int | None, StoredCandidate]] = []
    for place, row in enumerate(text.cells.index.tolist()):
        candidate, number = candidates[place], int(proposals[place])
        earlier = known.measurements[int(corrects[place]) - 1] if corrects[place] else None
        if candidate is None and (number or earlier):
            linked.append(_named(known, number, earlier))
            continue
        assert candidate is not None  # a row that says nothing has been refused
        if not number:
            linked.append(_by_candidate(candidate, alike.get(candidate.components(), []), earlier))
            continue
        proposed = known.proposals[number - 1].candidate
        if not proposed.is_near(candidate):
            wrong = f"proposal {number} is {proposed.words()}; {candidate.words()} came"
            mend = f"Correct the number, or clear it if another {reading.of.word} was made."
            found.row(row, [PROPOSAL], wrong, mend)
        linked.append((number, proposed if proposed.is_same(candidate) else candidate))
    problems += found.problems
    return linked


def _named(
    known: History, number: int, earlier: StoredMeasurement | None
) -> tuple[int | None, StoredCandidate]:
    """Return what a row is of that does not say what the candidate is."""
    if number:
        return number, known.proposals[number - 1].candidate
    assert earlier is not None
    return earlier.proposal, earlier.candidate


def _by_candidate(
    candidate: StoredCandidate, alike: Sequence[StoredProposal], earlier: StoredMeasurement | None
) -> tuple[int | None, StoredCandidate]:
    """Return what a row is of that says what the candidate is and no more."""
    for one in alike:
        if one.candidate.is_same(candidate):
            return one.id, one.candidate
    for one in alike:
        if earlier is not None and one.id == earlier.proposal and one.candidate.is_near(candidate):
            return one.id, candidate
    return None, candidate
