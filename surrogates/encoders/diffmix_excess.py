"""DiffMix for excess properties: networks give the Redlich-Kister coefficients of every pair of molecules.

One PairNet says all orders of an ordered pair at once; the law does the rest: no excess of a pure component,
none of a component with itself, and no difference if components change places. Each pair that occurs is
evaluated once, however many mixtures hold it. `DiffMixPooled` is the same network without the law.

Source: Zhu et al., Nat. Commun. 15, 8649 (2024). Made here are the widths; coefficients linear in
temperature; the variance; embeddings standardised over the training molecules before they are trained, for
graphs of similar molecules start all but equal; and Legendre polynomials of `x_i - x_j`, of which PairNet
says the coefficients, since powers are so alike that theirs are learnt slowly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from numpy.polynomial.legendre import leg2poly
from torch import Tensor, nn
from torch.nn.functional import softplus

from surrogates.blends import BlendBatch
from surrogates.encoders.diffmix import GraphSettings, MoleculeGraphs
from surrogates.encoders.mixture_law import perceptron
from surrogates.laws import redlich_kister, redlich_kister_coefficients
from surrogates.molecules import MoleculeTable

_REFERENCE_K = 298.15
_SPAN_K = 50.0
"""By which temperatures differ where the second coefficients count as much as the first."""
_QUIET = -3.0
"""Added to what a network says of the noise, which softplus then makes about 5 % of the scale."""


_GRAPH = GraphSettings(dropout=0.0)


@dataclass(frozen=True)
class DiffMixExcessSettings:
    """Sizes of a `DiffMixExcess` or a `DiffMixPooled`.

    Attributes:
        order: Highest order of the Redlich-Kister series; None for no law (`DiffMixPooled`).
        graph: Of the graph network; without dropout, 0.25 in the paper, where 0.1 doubled the error.
        pair: Widths of PairNet's hidden layers.
        pooled: Width of what SubNet and PairNet say where there is no law.
        mix: Widths of MixNet's hidden layers, where there is no law.
    """

    order: int | None = 9
    graph: GraphSettings = _GRAPH
    pair: tuple[int, ...] = (128, 128)
    pooled: int = 32
    mix: tuple[int, ...] = (128, 64)


class _Embedding(nn.Module):
    """A graph network whose embeddings start with mean 0 and standard deviation 1 over known molecules."""

    def __init__(self, settings: GraphSettings) -> None:
        super().__init__()
        self.graphs = MoleculeGraphs(settings)
        self.register_buffer("shift", torch.zeros(settings.molecule))
        self.register_buffer("scale", torch.ones(settings.molecule))
        self.shift: Tensor
        self.scale: Tensor

    def standardise(self, table: MoleculeTable, atoms: Tensor) -> None:
        with torch.no_grad():
            started = self.graphs(table, atoms)
        self.shift, self.scale = started.mean(0), started.std(0, correction=0).clamp_min(1e-6)

    def forward(self, table: MoleculeTable, atoms: Tensor) -> Tensor:
        embedded: Tensor = (self.graphs(table, atoms) - self.shift) / self.scale
        return embedded


class DiffMixExcess(nn.Module):
    """One member: an excess property over composition and temperature, in the target's scale."""

    def __init__(self, settings: DiffMixExcessSettings, order: int) -> None:
        super().__init__()
        self.orders = order + 1
        self.molecules = _Embedding(settings.graph)
        self.pair_net = perceptron([2 * settings.graph.molecule, *settings.pair, 2 * self.orders + 1])
        self.floor = nn.Parameter(torch.tensor(-1.0))
        # High orders start small: a network without training draws smooth curves.
        smooth = _legendre_powers(order) / torch.arange(1.0, self.orders + 1)[:, None]
        self.register_buffer("powers", smooth)
        self.powers: Tensor

    def standardise(self, table: MoleculeTable, atoms: Tensor) -> None:
        """Let the embeddings of a table's molecules, as they are now, have mean 0 and deviation 1."""
        self.molecules.standardise(table, atoms)

    def embed(self, table: MoleculeTable, atoms: Tensor) -> Tensor:
        """Return the embedding of each molecule, `u x d`.

        Args:
            table: The `u` molecules.
            atoms: `a x 97`, from `atom_features`.
        """
        embedding: Tensor = self.molecules(table, atoms)
        return embedding

    def pair(self, embedding: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Return what two molecules do to each other.

        Args:
            embedding: `u x d`, from `embed`.
            pairs: `2 x p`, rows of `embedding`.

        Returns:
            Coefficients of Legendre polynomials over their number from 1, `p x 2 x (N + 1)`: those at
            298.15 K and their change per 50 K; and the standard deviation of a measurement in the middle,
            `p`, less what all mixtures have.
        """
        ab, ba, own = _ordered(self.pair_net, embedding, pairs)
        aa, bb = own[pairs[0]], own[pairs[1]]
        both_ways = torch.stack([aa, ab, ba, bb], dim=1).unflatten(1, (2, 2))  # p x 2 x 2 x ...
        series = both_ways[..., :-1].unflatten(-1, (2, -1)).movedim(3, 1)  # p x 2 x 2 x 2 x (N + 1)
        # Legendre polynomials are even and odd as powers are, so that the symmetries are the same.
        coefficients = redlich_kister_coefficients(series)[..., 0, 1, :]
        return coefficients, softplus((ab[:, -1] + ba[:, -1]) / 2 + _QUIET)

    def mix(self, embedding: Tensor, batch: BlendBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean and variance, each `n`, and the roughness of the pairs' curves, a number.

        The roughness is the mean over pairs of `sum_k k^2 |c_k|`, `c_k` the Legendre coefficients.

        Args:
            embedding: `u x d`, from `embed`.
            batch: `n` mixtures of these molecules.
        """
        coefficients, noise = self.pair(embedding, batch.pairs)
        order = torch.arange(self.orders)
        # Over their number from 1 here, so that k^2 becomes k^2 / (k + 1).
        rough = (coefficients.abs() * order**2 / (order + 1)).sum((1, 2)).mean()
        powers = coefficients @ self.powers
        swapped = powers * torch.where(order % 2 == 1, -1.0, 1.0)
        law = _spread(powers, swapped, batch.meeting)  # n x k x k x 2 x (N + 1)
        t = (batch.temperature_K - _REFERENCE_K) / _SPAN_K
        mean = redlich_kister(batch.x, law[..., 0, :] + t[:, None, None, None] * law[..., 1, :])
        weight = batch.x[:, :, None] * batch.x[:, None, :]
        uneven = 2 * (weight * _spread(noise, noise, batch.meeting)).sum((1, 2))
        return mean, (softplus(self.floor + _QUIET) + uneven).square(), rough

    def forward(self, table: MoleculeTable, atoms: Tensor, batch: BlendBatch) -> tuple[Tensor, Tensor]:
        """Return mean and variance in the target's scale, each `n`."""
        mean, variance, _ = self.mix(self.embed(table, atoms), batch)
        return mean, variance


class DiffMixPooled(nn.Module):
    """One member without a law: MixNet says the property of the pooled mixture and its temperature.

    It has an excess for a pure component too; only the order of components does not matter.
    """

    def __init__(self, settings: DiffMixExcessSettings) -> None:
        super().__init__()
        width, pooled = settings.graph.molecule, settings.pooled
        self.molecules = _Embedding(settings.graph)
        self.sub_net = perceptron([width, *settings.pair, pooled])
        self.pair_net = perceptron([2 * width, *settings.pair, pooled])
        self.mix_net = perceptron([2 * pooled + 1, *settings.mix, 2])

    def standardise(self, table: MoleculeTable, atoms: Tensor) -> None:
        """See `DiffMixExcess`."""
        self.molecules.standardise(table, atoms)

    def embed(self, table: MoleculeTable, atoms: Tensor) -> Tensor:
        """See `DiffMixExcess`."""
        embedding: Tensor = self.molecules(table, atoms)
        return embedding

    def mix(self, embedding: Tensor, batch: BlendBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean and variance, each `n`, and 0; see `DiffMixExcess`."""
        ab, ba, own = _ordered(self.pair_net, embedding, batch.pairs)
        weight = batch.x[:, :, None] * batch.x[:, None, :]
        x = batch.x.unsqueeze(-1)
        pairs = (weight.unsqueeze(-1) * _spread(ab, ba, batch.meeting)).sum((1, 2))
        pairs = pairs + (x.square() * own[batch.molecules]).sum(1)
        species = (x * self.sub_net(embedding)[batch.molecules]).sum(1)
        t = (batch.temperature_K.unsqueeze(-1) - _REFERENCE_K) / _SPAN_K
        said = self.mix_net(torch.cat([species, pairs, t], dim=-1))
        return said[:, 0], softplus(said[:, 1] + _QUIET).square() + 1e-8, x.new_zeros(())

    def forward(self, table: MoleculeTable, atoms: Tensor, batch: BlendBatch) -> tuple[Tensor, Tensor]:
        """Return mean and variance in the target's scale, each `n`."""
        mean, variance, _ = self.mix(self.embed(table, atoms), batch)
        return mean, variance


def excess_network(settings: DiffMixExcessSettings) -> DiffMixExcess | DiffMixPooled:
    """Return a new network with the law of the settings, or without one, that drops nothing out yet."""
    if settings.order is None:
        return DiffMixPooled(settings).eval()
    return DiffMixExcess(settings, settings.order).eval()


def _ordered(pair_net: nn.Module, embedding: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what PairNet says of pairs, of pairs in the other order, and of each molecule with itself."""
    a, b = pairs
    every = torch.arange(len(embedding))
    one, other = embedding[torch.cat([a, b, every])], embedding[torch.cat([b, a, every])]
    said = pair_net(torch.cat([one, other], dim=-1))
    ab, ba, own = said.split([len(a), len(a), len(every)])
    return ab, ba, own


def _spread(ab: Tensor, ba: Tensor, meeting: Tensor) -> Tensor:
    """Return `n x k x k x ...` of what is known of pairs, `p x ...`; 0 of a molecule with itself."""
    nothing = ab.new_zeros((1, *ab.shape[1:]))
    return torch.cat([ab, ba, nothing])[meeting]


def _legendre_powers(order: int) -> Tensor:
    """Return the coefficients of powers in the Legendre polynomials to an order, a row a polynomial."""
    matrix = torch.zeros(order + 1, order + 1)
    for degree in range(order + 1):
        matrix[degree, : degree + 1] = torch.from_numpy(leg2poly([0.0] * degree + [1.0])).float()
    return matrix
