"""How fast the members of an ensemble train, beside the published loop of one network.

    python -m tests.benchmarks.bench_training

A member-epoch is one member's pass, forward and back, over as many rows as the MolSets data have. Two thirds
of the members only calibrate the ensemble; they train in the same loop. The second line counts all members,
the third those alone that the ensemble keeps, in the time of all. Both pay for the taught rows and for
watching the validation error. What a member holds out passes with weight 0 and is counted, on both sides of
the ratio. All runs on one thread, as `activelearn train` does.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter

import torch
from rich.console import Console
from rich.table import Table

from surrogates.calibration_rows import JUDGES
from surrogates.ensemble import EnsembleSettings, fit_ensemble
from surrogates.mixture_data import MixtureData
from surrogates.molsets_data import load_molsets
from surrogates.training import TrainingSettings
from tests.benchmarks.measuring import in_turns, public_data
from tests.benchmarks.published_loop import (
    load_published,
    published_optimiser,
    read_molsets,
    train_epoch_loop,
)

ROUNDS = 2
EPOCHS = 11


def main() -> None:
    """Print member-epochs a second of both, and their ratio."""
    torch.set_num_threads(1)
    data, reference = public_data()
    file = data / "molsets" / "data_compiled.csv"
    mixtures, targets = read_molsets(file)
    network, mean, std = load_published(reference)
    measured = load_molsets(file)
    epochs: list[float] = []

    loop = partial(train_epoch_loop, network, published_optimiser(network), mixtures, (targets - mean) / std)
    time = in_turns({"loop": loop, "fit": lambda: epochs.append(epoch_s(measured))}, ROUNDS)
    settings = EnsembleSettings()
    everyone = (1 + JUDGES) * settings.members
    rows = len(mixtures) // settings.training.batch_size * settings.training.batch_size
    ours = rows / len(mixtures) / min(epochs[1:])
    published = 1 / time["loop"]
    table = Table("", "member-epochs / s", "ratio")
    table.add_row("published loop", f"{published:.2f}", "1")
    for what, members in (
        (f"{everyone} members at once, all counted", everyone),
        (f"the {settings.members} that predict, in the same time", settings.members),
    ):
        table.add_row(what, f"{members * ours:.1f}", f"{members * ours / published:.0f}")
    Console().print(table)


def epoch_s(measured: MixtureData) -> float:
    """Return the mean time of an epoch of all members, s; what comes before the second does not count."""
    ends: list[float] = []
    settings = EnsembleSettings(training=TrainingSettings(epochs=EPOCHS))
    fit_ensemble(
        measured,
        torch.arange(len(measured.target)),
        settings,
        seed=0,
        progress=lambda done, of: ends.append(perf_counter()),
    )
    return (ends[-1] - ends[0]) / (EPOCHS - 1)


if __name__ == "__main__":
    main()
