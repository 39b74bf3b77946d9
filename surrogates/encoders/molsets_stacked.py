"""What `K` MolSets networks say of mixtures once molecules are embedded, from their stacked parameters.

The same numbers as `vmap` over `MolSets.mix` and `MolSets.head` gives, but a linear layer that stands before
a sum over solvents is applied to each molecule once, not to each mixture. Nothing here needs the graph
layers: what a screen sends to its workers imports neither them nor PyTorch Geometric.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, softplus

from surrogates.batches import MixtureBatch, MixtureProduct

Stacked = Mapping[str, Tensor]
"""Parameters and buffers of `K` networks by name, each `K x ...` (`Members.state`)."""

TRACE = 1e-12
"""Smallest fraction whose logarithm is taken."""
_SMALLEST_MOLALITY = 1e-4
LOG_VARIANCE = (-7.0, 3.0)
"""Range of the standardised log variance: a member is never surer than 3 % of the target's spread."""
_TILE = 192 * 5 * 256
"""Numbers of the first layer that are computed at once, rows times networks times width: what fits the cache
of one core. Of five members of the default size these are 192 rows; one small network takes more."""
_CONDITIONS = 2048
"""Conditions of a product whose part of the first layer is held at once, 10 MB for five members."""


def mix_solvents(state: Stacked, embedding: Tensor, solvents: Tensor, weights: Tensor) -> Tensor:
    """Return what `m` solvent mixtures add to the head's first layer, `K x m x first`.

    Args:
        state: The networks.
        embedding: `K x u x (graph + width)`, from `MolSets.embed`.
        solvents: `m x k`, int64, rows of `embedding`.
        weights: `m x k`, weight fractions; 0 in unused slots. Only their ratios matter.
    """
    used, slot = solvents.unique(return_inverse=True)
    graph, given = _split(state, embedding[:, used])
    given = (given - state["solvent_shift"][:, None]) * state["solvent_scale"][:, None]
    fractions = weights / weights.sum(-1, keepdim=True)
    query, key = (
        _linear(state, name, graph).index_select(1, slot.flatten()).unflatten(1, slot.shape)
        for name in ("query", "key")
    )
    scores = query @ key.mT / query.shape[-1] ** 0.5
    # The softmax of scores and log fractions; PyTorch's own is slow where rows are as short as these.
    presence = fractions.clamp_min(TRACE)[:, None] * (scores - scores.amax(-1, keepdim=True)).exp()
    attention = presence / presence.sum(-1, keepdim=True)
    heard = (fractions[..., None] * attention).sum(-2)  # K x m x k: how much of each solvent's value arrives

    # Fractions sum to 1, so that what the layer makes of a mixture is the mean of what it makes of each.
    own = _linear(state, "from_solvents", torch.cat([graph, given], dim=-1))
    value = _linear(state, "value", graph) @ state["from_solvents.weight"][..., : graph.shape[-1]].mT
    of_molecules = torch.cat([own, value], dim=1)  # K x 2 s x first
    count, both, first = of_molecules.shape
    rows = torch.cat([slot, slot + len(used)], dim=-1) + both * torch.arange(count)[:, None, None]
    shares = torch.cat([fractions.expand_as(heard), heard], dim=-1)
    summed = embedding_bag(
        rows.flatten(0, 1), of_molecules.flatten(0, 1), mode="sum", per_sample_weights=shares.flatten(0, 1)
    )
    return summed.view(count, -1, first)


def mix_conditions(
    state: Stacked, embedding: Tensor, salt: Tensor, molality: Tensor, temperature_K: Tensor
) -> Tensor:
    """Return what `c` salts, molalities and temperatures add to the first layer, `K x c x first`."""
    used, which = salt.unique(return_inverse=True)
    graph, given = _split(state, embedding[:, used])
    columns = condition_columns(molality, temperature_K)
    shift, scale = state["condition_shift"][:, None], state["condition_scale"][:, None]
    width = given.shape[-1]
    given = (given - shift[..., :width]) * scale[..., :width]
    columns = (columns - shift[..., width:]) * scale[..., width:]
    of_salt, of_columns = state["from_conditions.weight"].mT.split([graph.shape[-1] + width, 3], dim=1)
    return torch.baddbmm(
        (torch.cat([graph, given], dim=-1) @ of_salt).index_select(1, which), columns, of_columns
    )


def mix(state: Stacked, embedding: Tensor, batch: MixtureBatch) -> Tensor:
    """Return the head's first layer for each mixture, `K x n x first`; gradients reach the amounts.

    Raises:
        InputError: If a mixture holds more than one salt.
    """
    batch = batch.of_one_salt()
    return mix_solvents(state, embedding, batch.solvents, batch.weights) + mix_conditions(
        state, embedding, batch.salts[:, 0], batch.molality[:, 0], batch.temperature_K
    )


def head(state: Stacked, mixed: Tensor) -> Tensor:
    """Return standardised mean and unbounded log variances, `K x h x n`, from `K x n x first`."""
    hidden = torch.relu(_linear(state, "hidden", torch.relu(mixed)))
    return torch.baddbmm(state["out.bias"][..., None], state["out.weight"], hidden.mT)


def product_outputs(state: Stacked, embedding: Tensor, product: MixtureProduct) -> Tensor:
    """Return `head(mix(product.expand()))`, with what depends on one factor computed once."""
    solvents = mix_solvents(state, embedding, product.solvents, product.weights.to(embedding))
    outputs = solvents.new_empty(*state["out.bias"].shape, len(product))
    for first in range(0, len(product.salt), _CONDITIONS):
        some = slice(first, first + _CONDITIONS)
        conditions = mix_conditions(
            state,
            embedding,
            product.salt[some],
            product.molality[some].to(embedding),
            product.temperature_K[some].to(embedding),
        )
        _fill(outputs, state, solvents, conditions, product, first)
    return outputs.add_(state["out.bias"][..., None])


def _fill(
    outputs: Tensor,
    state: Stacked,
    solvents: Tensor,
    conditions: Tensor,
    product: MixtureProduct,
    offset: int,
) -> None:
    """Write the outputs, less their bias, of the rows of a product that hold some of its conditions.

    With `s` and `c` as what solvents and conditions add, `relu(s + c) = max(s, -c) + c`. The layer behind
    is linear, so its word on `c` is added once a condition, and a candidate costs one maximum and the
    small layers behind it. Its weights are transposed once: otherwise the multiply takes half as long again.

    Args:
        outputs: `K x h x n`, written to.
        state: The networks.
        solvents: `K x m x first`, of all solvent mixtures of the product.
        conditions: `K x c x first`, of consecutive conditions.
        product: The product.
        offset: Position of the first of the conditions among the product's.
    """
    every, each = len(product.salt), conditions.shape[1]
    # No more than conditions are held at once, so that of several mixtures all conditions are at hand.
    most = max(1, min(_CONDITIONS, _TILE // (len(solvents) * solvents.shape[-1])))
    step = max(1, most // every)
    part = -(-each // -(-each // most))
    weight = state["hidden.weight"].mT.contiguous()
    floor = -conditions[:, None]
    behind = torch.baddbmm(state["hidden.bias"][:, None], conditions, weight).repeat(1, step, 1)
    tiles = solvents.new_empty(len(solvents), step * part, solvents.shape[-1])  # once: new ones cost more
    for mixture in range(product.start // every, -(-product.stop // every), step):
        above = solvents[:, mixture : mixture + step, None]
        for condition in range(0, each, part):
            below = floor[:, :, condition : condition + part]
            first, rows = mixture * every + offset + condition, above.shape[1] * below.shape[2]
            low, high = max(product.start, first), min(product.stop, first + rows)
            if low >= high:
                continue
            tile = tiles[:, :rows]
            torch.maximum(above, below, out=tile.unflatten(1, (above.shape[1], below.shape[2])))
            meant = slice(low - first, high - first)
            hidden = torch.baddbmm(behind[:, condition:][:, meant], tile[:, meant], weight).relu_()
            outputs[..., low - product.start : high - product.start] = state["out.weight"] @ hidden.mT


def bounded_variance(log_variance: Tensor) -> Tensor:
    """Return the variance, its logarithm bent smoothly into the range that is allowed."""
    low, high = LOG_VARIANCE
    return (low + softplus(high - softplus(high - log_variance) - low)).exp()


def condition_columns(molality: Tensor, temperature_K: Tensor) -> Tensor:
    """Return how molality [mol/kg] and temperature [K] enter the network, `n x 3`."""
    molality = molality.clamp_min(_SMALLEST_MOLALITY)
    return torch.stack([molality.log10(), molality.log1p(), 1000 / temperature_K], dim=-1)


def _split(state: Stacked, embedding: Tensor) -> tuple[Tensor, Tensor]:
    """Return the learned and the given part of an embedding."""
    graph = state["query.weight"].shape[-1]
    return embedding[..., :graph], embedding[..., graph:]


def _linear(state: Stacked, name: str, x: Tensor) -> Tensor:
    """Return each network's linear layer of its `x`, `K x n x out`."""
    return torch.baddbmm(state[f"{name}.bias"][:, None], x, state[f"{name}.weight"].mT)
