"""How a campaign stands: the best, the model against what came, a hint in plain words."""

from __future__ import annotations

import math
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from campaigns.campaign_history import History
from campaigns.campaign_status import Quality, Status, print_status, status_of
from tests.small_campaigns import TARGET, given, mixture, result, small_store


def quality_of(status: Status) -> Quality:
    return status.quality[TARGET]


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Of three proposals, foretold as -2 ± 0.1, one is measured twice, one failed and one is pending."""
    store = small_store(tmp_path / "c.db", 0.3, 0.4, 0.5)
    store.record(
        lambda known: [
            result(0.3, -1.9, proposal=1),
            result(0.3, -1.8, proposal=1),
            result(0.8, -1.84),
            result(0.4, None, "failed", proposal=2, reason="leak"),
            result(0.9, 0.0),
        ]
    )
    store.record(lambda known: [result(0.9, -2.5, corrects=5)])
    return store.history()


def test_the_best_is_that_of_highest_mean(history: History) -> None:
    status = status_of((TARGET,), history, history.standing("measured"), "Go on.")

    assert (status.measured, status.failed, status.corrected) == (4, 1, 1)
    assert status.best is not None
    assert status.best.candidate == mixture(0.8)  # the highest single value is of the first
    assert (status.best.value, status.best.measurements) == (-1.84, (3,))
    assert [one.id for one in status.pending] == [3]
    among_two = status_of((TARGET,), history, history.standing("measured")[:2], "")
    assert among_two.best is not None
    assert among_two.best.value == pytest.approx(-1.85)
    assert among_two.best.measurements == (1, 2)


def test_the_model_is_judged_by_what_it_proposed(history: History) -> None:
    quality = quality_of(status_of((TARGET,), history, [], ""))

    assert (quality.measured, quality.within) == (1, 1)  # the first measurement of a proposal
    assert (quality.error, quality.stated, quality.ratio) == pytest.approx((0.1, 0.1, 1.0))


def test_errors_are_taken_against_their_own_standard_deviation(tmp_path: Path) -> None:
    store = small_store(tmp_path / "c.db")
    assert store.give([given(0.3, -2.0, 0.1), given(0.4, -3.0, 0.4)], store.history())
    store.record(lambda known: [result(0.3, -1.8, proposal=1), result(0.4, -3.4, proposal=2)])
    quality = quality_of(status_of((TARGET,), store.history(), [], ""))

    assert (quality.measured, quality.within) == (2, 1)  # 2 and 1 standard deviations, 1.7 stated
    assert (quality.error, quality.stated) == pytest.approx((0.3, 0.25))
    assert quality.ratio == pytest.approx(math.sqrt((4 + 1) / 2))


@pytest.mark.parametrize(
    ("measured", "within", "words"),
    [
        (4, 0, "Fewer than 5 proposals have been measured: too few to judge the intervals."),
        (5, 2, "Fewer than stated: the intervals are too narrow, so trust the model less than it says."),
        (5, 5, "The intervals held what they stated, as far as so many can tell."),
        (20, 16, "The intervals held what they stated, as far as so many can tell."),
        (20, 15, "Fewer than stated: the intervals are too narrow, so trust the model less than it says."),
        (28, 28, "The intervals held what they stated, as far as so many can tell."),
        (29, 29, "More than stated: the intervals are wider than they need be."),
    ],
)
def test_the_verdict_is_only_as_strong_as_the_count(measured: int, within: int, words: str) -> None:
    assert Quality(measured, within, 0.1, 0.1, 1.0).words() == words


def test_it_is_told_in_lines(history: History) -> None:
    text = StringIO()
    status = status_of((TARGET,), history, history.standing("measured")[:2], "Go on.")
    print_status(status, Console(file=text, width=40))
    assert text.getvalue() == (
        "4 measured, 1 failed, 1 corrected, 1 pending\n"
        "Best so far: log10_conductivity_S_cm -1.85 (the mean of measurements 1, 2), EC 0.3 + DMC 0.7, 1 "
        "mol/kg LiPF6, 298.15 K\n"
        "Pending, proposal 3: EC 0.5 + DMC 0.5, 1 mol/kg LiPF6, 298.15 K\n"
        "The model: 1 of 1 measurements lie in the 90 % interval that was stated; mean error 0.1 at a stated "
        "standard deviation of 0.1, errors 1 times what was stated.\n"
        "Fewer than 5 proposals have been measured: too few to judge the intervals.\n"
        "Go on.\n"
    )


def test_a_campaign_that_begins() -> None:
    text = StringIO()
    print_status(status_of((TARGET,), History((), ()), [], "Go on."), Console(file=text))
    assert text.getvalue() == "0 measured, 0 failed, 0 corrected, 0 pending\nGo on.\n"
