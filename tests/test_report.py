"""What is shown while a screen runs, on a terminal and in a pipe."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pandas as pd
import pytest
from rich.console import Console

from activelearn.screening import Standing
from campaigns import report


def standings(clock: list[float]) -> Iterator[Standing]:
    for candidates in (2000, 4000, 6000, 8000):
        clock[0] += 4.0
        yield Standing(candidates=candidates)


def shown(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> str:
    clock = [100.0]
    monkeypatch.setattr(report, "monotonic", lambda: clock[0])
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    passed = list(report.watched(standings(clock), done=1000, total=8000, console=console))
    assert [standing.candidates for standing in passed] == [2000, 4000, 6000, 8000]
    return console.file.getvalue()


def test_a_pipe_gets_a_plain_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, terminal=False).splitlines() == [
        "4,000 of 8,000 candidates, 375/s, 11 s left",
        "8,000 of 8,000 candidates, 438/s, 0 s left",
    ]


def test_a_terminal_gets_a_bar_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, terminal=True)
    assert "━" in text
    assert "8000/8000" in text
    assert "438/s" in text
    assert "0:00:00" in text


def epochs_shown(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> str:
    clock = [0.0]
    monkeypatch.setattr(report, "monotonic", lambda: clock[0])
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with report.progress(console, "epochs", total=3) as told:
        for done in (1, 2, 3):
            clock[0] += 8.0
            told(done)
    return console.file.getvalue()


def test_slow_work_shows_more_than_a_rate_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    assert epochs_shown(monkeypatch, terminal=False).splitlines() == [
        "1 of 3 epochs, 0.12/s, 16 s left",
        "2 of 3 epochs, 0.12/s, 8 s left",
        "3 of 3 epochs, 0.12/s, 0 s left",
    ]
    bar = epochs_shown(monkeypatch, terminal=True)
    assert "epochs" in bar and "3/3" in bar and "0.12/s" in bar


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (1009.7, 112.3, "1010 ± 112"),
        (276.4, 17.5, "276 ± 18"),
        (219.04, 1.52, "219.0 ± 1.5"),
        (3.0643, 0.0678, "3.064 ± 0.068"),
        (0.9, 0.0, "1 ± 0"),
        (2.0, 1e-9, "2.000000 ± 0.000000"),
    ],
)
def test_a_mean_is_told_to_the_second_digit_of_its_deviation(mean: float, std: float, text: str) -> None:
    assert report.with_std(mean, std) == text


@pytest.mark.parametrize(
    ("names", "words"),
    [("a", "a"), ("ab", "Pareto rank of a and b"), ("abc", "Pareto rank of a, b and c")],
)
def test_the_best_are_told_by_what_they_are_ranked(names: str, words: str) -> None:
    row: dict[str, object] = {"rank": 1, "formula": "LiF", "in_domain": True}
    for name in names:
        parts = ("mean", "std", "std_epistemic", "lower_90", "upper_90")
        row |= {f"{name}_{part}": 1.0 for part in parts}
    if len(names) > 1:
        row["pareto_rank"] = 1
    console = Console(file=io.StringIO(), width=100)
    report.print_best(pd.DataFrame([row]), 2, console)
    assert console.file.getvalue().splitlines()[0].strip() == f"The 1 best of 2 candidates by {words}"
