"""MolSets with descriptors beside the graphs: our own default encoder of electrolytes.

Source: Zhang et al., PRX Energy 3, 023006 (2024): graph convolutions over each molecule, attention over the
set of solvents, weights by fraction, the salt and its molality joined to the mixture. Here, unlike there:
each molecule is normalised by itself and so embedded once, whatever it is mixed with; fractions are those
among the solvents; descriptors enter beside the graph embedding; the head gives a mean and a variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch_geometric.utils import scatter

from surrogates.batches import MixtureBatch
from surrogates.encoders.convolutions import ConvolutionName, convolution
from surrogates.encoders.molsets_stacked import TRACE, bounded_variance, condition_columns
from surrogates.molecules import ATOM_FEATURES, MoleculeTable

_ATOM_SCALE = torch.tensor([*[1.0] * 7, 0.1, 0.05, 1.0, 0.5, 0.4, 0.5])
"""Brings the published atom features (`ATOM_FEATURES`) to the order of 1."""


@dataclass(frozen=True)
class MolSetsSettings:
    """Sizes of the network.

    Attributes:
        convolution: Which of the five graph convolutions.
        layers: Number of convolutions.
        hidden: Width of an atom.
        graph: Width of a molecule's learned embedding.
        attention: Width of queries and keys.
        descriptors: Principal components of the descriptors that stand beside it.
        head: Widths of the head's two hidden layers. The first costs a sum a candidate, since mixtures
            and conditions add up before it; the second is what a screen pays for.
        emphasis: Factor on molality, temperature and chain length: few among many inputs, on which the
            conductivity depends most steeply.
    """

    convolution: ConvolutionName = "GraphConv"
    layers: int = 2
    hidden: int = 8
    graph: int = 16
    attention: int = 16
    descriptors: int = 40
    head: tuple[int, int] = (256, 32)
    emphasis: float = 4.0


class MolSets(nn.Module):
    """One member. `forward = head(mix(embed(molecules), batch))`.

    Args:
        settings: Sizes.
        width: Features of a molecule that come beside its graph (`MoleculeFeatures.width`).
        variances: That it says; a student's second (`surrogates.student`) is no affair of `head`.
    """

    def __init__(self, settings: MolSetsSettings, width: int, variances: int = 1) -> None:
        super().__init__()
        self.graph_width = settings.graph
        widths = [len(ATOM_FEATURES)] + [settings.hidden] * settings.layers
        self.convolutions = nn.ModuleList(
            convolution(settings.convolution, a, b) for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(MoleculeNorm(b) for b in widths[1:])
        self.readout = nn.Linear(settings.hidden, settings.graph)
        self.query = nn.Linear(settings.graph, settings.attention)
        self.key = nn.Linear(settings.graph, settings.attention)
        self.value = nn.Linear(settings.graph, settings.graph)
        first, second = settings.head
        self.from_solvents = nn.Linear(settings.graph + width, first)
        self.from_conditions = nn.Linear(settings.graph + width + 3, first, bias=False)
        self.hidden = nn.Linear(first, second)
        self.out = nn.Linear(second, 1 + variances)
        self._start()
        self.register_buffer("solvent_shift", torch.zeros(width))
        self.register_buffer("solvent_scale", torch.ones(width))
        self.register_buffer("condition_shift", torch.zeros(width + 3))
        self.register_buffer("condition_scale", torch.ones(width + 3))
        self.solvent_shift: Tensor
        self.solvent_scale: Tensor
        self.condition_shift: Tensor
        self.condition_scale: Tensor
        self.register_buffer("emphasis", torch.tensor(settings.emphasis))
        self.emphasis: Tensor

    def _start(self) -> None:
        """Set the head's starting weights: the two parts of its first layer are one layer to them."""
        fan_in = self.from_solvents.in_features + self.from_conditions.in_features
        for layer in (self.from_solvents, self.from_conditions):
            nn.init.normal_(layer.weight, std=(2 / fan_in) ** 0.5)
        nn.init.kaiming_normal_(self.hidden.weight, nonlinearity="relu")
        nn.init.normal_(self.out.weight, std=0.3 * (2 / self.out.in_features) ** 0.5)
        for layer in (self.from_solvents, self.hidden, self.out):
            nn.init.normal_(layer.bias, std=0.1)

    def standardise(self, features: Tensor, batch: MixtureBatch) -> None:
        """Set the scales of all inputs from the training mixtures; what never varies is switched off.

        Args:
            features: `u x width`, of the molecules that `batch` points into.
            batch: The training mixtures, of one salt each.
        """
        solvents = _weighted(features[batch.solvents], batch)
        conditions = torch.cat([features[batch.salts[:, 0]], _conditions(batch)], dim=-1)
        emphasised = torch.ones(len(self.solvent_scale))
        emphasised[-2:] = self.emphasis  # chain length, polymer or not
        self.solvent_shift, self.solvent_scale = _standard(solvents, emphasised)
        emphasised = torch.ones(len(self.condition_scale))
        emphasised[-3:] = self.emphasis
        self.condition_shift, self.condition_scale = _standard(conditions, emphasised)

    def embed(self, table: MoleculeTable, features: Tensor) -> Tensor:
        """Return the embedding of each molecule, `u x (graph + width)`: learned, then given features."""
        x = table.atoms * _ATOM_SCALE.to(table.atoms)
        atoms_of = torch.bincount(table.atom_molecule, minlength=len(table)).to(x)
        for layer, norm in zip(self.convolutions, self.norms, strict=True):
            x = layer(x, table.edges, table.bond_orders)
            x = torch.relu(norm(x, table.atom_molecule, atoms_of))
        pooled = scatter(x, table.atom_molecule, dim=-2, dim_size=len(table), reduce="mean")
        return torch.cat([torch.tanh(self.readout(pooled)), features], dim=-1)

    def mix_solvents(self, embedding: Tensor, solvents: Tensor, weights: Tensor) -> Tensor:
        """Return what `m` solvent mixtures add to the head's first layer, `m x first`.

        Args:
            embedding: `u x (graph + width)`, from `embed`.
            solvents: `m x k`, int64, rows of `embedding`.
            weights: `m x k`, weight fractions; 0 in unused slots. Only their ratios matter.
        """
        fractions = weights / weights.sum(-1, keepdim=True)
        graph, given = embedding[solvents].split(
            [self.graph_width, embedding.shape[-1] - self.graph_width], dim=-1
        )
        scores = self.query(graph) @ self.key(graph).transpose(-1, -2) / self.query.out_features**0.5
        # by their logarithm, fractions weigh the attention: a trace of a solvent changes next to nothing
        presence = fractions.clamp_min(TRACE).log().unsqueeze(-2)
        attended = (scores + presence).softmax(-1) @ self.value(graph)
        learned = (fractions.unsqueeze(-1) * (graph + attended)).sum(-2)
        known = (fractions.unsqueeze(-1) * given).sum(-2)
        out: Tensor = self.from_solvents(
            torch.cat([learned, (known - self.solvent_shift) * self.solvent_scale], dim=-1)
        )
        return out

    def mix_conditions(
        self, embedding: Tensor, salt: Tensor, molality: Tensor, temperature_K: Tensor
    ) -> Tensor:
        """Return what `c` salts, molalities and temperatures add to the first layer, `c x first`."""
        learned, given = embedding[salt].split(
            [self.graph_width, embedding.shape[-1] - self.graph_width], dim=-1
        )
        known = torch.cat([given, condition_columns(molality, temperature_K)], dim=-1)
        out: Tensor = self.from_conditions(
            torch.cat([learned, (known - self.condition_shift) * self.condition_scale], dim=-1)
        )
        return out

    def mix(self, embedding: Tensor, batch: MixtureBatch) -> Tensor:
        """Return the head's first layer for each mixture, `n x first`: a sum of two parts.

        Args:
            embedding: `u x (graph + width)`, from `embed`.
            batch: `n` mixtures with one slot for salts.
        """
        return self.mix_solvents(embedding, batch.solvents, batch.weights) + self.mix_conditions(
            embedding, batch.salts[:, 0], batch.molality[:, 0], batch.temperature_K
        )

    def head(self, mixed: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the standardised target, each `n`, from `n x first`."""
        said = self.out(torch.relu(self.hidden(torch.relu(mixed))))
        return said[..., 0], bounded_variance(said[..., 1])

    def forward(self, table: MoleculeTable, features: Tensor, batch: MixtureBatch) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the standardised target for each mixture, each `n`."""
        return self.head(self.mix(self.embed(table, features), batch))


class MoleculeNorm(nn.Module):
    """Layer normalisation over all atoms and channels of a molecule, then a scale and shift a channel.

    Channels are summed before atoms are, which spares most of the scattering.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, molecule: Tensor, atoms_of: Tensor) -> Tensor:
        """Return `a x width`, each molecule at mean 0 and variance 1 before scale and shift.

        Args:
            x: `a x width`, a row an atom.
            molecule: `a`, int64, the molecule of each atom.
            atoms_of: `u`, the number of atoms of each molecule.
        """

        def mean(of_atoms: Tensor) -> Tensor:
            summed = scatter(of_atoms.mean(-1), molecule, dim_size=len(atoms_of))
            per_molecule: Tensor = summed / atoms_of
            return per_molecule[molecule].unsqueeze(-1)

        centred = x - mean(x)
        normal: Tensor = centred * (mean(centred.square()) + 1e-5).rsqrt()
        return normal * self.weight + self.bias


def _weighted(of_solvents: Tensor, batch: MixtureBatch) -> Tensor:
    return (batch.fractions().to(of_solvents).unsqueeze(-1) * of_solvents).sum(-2)


def _conditions(batch: MixtureBatch) -> Tensor:
    return condition_columns(batch.molality[:, 0], batch.temperature_K).float()


def _standard(values: Tensor, emphasis: Tensor) -> tuple[Tensor, Tensor]:
    """Return shift and scale; 0 is the scale of a column that does not vary, to switch it off."""
    shift, std = values.mean(0), values.std(0, correction=0)
    varies = std > 1e-6 * (1 + shift.abs())
    return shift, torch.where(varies, emphasis / std.clamp_min(1e-9), 0.0)
