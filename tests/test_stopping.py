"""Whether to go on: gain against how measurements repeat, in words and in simulated campaigns."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from activelearn.acquisition import Kind
from activelearn.asked import Proposals
from campaigns.campaign import Campaign
from campaigns.campaign_history import History, StoredMeasurement
from campaigns.oracles import VirtualLaboratory
from campaigns.propose_config import ProposeConfig
from campaigns.stopping import (
    NEXT_TO_NOTHING,
    Scatter,
    hint_of,
    is_hopeless,
    same_candidates,
    scatter_of,
    worth_warnings,
)
from surrogates.prediction import Prediction
from tests.saved_models import saved_law_model
from tests.small_campaigns import TARGET, result, small_store

USUAL = math.log10(1.03)


@pytest.fixture
def history(tmp_path: Path) -> History:
    """One mixture measured three times, one of them written with other digits, one twice, one once."""
    store = small_store(tmp_path / "c.db")
    values = [(0.3, -2.0), (0.8, -1.0), (0.3001, -2.02), (0.5, -1.5), (0.8, -1.01), (0.3, -1.98)]
    store.record(lambda known: [result(ec, value) for ec, value in values])
    return store.history()


def of(target: str, rows: list[StoredMeasurement]) -> list[StoredMeasurement]:
    """Return measurements as if they were of another target."""
    return [row.model_copy(update={"values": {target: row.values[TARGET]}}) for row in rows]


def test_measurements_of_one_mixture_belong_together(history: History) -> None:
    groups = same_candidates(history.standing("measured"))
    assert [[row.id for row in group] for group in groups] == [[1, 3, 6], [2, 5], [4]]


def test_replicates_tell_the_noise_beside_what_is_expected(history: History) -> None:
    rows = history.standing("measured")
    # Around their means 0.02, 0 and 0.02, and 0.005 twice; 2 + 1 degrees of freedom beside 4.
    variance = (4 * USUAL**2 + 2 * 0.02**2 + 2 * 0.005**2) / 7
    found = scatter_of(TARGET, rows, -1.0, stated=0.5)
    assert found.std == pytest.approx(variance**0.5)
    assert found.percent == pytest.approx(100 * (10**variance**0.5 - 1))
    assert found.source == (
        "from repeated mixtures, 3 degrees of freedom, and the 3 % that laboratories usually repeat to"
    )
    other = scatter_of(
        "excess_molar_enthalpy_J_mol", of("excess_molar_enthalpy_J_mol", rows), -1.0, stated=0.05
    )
    assert other.std == pytest.approx(((4 * 0.05**2 + 2 * 0.02**2 + 2 * 0.005**2) / 7) ** 0.5)
    assert other.percent is None
    assert other.source == (
        "from repeated mixtures, 3 degrees of freedom, and what the model takes for noise"
    )


def test_without_replicates_it_is_what_laboratories_repeat_to(history: History) -> None:
    row = history.standing("measured")[:1]
    found = scatter_of(TARGET, row, -2.0, stated=0.001)
    assert (found.std, found.percent) == pytest.approx((USUAL, 3.0))
    assert found.source == "the 3 % that laboratories usually repeat to; no mixture was measured twice"
    other = scatter_of("y", of("y", row), -2.0, stated=0.25)
    assert (other.std, other.percent) == (0.25, None)
    assert other.source == "what the model takes for noise; no mixture was measured twice"


def test_a_conductivity_that_is_no_logarithm_scatters_by_a_share_of_it(tmp_path: Path) -> None:
    store = small_store(tmp_path / "c.db")
    store.record(lambda known: [result(0.3, 10.0), result(0.3, 10.6), result(0.8, 5.0)])
    rows = of("conductivity_mS_cm", store.history().standing("measured"))
    squares = math.log10(10.6 / 10) ** 2 / 2
    percent = 100 * (10 ** ((4 * USUAL**2 + squares) / 5) ** 0.5 - 1)
    found = scatter_of("conductivity_mS_cm", rows, 10.3, stated=2.0)
    assert found.percent == pytest.approx(percent)
    assert found.std == pytest.approx(10.3 * percent / 100)
    assert found.source.startswith("from repeated mixtures, 1 degree of freedom, and")


@pytest.mark.parametrize(
    ("target", "gain", "best", "scatter", "words"),
    [
        (
            TARGET,
            0.0128,
            -2.0,
            Scatter(0.0128, 3.0, "why"),
            "Go on: the next experiment is expected to gain 3 %, and a measurement scatters by 3 % (why).",
        ),
        (
            TARGET,
            0.0127,
            -2.0,
            Scatter(0.0128, 3.0, "why"),
            "Gains become small: the next experiment is expected to gain 3 %, and a measurement scatters by "
            "3 % (why). Repeat the best before going on, so that it is known better.",
        ),
        (
            "conductivity_mS_cm",
            0.02,
            10.0,
            Scatter(0.3, 3.0, "why"),
            "It may be time to stop: the next experiment is expected to gain 0.2 %, and a measurement "
            "scatters by 3 % (why).",
        ),
        (
            "y",
            0.004,
            10.0,
            Scatter(0.05, None, "why"),
            "It may be time to stop: the next experiment is expected to gain 0.004, and a measurement "
            "scatters by 0.05 (why).",
        ),
    ],
)
def test_the_hint_weighs_gain_against_noise(
    target: str, gain: float, best: float, scatter: Scatter, words: str
) -> None:
    assert hint_of(target, gain, best, scatter) == words


@pytest.mark.parametrize(
    ("kind", "gains", "hopeless"),
    [
        ("log-nei", (4e-4, 1e-9), True),
        ("log-ei", (4e-4, 4e-4), True),
        ("log-nei", (6e-4, 1e-9), False),
        ("mean", (1e-9, 1e-9), False),
    ],
)
def test_a_gain_of_less_than_a_hundredth_of_the_noise_is_next_to_nothing(
    kind: Kind, gains: tuple[float, float], hopeless: bool
) -> None:
    one = torch.ones(2, dtype=torch.float64)
    said = Prediction(one, one, 0.0025 * one, one > 0, one)
    found = Proposals(one[:, None], one.long(), torch.tensor(gains, dtype=torch.float64).log(), said)
    assert is_hopeless(kind, found) is hopeless


def test_a_warning_where_all_proposals_say_so() -> None:
    why = f"highest expected improvement; {NEXT_TO_NOTHING}"
    assert worth_warnings(pd.DataFrame({"why": [why, why]})) == [
        "the best that is left is expected to gain less than 1 % of the noise of a measurement: it is hardly "
        "worth making. Widen the space, loosen a constraint, or stop"
    ]
    assert worth_warnings(pd.DataFrame({"why": [why, "highest expected improvement"]})) == []


def _after(place: Path, worst_first: slice, seed: int) -> Campaign:
    """Return a campaign in which some of all candidates were measured, in the order of what is true."""
    space = {
        "solvents": ["EC", "DMC"],
        "salts": ["LiPF6"],
        "fraction_step": 0.1,
        "molality_mol_kg": [0.4, 0.8, 1.2, 1.6, 2.0],
    }
    model = saved_law_model(place / "model")
    config = ProposeConfig.model_validate({"model": str(model), "space": space, "how": "pool", "seed": seed})
    campaign = Campaign.new(place / "c.db", config)
    candidates = config.space.space()
    frame = candidates.describe(np.arange(len(candidates)))
    laboratory = VirtualLaboratory(seed=seed, target=TARGET)
    every = candidates[0 : len(candidates)].expand().to(torch.float64)
    order = laboratory.expected(candidates.table, every).argsort()[worst_first].numpy()
    campaign.record(laboratory.measure(frame.iloc[order].reset_index(drop=True)))
    return campaign


@pytest.mark.parametrize("seed", [0, 1])
def test_far_from_the_optimum_it_says_go_on_and_at_it_stop(tmp_path: Path, seed: int) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "at").mkdir()
    far = _after(tmp_path / "far", slice(0, 6), seed)
    assert far.status().hint.startswith("Go on: the next experiment is expected to gain ")
    assert not far.suggest(2)["why"].str.contains(NEXT_TO_NOTHING).any()

    at = _after(tmp_path / "at", slice(10, None), seed)
    hint = at.status().hint
    assert hint.startswith("It may be time to stop: the next experiment is expected to gain ")
    assert hint.endswith(
        "a measurement scatters by 3 % (the 3 % that laboratories usually repeat to; no mixture was measured "
        "twice)."
    )
    assert worth_warnings(at.suggest(2))
