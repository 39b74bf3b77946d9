"""The baselines learn a law that is known; of the two, only the forest does not mind the order."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from surrogates import excess_baselines
from surrogates.excess_baselines import ExcessForest, FingerprintExcess
from surrogates.three_way_splits import three_way_splits
from surrogates.training import TrainingSettings
from tests.synthetic_excess import excess

DATA = excess(noise=0.01)
(SPLIT,) = three_way_splits("rows", torch.arange(60), 1)
TEST = DATA.take(SPLIT.test)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excess_baselines, "TREES", 20)
    monkeypatch.setattr(excess_baselines, "_TRAINING", TrainingSettings(60, 16, 1e-2))


def test_the_forest_learns_and_does_not_mind_the_order() -> None:
    forest = ExcessForest.fit(DATA, SPLIT.train, SPLIT.validate, seed=0)
    mean, std = forest.predict(TEST)
    assert float((mean - TEST.target).abs().mean()) < 0.5 * float(TEST.target.abs().mean())
    assert bool((std > 0).all())
    exchanged, spread = forest.predict(TEST.exchanged())
    torch.testing.assert_close(mean, exchanged)
    torch.testing.assert_close(std, spread)


def test_fingerprints_learn_and_mind_the_order() -> None:
    fingerprint = FingerprintExcess.fit(DATA, SPLIT.train, SPLIT.validate, 2, seed=0)
    mean, std = fingerprint.predict(TEST)
    error = float((mean - TEST.target).abs().mean())
    assert error < 0.5 * float(TEST.target.abs().mean()) and bool((std > 0).all())
    exchanged, _ = fingerprint.predict(TEST.exchanged())
    assert float((mean - exchanged).abs().mean()) > error


@pytest.mark.parametrize("kind", ["forest", "fingerprint"])
def test_rows_that_test_are_not_looked_at(kind: str) -> None:
    target = DATA.target.clone()
    target[SPLIT.test] = torch.nan
    said = []
    for data in (DATA, replace(DATA, target=target)):
        fitted = (
            ExcessForest.fit(data, SPLIT.train, SPLIT.validate, seed=0)
            if kind == "forest"
            else FingerprintExcess.fit(data, SPLIT.train, SPLIT.validate, 2, seed=0)
        )
        said.append(fitted.predict(TEST))
    assert torch.equal(said[0][0], said[1][0]) and torch.equal(said[0][1], said[1][1])
