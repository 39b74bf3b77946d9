"""The choice of a surrogate: by which splits, and by which number."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from campaigns import best_surrogate as module
from campaigns.best_surrogate import best_surrogate
from campaigns.judging import Judged, Rival
from surrogates.checkpoints import ScoreRow
from surrogates.ensemble import EnsembleSettings
from surrogates.mixture_data import MixtureData, tabulate
from surrogates.splits import Split, mixture_splits, paper_splits, solvent_splits
from tests.synthetic_mixtures import SALTS, SOLVENTS, synthetic_data

SETTINGS = EnsembleSettings()
NLL = {"ensemble": 1.5, "gp": 1.25, "deep-kernel": 1.75}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[Split]]:
    """Put numbers in the place of fits; returns the splits that were judged."""
    seen: list[list[Split]] = []

    def judge(
        data: MixtureData,
        splits: Sequence[Split],
        settings: EnsembleSettings,
        beside: Sequence[Rival],
        console: Console,
    ) -> Judged:
        seen.append(list(splits))
        assert settings is SETTINGS
        rows = [
            ScoreRow(splits=part, model=name, repeats=2, mean={"nll": nll}, std={"nll": 0.0})
            for name, nll in ((name, NLL[name]) for name in beside)
            for part in (splits[0].name, "paper, carbonates")
        ]
        return Judged(tuple(rows), pd.DataFrame(), pd.DataFrame())

    monkeypatch.setattr(module, "judge", judge)
    return seen


def _pure() -> MixtureData:
    """Twelve rows of each of five solvents, so that one can be left out."""
    table, batch = tabulate(
        [[solvent] for solvent in SOLVENTS for _ in range(12)],
        [[1.0]] * 60,
        [[SALTS[0]]] * 60,
        [[0.1 * i] for i in range(60)],
        [298.15] * 60,
    )
    data = synthetic_data()
    return replace(data, table=table, batch=batch)


def _same(one: Sequence[Split], other: Sequence[Split]) -> bool:
    return [(s.name, s.seed, s.test.tolist()) for s in one] == [
        (s.name, s.seed, s.test.tolist()) for s in other
    ]


def test_the_least_nll_wins_and_the_choice_is_told(asked: list[list[Split]]) -> None:
    console = Console(file=io.StringIO(), width=200)
    assert best_surrogate(_pure(), SETTINGS, 0, console) == "gp"
    assert console.file.getvalue() == (
        "gp is the best of all surrogates by NLL on solvent splits: "
        "ensemble 1.500, gp 1.250, deep-kernel 1.750\n"
    )


def test_a_number_that_does_not_exist_does_not_win(
    asked: list[list[Split]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NLL, "gp", None)
    assert best_surrogate(synthetic_data(), SETTINGS, 0, Console(quiet=True)) == "ensemble"


def test_splits_are_grouped_and_none_is_one_that_is_told(asked: list[list[Split]]) -> None:
    data, mixed = _pure(), synthetic_data()
    papers = replace(data, rows=data.rows.assign(paper=[str(i % 11) for i in range(60)]))
    for some in (data, papers, mixed):  # in the last each solvent stands in too many rows to be left out
        best_surrogate(some, SETTINGS, 5, Console(quiet=True))
    assert _same(asked[0], solvent_splits(data, 2, 0.2, 1005))
    assert _same(asked[1], paper_splits(papers)[:2])
    assert _same(asked[2], mixture_splits(mixed, 2, 0.2, 1005))
