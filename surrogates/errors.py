"""The error a user can mend: what is wrong, where, what came, what was expected, how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Problem:
    """One thing wrong with what the user gave.

    Attributes:
        where: File, row and column or key, e.g. ``mixtures.csv, row 17, column "salt"``.
        wrong: What came and what was expected, without a closing full stop.
        mend: What to do about it, a sentence.
        row: Of the file, as a spreadsheet numbers it, where one row alone is wrong.
    """

    where: str
    wrong: str
    mend: str
    row: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.where}: {self.wrong}. {self.mend}"


class InputError(ValueError):
    """The user's input cannot be used; the command line prints it and exits with 2.

    Args:
        problems: All that is wrong, found in one pass, so that it can be mended in one pass.
    """

    def __init__(self, problems: Problem | Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(self.problems)  # the only argument, so that it survives a trip through Ray

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
