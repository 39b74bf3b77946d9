"""Encoder and Gaussian process trained together: one member learns to embed so that the process fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

import torch
from torch import Tensor

from surrogates.ensemble import OccasionalEmbedding
from surrogates.gaussian_process import GaussianProcess, matern
from surrogates.gp import MixtureGP
from surrogates.gp_fitting import fit_inputs, fit_process, interval, posterior_of
from surrogates.gp_predictor import GPInputs, columns_of
from surrogates.judged_ensemble import AnyJudgedEnsemble
from surrogates.members import Members
from surrogates.mixing import Encoder, mixing_inputs
from surrogates.mixture_data import MixtureData
from surrogates.prediction import UNCALIBRATED
from surrogates.splits import holdouts

_STEPS = 200
_WATCH_EVERY = 20
_ROWS = 256
"""Of a step: the marginal likelihood of so many rows stands for that of all."""
_KNOWN = 500
"""Rows that the process is given when it is watched."""
_HOLDOUT = 0.1
_ENCODER_RATE, _KERNEL_RATE = 1e-4, 3e-3
"""At three times these a MolSets split came out worse at random and with an unseen solvent."""


def fit_deep_kernel(
    judged: AnyJudgedEnsemble, seed: int, progress: Callable[[int, int], None] = lambda done, of: None
) -> MixtureGP:
    """Fit a process and the first member's encoder together, from where the ensemble's training has ended.

    Steps of Adam on the log marginal likelihood of random rows. Of all states looked at, the first included,
    that is kept which says a tenth of the mixtures best. The interval comes from the judges, as in `fit_gp`.

    Args:
        judged: The ensemble and its judge.
        seed: Of the draws.
        progress: Called with the steps done and their number.

    Source: Wilson et al., AISTATS 2016; Chen et al., NeurIPS 2020, for rows by the batch.
    """
    data, everything = judged.data, torch.arange(len(judged.data))
    done = count(1)
    steps = (1 + len(judged.judges)) * _STEPS

    def fitted(encoder: Encoder, rows: Tensor) -> MixtureGP:
        return _fitted(encoder, data, rows, seed, lambda: progress(next(done), steps))

    unseen = judged.unseen(fitted)
    return replace(fitted(judged.model, everything), calibration=interval(unseen))


@dataclass(frozen=True)
class _State:
    """All that is learnt together, by name; `members.` are the encoder's."""

    network: Members
    inputs: GPInputs
    tensors: dict[str, Tensor]

    def members(self) -> Members:
        mine = {n.removeprefix("members."): t for n, t in self.tensors.items() if n.startswith("members.")}
        return Members(self.network.network, mine, self.network.buffers)

    def inputs_of(self, mixed: Tensor, columns: Tensor) -> Tensor:
        return replace(self.inputs, directions=self.tensors["directions"]).of(mixed, columns)

    def hyperparameters(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return lengthscale, constant and noise."""
        return self.tensors["lengthscale"].exp(), self.tensors["constant"], self.tensors["noise"].exp()


def _fitted(
    encoder: Encoder, data: MixtureData, rows: Tensor, seed: int, progress: Callable[[], None]
) -> MixtureGP:
    encoder = replace(encoder, members=encoder.members[:1])
    y = ((data.target - encoder.shift) / encoder.scale).double()
    columns = columns_of(encoder.features.of(data.table), data.batch)
    mixed = mixer(encoder, data)
    start = _start(encoder, mixed, columns, y, rows, seed)
    best = _trained(start, mixed, columns, y, data, rows, seed, progress)
    encoder = replace(encoder, members=best.members())
    with torch.no_grad():
        x = best.inputs_of(encoder.bind(data.table).mixed(data.batch[rows]), columns[rows])
    inputs = replace(best.inputs, directions=best.tensors["directions"])
    process = posterior_of(x, y[rows], *best.hyperparameters())
    return MixtureGP(encoder, inputs, process, UNCALIBRATED)


def _start(encoder: Encoder, mixed: Mixer, columns: Tensor, y: Tensor, rows: Tensor, seed: int) -> _State:
    with torch.no_grad():
        embedded = mixed(encoder.members, rows)
    inputs = fit_inputs(embedded, columns[rows])
    process = fit_process(inputs.of(embedded, columns[rows])[:_KNOWN], y[rows][:_KNOWN], seed, "exact")
    tensors = {f"members.{name}": tensor for name, tensor in encoder.members.parameters.items()}
    tensors |= {
        "directions": inputs.directions,
        "lengthscale": process.lengthscale.log(),
        "constant": process.constant,
        "noise": process.noise.log(),
    }
    return _State(encoder.members, inputs, tensors)


def _trained(
    start: _State,
    mixed: Mixer,
    columns: Tensor,
    y: Tensor,
    data: MixtureData,
    rows: Tensor,
    seed: int,
    progress: Callable[[], None],
) -> _State:
    mixtures = torch.tensor(data.rows["mixture"].to_numpy())[rows]
    learns = holdouts(mixtures, 1, _HOLDOUT, seed)[0]
    taught, held = rows[learns], rows[~learns]
    learning = {name: t.detach().clone().requires_grad_() for name, t in start.tensors.items()}
    state = replace(start, tensors=learning)
    groups = [
        {"params": [t for n, t in learning.items() if n.startswith("members.")], "lr": _ENCODER_RATE},
        {"params": [t for n, t in learning.items() if not n.startswith("members.")], "lr": _KERNEL_RATE},
    ]
    optimiser = torch.optim.Adam(groups)
    generator = torch.Generator().manual_seed(seed)

    def some(number: int) -> Tensor:
        return taught[torch.randperm(len(taught), generator=generator)[:number]]

    known = some(_KNOWN)
    least, best = torch.inf, start.tensors
    for step in range(_STEPS + 1):
        if step % _WATCH_EVERY == 0 and len(held):
            now = _negative_log_density(state, mixed, columns, y, known, held)
            if now < least:
                least, best = now, {name: t.detach().clone() for name, t in learning.items()}
        if step < _STEPS:
            drawn = some(_ROWS)
            x = state.inputs_of(mixed(state.members(), drawn), columns[drawn])
            loss = _negative_evidence(x, y[drawn], *state.hyperparameters())
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            progress()
    return replace(start, tensors=best)


def _negative_evidence(x: Tensor, y: Tensor, lengthscale: Tensor, constant: Tensor, noise: Tensor) -> Tensor:
    """Return the negative log marginal likelihood a row."""
    covariance = matern(x, x, lengthscale) + noise * torch.eye(len(x), dtype=x.dtype)
    normal = torch.distributions.MultivariateNormal(
        constant.expand(len(x)), scale_tril=torch.linalg.cholesky(covariance)
    )
    return torch.as_tensor(-normal.log_prob(y) / len(x))


def _negative_log_density(
    state: _State, mixed: Mixer, columns: Tensor, y: Tensor, known: Tensor, held: Tensor
) -> float:
    """Return how badly rows are said that were held out, a row, from some that were not."""
    with torch.no_grad():
        x, asked = (state.inputs_of(mixed(state.members(), rows), columns[rows]) for rows in (known, held))
        process = GaussianProcess.exact(x, y[known], *state.hyperparameters())
        mean, variance = process.mean_and_variance(asked)
        variance = variance + process.noise
        return float(((y[held] - mean).square() / variance + variance.log()).mean())


Mixer = Callable[[Members, Tensor], Tensor]
"""What members make of rows given as indices, `K x rows x e`, with gradients to their parameters."""


def mixer(encoder: Encoder, data: MixtureData) -> Mixer:
    """Return what embeds the rows of a data set by members of the shape of an ensemble's."""
    molecules, batch = mixing_inputs(encoder, data)
    embed = OccasionalEmbedding(*molecules)
    return lambda members, rows: torch.as_tensor(members.each("mix", batch[rows], mine=(embed(members),)))
