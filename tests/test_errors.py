"""The error a user can mend."""

from __future__ import annotations

import pickle

from surrogates.errors import InputError, Problem

NEGATIVE = Problem(
    'a.csv, row 2, column "molality_mol_kg"', "-1 came; a number from 0 was expected", "Mend it."
)
UNKNOWN = Problem('a.csv, row 3, column "salt"', '"LiPF" is not known', 'Did you mean "LiPF6"?')


def test_reads_where_wrong_mend() -> None:
    assert str(InputError(NEGATIVE)) == (
        'a.csv, row 2, column "molality_mol_kg": -1 came; a number from 0 was expected. Mend it.'
    )


def test_names_every_problem_on_its_own_line() -> None:
    assert str(InputError([NEGATIVE, UNKNOWN])) == f"{NEGATIVE}\n{UNKNOWN}"


def test_survives_the_trip_from_a_worker() -> None:
    error = InputError([NEGATIVE, UNKNOWN])
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, InputError)
    assert copy.problems == error.problems
    assert str(copy) == str(error)
