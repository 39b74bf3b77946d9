"""The benchmark's published loop is the published model: same weights, same numbers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from tests.benchmarks.published_loop import (
    PublishedNetwork,
    featurise,
    load_published,
    predict_loop,
    published_optimiser,
    read_molsets,
    train_epoch_loop,
)


def test_reproduces_the_published_predictions(data_dir: Path, reference_dir: Path) -> None:
    mixtures, targets = read_molsets(data_dir / "molsets" / "data_compiled.csv")
    network, mean, std = load_published(reference_dir)
    published = pd.read_csv(reference_dir / "molsets_reference.csv")
    predictions = predict_loop(network, mixtures) * std + mean
    assert len(mixtures) == 1076
    torch.testing.assert_close(targets, _float32(published["target_log10_S_cm"]), rtol=0, atol=1e-5)
    torch.testing.assert_close(predictions, _float32(published["prediction_log10_S_cm"]), rtol=0, atol=1e-4)


def test_reproduces_the_published_ranking_of_candidates(reference_dir: Path) -> None:
    network, mean, std = load_published(reference_dir)
    published = pd.read_csv(reference_dir / "molsets_candidates.csv")[::100]
    mixtures = [
        featurise([row.solvent_1, row.solvent_2], [row.M_1, row.M_2], [0.5, 0.5], row.salt, 1.0)
        for row in published.itertuples()
    ]
    predictions = predict_loop(network, mixtures) * std + mean
    torch.testing.assert_close(predictions, _float32(published["prediction_w0.5"]), rtol=0, atol=1e-4)


def test_has_the_published_size() -> None:
    assert sum(parameter.numel() for parameter in PublishedNetwork().parameters()) == 7617


def test_training_fits_a_handful_of_mixtures() -> None:
    torch.manual_seed(0)
    mixtures = [
        featurise(["CCO", "O=C1OCCO1"], [46.1, 88.1], [w, 1 - w], "[Li+].[Cl-]", 1.0) for w in (0.1, 0.5, 0.9)
    ]
    targets = torch.tensor([-1.0, 0.0, 1.0])
    network = PublishedNetwork()
    optimiser = published_optimiser(network)
    losses = [train_epoch_loop(network, optimiser, mixtures, targets) for _ in range(60)]
    assert losses[-1] < losses[0]


def _float32(column: pd.Series) -> torch.Tensor:
    return torch.tensor(column.to_numpy(), dtype=torch.float32)
