"""The published MolSets network: its architecture, its weights and its predictions."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch_geometric.utils import scatter

from surrogates.batches import MixtureBatch, check_one_salt
from surrogates.encoders.convolutions import ConvolutionName, convolution
from surrogates.errors import InputError, Problem
from surrogates.molecules import ATOM_FEATURES, MoleculeTable

HIDDEN = 16
EMBEDDING = 32
ATTENTION = 16
LAYERS = 3
WEIGHTS_FILE = "molsets_checkpoint.safetensors"
FACTS_FILE = "molsets_checkpoint.json"
_OWN_NAMES = {
    "phi": "solvents",
    "phi_salt": "salts",
    "convs": "convolutions",
    "fc": "readout",
    "att_q_net": "query",
    "att_k_net": "key",
    "att_v_net": "value",
    "rho": "head",
}


class SetNorm(nn.Module):
    """Layer norm of the published kind: one mean and deviation for all atoms and channels of a set.

    Args:
        n_channels: Width of its input.
    """

    epsilon = 1e-5

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_channels))
        self.bias = nn.Parameter(torch.zeros(n_channels))

    def forward(self, x: Tensor, sets: Tensor, n_sets: int) -> Tensor:
        """Return `a x c`, normalised within each of `n_sets` sets; `sets` is `a`, the set of each atom."""
        centred = x - _mean(x.mean(-1, keepdim=True), sets, n_sets)[sets]
        deviation = _mean(centred.square().mean(-1, keepdim=True), sets, n_sets).sqrt()
        # epsilon joins the deviation, not the variance, as in PyTorch Geometric without a batch vector
        return centred / (deviation[sets] + self.epsilon) * self.weight + self.bias


class SetEmbedding(nn.Module):
    """Embeds the molecules of sets; what a molecule becomes depends on the others of its set.

    Convolutions, each followed by the one shared norm and ReLU; mean over atoms; log10 of the molar mass
    joined on; linear; tanh. D-MPNN is one layer that passes messages three times, and has no norm.

    Args:
        name: Which convolution.
        molar_mass: Whether log10 of the molar mass is joined on: for solvents, not for salts.
    """

    def __init__(self, name: ConvolutionName, molar_mass: bool) -> None:
        super().__init__()
        layers = 1 if name == "DMPNN" else LAYERS
        widths = [len(ATOM_FEATURES), *[HIDDEN] * layers]
        self.convolutions = nn.ModuleList(convolution(name, *pair) for pair in pairwise(widths))
        self.norm = None if name == "DMPNN" else SetNorm(HIDDEN)
        self.molar_mass = molar_mass
        self.readout = nn.Linear(HIDDEN + molar_mass, EMBEDDING)

    def forward(self, table: MoleculeTable, sets: Tensor) -> Tensor:
        """Return the embedding of each molecule in each set.

        Args:
            table: The molecules.
            sets: `s x k`, int64, rows of the table; `len(table)` marks an unused slot.

        Returns:
            `s x k x 32`, zero in unused slots.
        """
        used = sets < len(table)
        molecules = sets[used]  # a copy of a molecule for each set that it stands in
        atoms, atom_copy, shift = _copies(table.atom_molecule, molecules)
        bonds, bond_copy, _ = _copies(table.atom_molecule[table.edges[0]], molecules)
        edges = table.edges[:, bonds] + shift[bond_copy]
        atom_set = used.nonzero()[:, 0][atom_copy]
        x = table.atoms[atoms].to(self.readout.weight.dtype)
        for layer in self.convolutions:
            x = layer(x, edges, table.bond_orders[bonds])
            x = torch.relu(x if self.norm is None else self.norm(x, atom_set, len(sets)))
        x = _mean(x, atom_copy, len(molecules))
        if self.molar_mass:
            x = torch.cat([x, table.log_molar_mass[molecules, None].to(x.dtype)], dim=-1)
        x = torch.tanh(self.readout(x))
        return x.new_zeros(*sets.shape, EMBEDDING).index_put(used.nonzero(as_tuple=True), x)


class PublishedMolSets(nn.Module):
    """MolSets as published: log10 conductivity [S/cm] at 298 K of mixtures of solvents with a salt.

    Each distinct solvent set and each distinct salt is embedded once; what remains for each mixture is
    a weighted sum and the head. Weights are used as they come, and molality unscaled.

    Args:
        name: Which convolution; the published weights are GraphConv's.

    Source: Zhang et al., PRX Energy 3, 023006 (2024), and its repository Henrium/MolSets, which decides
    where the two differ: one norm over all solvents of a mixture, attention normalised over queries.
    """

    target_mean: Tensor
    target_std: Tensor

    def __init__(self, name: ConvolutionName = "GraphConv") -> None:
        super().__init__()
        self.solvents = SetEmbedding(name, molar_mass=True)
        self.salts = SetEmbedding(name, molar_mass=False)
        self.query = nn.Linear(EMBEDDING, ATTENTION)
        self.key = nn.Linear(EMBEDDING, ATTENTION)
        self.value = nn.Linear(EMBEDDING, EMBEDDING)
        self.head = nn.Sequential(
            nn.Linear(2 * EMBEDDING + 1, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, 1),
        )
        self.register_buffer("target_mean", torch.zeros(()))
        self.register_buffer("target_std", torch.ones(()))

    def embed(self, table: MoleculeTable, sets: Tensor) -> Tensor:
        """Return what each solvent of each set contributes to a mixture, by attention over the set.

        Args:
            table: The molecules.
            sets: `s x k`, int64, rows of the table; `len(table)` marks an unused slot.

        Returns:
            `s x k x 32`.
        """
        h = self.solvents(table, sets)
        unused = sets == len(table)
        scores = self.query(h) @ self.key(h).mT / ATTENTION**0.5
        # An unused slot asks nothing: the softmax over queries must not count it.
        attention = scores.masked_fill(unused[..., None], -torch.inf).softmax(dim=-2)
        attended: Tensor = attention @ self.value(h).masked_fill(unused[..., None], 0)
        return attended

    def mix(self, embedding: Tensor, which: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted sum over solvents, `n x 32`.

        Args:
            embedding: `s x k x 32`, from `embed`.
            which: `n`, the set of each mixture.
            weights: `n x k`, in the order of the set.
        """
        return (weights[:, None, :] @ embedding[which])[:, 0]

    def forward(self, table: MoleculeTable, batch: MixtureBatch) -> Tensor:
        """Return the standardised target, `n`.

        Args:
            table: The molecules that `batch` points into.
            batch: `n` mixtures; their temperature is not looked at.

        Raises:
            InputError: If a mixture holds more than one salt.
        """
        dtype = self.target_mean.dtype
        batch = batch.of_one_salt()
        sets, which, weights = _distinct_sets(batch, unused=len(table))
        salts, which_salt = torch.unique(batch.salts[:, 0], return_inverse=True)
        mixture = self.mix(self.embed(table, sets), which, weights.to(dtype))
        salt = self.salts(table, salts[:, None])[which_salt, 0]
        out: Tensor = self.head(torch.cat([mixture, salt, batch.molality.to(dtype)], dim=-1))
        return out.squeeze(-1)

    @torch.no_grad()
    def predict(self, table: MoleculeTable, batch: MixtureBatch) -> Tensor:
        """Return log10 of the conductivity [S/cm] at 298 K, `n`; arguments as in `forward`.

        Raises:
            InputError: If a mixture holds no salt or more than one.
        """
        check_one_salt(batch.salt_counts())
        return self.forward(table, batch) * self.target_std + self.target_mean


def load_published(directory: Path) -> PublishedMolSets:
    """Return the network with the published weights.

    Args:
        directory: Holds `molsets_checkpoint.safetensors`, under the names of the published script, and
            `molsets_checkpoint.json` with the `mean` and `std_population` of the `target`.

    Raises:
        InputError: If a file is missing or does not hold what it should.
    """
    weights, facts = directory / WEIGHTS_FILE, directory / FACTS_FILE
    missing = [path for path in (weights, facts) if not path.is_file()]
    if missing:
        raise InputError([Problem(str(path), "there is no such file", "Put it there.") for path in missing])
    model = PublishedMolSets()
    try:
        target = json.loads(facts.read_text(encoding="utf-8"))["target"]
        scale = {
            "target_mean": torch.tensor(float(target["mean"])),
            "target_std": torch.tensor(float(target["std_population"])),
        }
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(facts, "it does not hold the numbers target.mean and target.std_population") from error
    try:
        model.load_state_dict({_own_name(name): t for name, t in load_file(weights).items()} | scale)
    except (SafetensorError, RuntimeError) as error:
        raise _damaged(weights, "these are not the published network's weights as safetensors") from error
    return model.eval()


def _damaged(path: Path, wrong: str) -> InputError:
    return InputError(Problem(str(path), wrong, "Copy the file anew."))


def _own_name(published: str) -> str:
    return ".".join(_OWN_NAMES.get(part, part) for part in published.split("."))


def _distinct_sets(batch: MixtureBatch, unused: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the distinct solvent sets, `s x k`, each mixture's set, `n`, and its weights in that order."""
    slots, order = batch.solvents.masked_fill(batch.weights == 0, unused).sort(dim=-1)
    sets, which = torch.unique(slots, dim=0, return_inverse=True)
    return sets, which, batch.weights.gather(-1, order)


def _copies(owner: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Copy out the parts of some molecules, one molecule after the other.

    Args:
        owner: `p`, the molecule that each part (atom or edge) belongs to, ascending.
        wanted: `g`, molecules, of which some may stand there more than once.

    Returns:
        The `q` parts to copy; the copy, of `g`, that each belongs to; how far each copy moved, `g`.
    """
    first = torch.searchsorted(owner, wanted)
    count = torch.searchsorted(owner, wanted, right=True) - first
    shift = count.cumsum(0) - count - first
    copy = torch.arange(len(wanted)).repeat_interleave(count)
    return torch.arange(len(copy)) - shift[copy], copy, shift


def _mean(x: Tensor, groups: Tensor, n_groups: int) -> Tensor:
    mean: Tensor = scatter(x, groups, dim_size=n_groups, reduce="mean")
    return mean
