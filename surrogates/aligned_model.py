"""A model aligned with a laboratory, and the rows by which it is, of one laboratory or of many."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from surrogates.aligned_predictor import AlignedPredictor, Places, compared
from surrogates.alignment import Alignment
from surrogates.batches import MixtureBatch
from surrogates.domain import Domain
from surrogates.ensemble import MixtureEnsemble
from surrogates.features import MoleculeFeatures
from surrogates.laboratories import Compared
from surrogates.law_ensemble import LawEnsemble
from surrogates.mixture_data import MixtureData
from surrogates.molecules import MoleculeTable

FittedModel = MixtureEnsemble | LawEnsemble
"""A model as it was trained."""


@dataclass(frozen=True)
class AlignedModel:
    """A model with a correction to a laboratory.

    Attributes:
        model: The model as it was trained.
        alignment: The correction.
    """

    model: FittedModel
    alignment: Alignment

    @property
    def target(self) -> str:
        """Name of the target with its unit."""
        return self.model.target

    @property
    def domain(self) -> Domain:
        """What is near enough to the training data; the laboratory's rows do not widen it."""
        return self.model.domain

    @property
    def features(self) -> MoleculeFeatures:
        """Of molecules, by which the domain is judged."""
        return self.model.features

    def bind(self, table: MoleculeTable) -> AlignedPredictor:
        """Return the predictor for mixtures of these molecules."""
        return AlignedPredictor(
            base=self.model.bind(table),
            alignment=self.alignment,
            places=places_of(self.model, table),
        )


def places_of(model: FittedModel, table: MoleculeTable) -> Places:
    """Return the places of the molecules of a table, by the features that judge the model's domain."""
    features, domain = model.features.of(table), model.domain
    scaled = ((features * scale).double() for scale in (domain.solvent_scale, domain.salt_scale))
    return Places(*(part / domain.threshold for part in scaled))


def compare(
    model: FittedModel, table: MoleculeTable, batch: MixtureBatch, measured: Tensor | None = None
) -> Compared:
    """Return what a model says of mixtures, and how far they are from it if they were measured.

    Args:
        model: The model.
        table: The components that `batch` points into.
        batch: `n` mixtures.
        measured: `n`, of the model's target.
    """
    base = model.bind(table)
    said = base.predict(batch.to(torch.float32))
    mean, epistemic, aleatoric = (part.double() for part in (said.mean, said.epistemic, said.aleatoric))
    return compared(base, places_of(model, table), batch, mean, epistemic, aleatoric, measured)


def unseen_laboratories(model: FittedModel, data: MixtureData, held_out: pd.DataFrame) -> list[Compared]:
    """Return the rows of each paper of a data set, and what was said of them before it was seen.

    Rows that are known to hold another conductivity than was measured (`suspect`) are left out.

    Args:
        model: Says where mixtures stand; it may have seen them.
        data: The data set.
        held_out: What was said, as `Judged.held_out` has it; splits by paper count.
    """
    name = data.target_name
    if held_out.empty:
        return []
    said = held_out[(held_out["splits"] == "paper") & (held_out["model"] == "ensemble")]
    place = pd.Series(range(len(data)), index=data.rows["row"])
    said = said.assign(place=place.loc[said["row"]].to_numpy())
    if "suspect" in data.rows:
        said = said[~data.rows["suspect"].to_numpy()[said["place"]]]
    points = places_of(model, data.table).points(data.batch)
    papers = []
    for _, paper in said.groupby("split"):
        columns = (f"{name}_mean", f"{name}_std", name)
        mean, std, measured = (torch.tensor(paper[column].to_numpy("float64")) for column in columns)
        where = points[torch.tensor(paper["place"].to_numpy())]
        papers.append(Compared((mean - model.shift) / model.scale, std, where, measured - mean))
    return papers
