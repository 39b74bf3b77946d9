"""What members' `embed` and `mix` take of a data set, whichever the encoder."""

from __future__ import annotations

from typing import Any

import torch

from surrogates.batches import MixtureBatch
from surrogates.ensemble import MixtureEnsemble
from surrogates.law_ensemble import LawEnsemble, species_inputs
from surrogates.mixture_data import MixtureData
from surrogates.species import Speciation, SpeciesBatch

Encoder = MixtureEnsemble | LawEnsemble


def mixing_inputs(encoder: Encoder, data: MixtureData) -> tuple[tuple[Any, ...], MixtureBatch | SpeciesBatch]:
    """Return what `embed` takes of the molecules, and what `mix` takes of the rows beside the embedding.

    Args:
        encoder: An ensemble; only its kind and its features are looked at.
        data: The rows.
    """
    batch = data.batch.to(torch.float32)
    if isinstance(encoder, MixtureEnsemble):
        return (data.table, encoder.features.of(data.table)), batch
    speciation = Speciation.of(data.table.components)
    return species_inputs(speciation.table), speciation.split(batch)
