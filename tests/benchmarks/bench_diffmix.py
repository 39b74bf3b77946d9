"""How fast law ensembles train and screen, beside a one-mixture-at-a-time loop and the MolSets ensemble.

    python -m tests.benchmarks.bench_diffmix

The epoch is one over the 11,022 distinct conductivities of the DiffMix data. The loop trains one network of
the same modules: for each mixture it embeds that mixture's species, featurised beforehand, mixes, and goes
back; it steps once a batch's worth of mixtures. It is timed on a sample and scaled up. Ours pays for watching
the validation error, and in the first line for the networks that only calibrate the ensemble. Both sides may
use all cores and run in turns; what comes before the first epoch counts on neither. Then the time of whole
fits and their error on the first random split, in epochs of that loop, of which a training of its own takes
hundreds. Screening is of the bundled space, its mixtures decoded and their domain told; training decides no
time, so each ensemble has one epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from time import perf_counter

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from activelearn.screening import BLOCK
from activelearn.spaces import MixtureSpace
from campaigns.screen import choose_screen
from surrogates.calibration_rows import JUDGES, parts_of
from surrogates.datasets import load_dataset
from surrogates.encoders.diffmix import DiffMix
from surrogates.ensemble import EnsembleSettings, fit_ensemble
from surrogates.law_ensemble import LawSettings, fit_law_ensemble, species_inputs
from surrogates.law_training import distinct_rows, train_on_property
from surrogates.members import Members, beta_nll
from surrogates.mixture_data import MixtureData
from surrogates.molecules import MoleculeTable
from surrogates.prediction import Predictor
from surrogates.species import Speciation, SpeciesBatch
from surrogates.splits import random_splits
from surrogates.training import TrainingSettings
from tests.benchmarks.measuring import in_turns, public_data

ROUNDS = 3
EPOCHS = 3
"""The last of three watches the validation error, as about a third of a whole training's do."""
SETTINGS = LawSettings()
SIZE = SETTINGS.training.batch_size
LOOPED = SIZE
"""Mixtures of the loop a round: a batch's worth, so that it steps once."""
BUDGETS = (25, 50, 100, 200)
"""Epochs of whole fits."""
PAPER_MS_CM = 0.044


def main() -> None:
    """Print the ratios of training, the time to an accuracy and the rates of screening."""
    data_dir, _ = public_data()
    everything = load_dataset("diffmix", data_dir)
    data = everything.take(distinct_rows(everything, torch.arange(len(everything))).nonzero()[:, 0])
    loop = Loop.of(data)
    times: dict[str, list[float]] = {"all": [], "five": []}
    count = SETTINGS.members
    jobs = {
        "loop": loop.epoch,
        "all": lambda: times["all"].append(epoch_s(data, (1 + JUDGES) * count)),
        "five": lambda: times["five"].append(epoch_s(data, count)),
    }
    looped = in_turns(jobs, ROUNDS)["loop"] * len(data) / LOOPED
    table = Table(f"an epoch of {len(data):,} mixtures", "time of the loop / this", "member-epochs / s")
    table.add_row("the loop, one network", "1", "1")
    for what, name, members in (
        (f"{count} that predict, and {JUDGES} judges", "all", (1 + JUDGES) * count),
        (f"{count} that predict", "five", count),
    ):
        ratio = looped / median(times[name][1:])
        table.add_row(what, f"{ratio:.0f}", f"{members * ratio:.0f} times the loop's")
    Console().print(table)
    to_accuracy(everything, looped)
    torch.set_num_threads(1)
    screening(data)


def to_accuracy(data: MixtureData, looped: float) -> None:
    """Print the error and the time of whole fits, published form, on the first random split.

    Args:
        data: All rows.
        looped: Time of an epoch of the loop, s.
    """
    (split,) = random_splits(len(data), 1, test_fraction=0.1)
    mS_cm = 10 ** (data.target[split.test] + 3)
    title = f"whole fits of {SETTINGS.members} members and {JUDGES} judges (paper: {PAPER_MS_CM} mS/cm)"
    table = Table("epochs", "MAE, mS/cm", "epochs of the loop", "s", title=title)
    for epochs in BUDGETS:
        training = replace(SETTINGS.training, epochs=epochs)
        settings = replace(SETTINGS, encoder=replace(SETTINGS.encoder, facts=False), training=training)
        start = perf_counter()
        model = fit_law_ensemble(data, split.train, settings, seed=0)
        taken = perf_counter() - start
        said = model.bind(data.table).predict(data.batch[split.test]).mean.double()
        error = float((10 ** (said + 3) - mS_cm).abs().mean())
        table.add_row(f"{epochs}", f"{error:.3f}", f"{taken / looped:.1f}", f"{taken:.0f}")
    Console().print(table)


@dataclass(frozen=True)
class Mixture:
    """A mixture as the loop takes it.

    Attributes:
        species: Their table, atoms and facts, as `DiffMix.embed` takes them.
        batch: One row over them.
    """

    species: tuple[MoleculeTable, Tensor, Tensor]
    batch: SpeciesBatch


@dataclass(frozen=True)
class Loop:
    """One network that meets mixtures one after the other.

    Attributes:
        network: It.
        optimiser: Its.
        mixtures: Those of the sample.
        target: Theirs, standardised.
    """

    network: DiffMix
    optimiser: torch.optim.Optimizer
    mixtures: Sequence[Mixture]
    target: Tensor

    @staticmethod
    def of(data: MixtureData) -> Loop:
        """Return a new network and a sample of the data, drawn at random."""
        rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:LOOPED]
        torch.manual_seed(0)
        network = DiffMix(SETTINGS.encoder)
        network.law.standardise(data.batch.temperature_K, data.target)
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
        target = ((data.target - data.target.mean()) / data.target.std()).float()
        return Loop(network, optimiser, [_alone(data, row) for row in rows.tolist()], target[rows])

    def epoch(self) -> None:
        """Go through the sample once, forward and back mixture by mixture."""
        for number, (mixture, target) in enumerate(zip(self.mixtures, self.target, strict=True), 1):
            mean, variance = self.network(*mixture.species, mixture.batch)
            loss = (mean - target).abs() + beta_nll(target, mean.detach(), variance, 0.0)
            (loss.sum() / SIZE).backward()
            if number % SIZE == 0:
                self.optimiser.step()
                self.optimiser.zero_grad(set_to_none=True)


def _alone(data: MixtureData, row: int) -> Mixture:
    one = data.take(torch.tensor([row]))
    speciation = Speciation.of(one.table.components)
    batch = speciation.split(one.batch.to(torch.float32))
    return Mixture(species_inputs(speciation.table), batch)


def epoch_s(data: MixtureData, members: int) -> float:
    """Return the time of an epoch of so many members, trained as `fit_law_ensemble` does, s."""
    speciation = Speciation.of(data.table.components)
    batch, inputs = speciation.split(data.batch.to(torch.float32)), species_inputs(speciation.table)
    networks = [DiffMix(SETTINGS.encoder) for _ in range(members)]
    for network in networks:
        network.law.standardise(data.batch.temperature_K, data.target)
    parts = parts_of(data, SETTINGS.members, SETTINGS.holdout, seed=0)
    trains, validates = parts.trains[:members], parts.validates[:members]

    def outputs(learner: Members, rows: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = learner.each("forward", *inputs, batch[rows])
        return mean, variance

    settings = TrainingSettings(epochs=EPOCHS, batch_size=SIZE, learning_rate=SETTINGS.training.learning_rate)
    start = perf_counter()
    train_on_property(Members.of(networks), outputs, data.target, trains, validates, settings, seed=0)
    return (perf_counter() - start) / EPOCHS


def screening(data: MixtureData) -> None:
    """Print how many candidates of the bundled space either ensemble predicts a second."""
    once = partial(TrainingSettings, epochs=1)
    everything = torch.arange(len(data))
    law = fit_law_ensemble(data, everything, LawSettings(training=once(batch_size=1024)), seed=0)
    some = data.take(everything[::50])
    sets = fit_ensemble(some, torch.arange(len(some)), EnsembleSettings(taught=0, training=once()), seed=0)
    space = choose_screen("electrolytes", top_k=None).space.space()
    jobs = {
        name: partial(_predict, model.bind(space.table), space)
        for name, model in (("law ensemble", law), ("MolSets ensemble", sets))
    }
    time = in_turns(jobs, ROUNDS)
    table = Table("screening", "candidates / s", "of the MolSets ensemble's")
    for name, taken in time.items():
        share = time["MolSets ensemble"] / taken
        table.add_row(name, f"{len(space) / taken:,.0f}", f"{share:.1%}")
    Console().print(table)


def _predict(predictor: Predictor, space: MixtureSpace) -> None:
    with torch.inference_mode():
        for start in range(0, len(space), BLOCK):
            predictor.predict(space[start : start + BLOCK])


if __name__ == "__main__":
    main()
