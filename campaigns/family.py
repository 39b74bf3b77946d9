"""What a campaign must know of its kind of candidates: mixtures, or cathodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from rich.console import Console

from activelearn.screening import Engine
from campaigns.campaign_history import Given, History, StoredMeasurement
from campaigns.candidates import StoredCandidate
from campaigns.propose_config import AnyProposals
from surrogates.errors import InputError, Problem
from surrogates.text_tables import TextTable

_AGAIN = (
    "Restore it, or begin a new campaign and record there what `activelearn campaign export --current` "
    "writes of this one."
)
NOTHING_YET = "Nothing that could be a candidate has been measured yet: go on."
"""What is said of going on before anything can be said."""


@dataclass(frozen=True)
class Fixed:
    """What a configuration names, as it is when a campaign begins.

    Attributes:
        targets: What is measured, each with its unit.
        model_sha256: Of the model.
        files_sha256: Of the files that constraints use.
        takes_one_salt: Whether a mixture must hold exactly one.
    """

    targets: tuple[str, ...]
    model_sha256: str
    files_sha256: Mapping[str, str | None]
    takes_one_salt: bool


class Reader(Protocol):
    """Reads the candidates and the measurements of a file of results."""

    @property
    def word(self) -> str:
        """What a candidate is called."""

    def is_input(self, column: str) -> bool:
        """Return whether a column of ours says what a candidate is."""

    def holds_values(self, column: str) -> bool:
        """Return whether a column of ours holds a measurement."""

    def values(
        self, text: TextTable, columns: Mapping[str, str], units: Mapping[str, str]
    ) -> list[dict[str, float]]:
        """Return what was measured in each row, at least one number, by its target.

        Raises:
            InputError: With every bad header, unit and cell.
        """

    def candidates(
        self, text: TextTable, columns: Mapping[str, str], units: Mapping[str, str]
    ) -> Sequence[StoredCandidate]:
        """Return the candidate of each row.

        Raises:
            InputError: With every bad header, unit and cell.
        """


class Family(Protocol):
    """A kind of candidates, with what a campaign's file has fixed; it reads the model when it is asked."""

    @property
    def reader(self) -> Reader:
        """What reads results."""

    def given(self, known: History, q: int, engine: Engine) -> list[Given]:
        """Return the `q` candidates to make next.

        Raises:
            InputError: If the model or a file of the constraints has changed, or there are not so many left.
        """

    def stands(self, known: History, engine: Engine) -> tuple[list[StoredMeasurement], str]:
        """Return the measurements of candidates that could be proposed, and whether to go on, in plain words.

        What the next experiment may bring is held against noise.

        Raises:
            InputError: If the model or a file of the constraints has changed.
        """

    def frame(self, candidates: Sequence[StoredCandidate]) -> pd.DataFrame:
        """Return candidates in the columns of a file of results."""

    def warnings(self) -> list[str]:
        """Return a sentence for each thing that is not known of the space."""

    def show(self, table: pd.DataFrame, out: Path | None, console: Console) -> None:
        """Print proposals and, if they were written, where they are."""


def check_unchanged(path: Path, model: str, then: Fixed, now: Fixed) -> None:
    """Check that what a campaign names is what it was when it began.

    Args:
        path: The campaign's file.
        model: As its configuration names it.
        then: As the file has it.
        now: As it is.

    Raises:
        InputError: With each that is not.
    """
    hashes_then = {**then.files_sha256, model: then.model_sha256}
    hashes_now = {**now.files_sha256, model: now.model_sha256}
    problems = [
        Problem(str(path), f"{name} is not what it was when the campaign began", _AGAIN)
        for name in hashes_then
        if hashes_then[name] != hashes_now.get(name)
    ]
    if problems:
        raise InputError(problems)


def nothing_left(error: InputError) -> str:
    """Return what is said of going on where no further experiment can be found."""
    return f"No experiment is left to propose: {error.problems[0].wrong}."


def seed_of(config: AnyProposals, known: History) -> int:
    """Return the seed of the next call's draws: of the campaign, and of how often was asked."""
    return int(np.random.SeedSequence([config.seed, known.calls + 1]).generate_state(1)[0]) % 2**31


def written_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return proposals as a file holds what was given out, without their numbers."""
    rows = table.drop(columns="proposal").to_dict("records")
    return [{str(name): _plain(cell) for name, cell in row.items()} for row in rows]


def _plain(cell: Any) -> str | bool | int | float | None:
    """Return a cell of a table as JSON has it; what is no finite number is nothing."""
    plain = cell.item() if isinstance(cell, np.generic) else cell
    if isinstance(plain, float) and not np.isfinite(plain):
        return None
    return None if plain is pd.NA or plain is None else plain
