"""How fast an ensemble of five predicts, beside the published one-mixture-at-a-time loop of one network.

    python -m tests.benchmarks.bench_screen

All runs on one thread, as in a worker of a screen. Weights do not matter here, so the ensemble is trained
for one epoch. "Arithmetic" is that of the head behind its first layer, which each candidate must pay:
2 x (first x second + second x 2) operations a member, 82,560 for five of the default size. The matrix
multiply it is held against is of 1024 x 1024 matrices in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from activelearn.screening import BLOCK
from activelearn.spaces import MixtureSpace
from campaigns.screen import choose_screen
from surrogates.ensemble import EnsembleSettings, MixtureEnsemble, fit_ensemble
from surrogates.ensemble_predictor import EnsemblePredictor
from surrogates.molsets_data import load_molsets
from surrogates.training import TrainingSettings
from tests.benchmarks.measuring import in_turns, public_data
from tests.benchmarks.published_loop import LoopMixture, featurise, load_published, predict_loop

ROUNDS = 7
LOOPED = 100
"""Candidates that the loop predicts a round."""
LARGE_BLOCKS = 8
"""Blocks of a large space that are predicted a round, spread over it evenly."""
SIDE = 1024


def main() -> None:
    """Print the ratios for the bundled space and for a large one."""
    torch.set_num_threads(1)
    data, reference = public_data()
    measured = load_molsets(data / "molsets" / "data_compiled.csv")
    settings = EnsembleSettings(taught=0, training=TrainingSettings(epochs=1))
    ensemble = fit_ensemble(measured, torch.arange(len(measured.target)), settings, seed=0)
    network, _, _ = load_published(reference)
    bundled = choose_screen("electrolytes", top_k=None).space.space()
    large = replace(
        bundled, solvents_per_mixture=(3,), fraction_step=0.2, molality_mol_kg=(0.5, 1.0, 1.5, 2.0, 2.5)
    )
    square = torch.randn(SIDE, SIDE)
    table = Table("space", "candidates", "ensemble / loop", "with binding", "of matrix multiply")
    for name, space in (("bundled", bundled), ("large", large)):
        predictor = ensemble.bind(space.table)
        blocks = spread(space)
        candidates = sum(map(len, blocks))
        time = in_turns(
            {
                "loop": partial(predict_loop, network, loop_mixtures(space)),
                "bind": partial(ensemble.bind, space.table),
                "ensemble": partial(predict, predictor, space, blocks),
                "multiply": partial(torch.mm, square, square),
            },
            ROUNDS,
        )
        rate, looped = candidates / time["ensemble"], LOOPED / time["loop"]
        whole = len(space) / (len(space) / rate + time["bind"])
        allowed = 2 * SIDE**3 / time["multiply"] / operations(ensemble)
        table.add_row(
            name,
            f"{len(space):,}",
            f"{rate / looped:,.0f}",
            f"{whole / looped:,.0f}",
            f"{rate / allowed:.0%}",
        )
    Console().print(table)


def spread(space: MixtureSpace) -> list[range]:
    """Return the blocks that are predicted: all of a small space, some of a large one."""
    starts = np.arange(0, len(space), BLOCK)
    chosen = starts[np.linspace(0, len(starts) - 1, min(len(starts), LARGE_BLOCKS), dtype=int)]
    return [range(start, min(start + BLOCK, len(space))) for start in chosen.tolist()]


def predict(predictor: EnsemblePredictor, space: MixtureSpace, blocks: Sequence[range]) -> None:
    """Predict mean, variances and domain of the blocks, as a worker does, decoding included."""
    with torch.inference_mode():
        for block in blocks:
            predictor.predict(space[block.start : block.stop])


def loop_mixtures(space: MixtureSpace) -> list[LoopMixture]:
    """Return candidates of a space, spread evenly, as the published loop takes them."""
    rows = space.describe(np.linspace(0, len(space) - 1, LOOPED, dtype=np.int64))
    slots = range(1, max(space.solvents_per_mixture) + 1)
    return [
        featurise(
            [row[f"solvent_{slot}_smiles"] for slot in slots],
            [space.solvents[row[f"solvent_{slot}"]].molar_mass for slot in slots],
            [row[f"weight_fraction_{slot}"] for slot in slots],
            row["salt_smiles"],
            row["molality_mol_kg"],
        )
        for row in rows.to_dict("records")
    ]


def operations(ensemble: MixtureEnsemble) -> int:
    """Return the floating-point operations that a candidate costs behind the head's first layer."""
    parameters = ensemble.members.parameters
    return 2 * sum(parameters[f"{layer}.weight"].numel() for layer in ("hidden", "out"))


if __name__ == "__main__":
    main()
