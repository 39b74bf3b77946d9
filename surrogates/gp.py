"""A Gaussian process on the embedding of an ensemble's encoders: a second word on what they have learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from surrogates.domain import Domain
from surrogates.features import MoleculeFeatures
from surrogates.gaussian_process import GaussianProcess
from surrogates.gp_predictor import GPInputs, GPPredictor
from surrogates.gp_tensors import process_of_tensors, process_tensors
from surrogates.mixing import Encoder
from surrogates.mixture_data import MixtureData, check_same_target
from surrogates.molecules import MoleculeTable
from surrogates.prediction import Calibration

GPForm = Literal["exact", "variational"]
Surrogate = Literal["gp", "deep-kernel"]


@dataclass(frozen=True)
class MixtureGP:
    """A fitted Gaussian process, for mixtures of any molecules.

    Attributes:
        encoder: The ensemble whose members embed mixtures; of its heads none is asked. Its domain is this
            model's, and its shift and scale standardise the target.
        inputs: What the process is told of a mixture.
        process: Of the standardised target.
        calibration: Of the interval; it leaves the variances as they are.
        rows_added: Measurements that `condition_on` has added since the fit.
    """

    encoder: Encoder
    inputs: GPInputs
    process: GaussianProcess
    calibration: Calibration
    rows_added: int = 0

    @property
    def form(self) -> GPForm:
        """Whether all rows or inducing points are the centres."""
        return "variational" if self.process.inducing else "exact"

    @property
    def surrogate(self) -> Surrogate:
        """Whether the encoder was left as it was or, one member of it, trained together with the process."""
        return "gp" if len(self.encoder.members) > 1 else "deep-kernel"

    @property
    def target(self) -> str:
        """Name of the target with its unit."""
        return self.encoder.target

    @property
    def domain(self) -> Domain:
        """What is near enough to the training data."""
        return self.encoder.domain

    @property
    def features(self) -> MoleculeFeatures:
        """Of molecules, by which the domain is judged."""
        return self.encoder.features

    def bind(self, table: MoleculeTable) -> GPPredictor:
        """Return the predictor for mixtures of these molecules; each is embedded once, here."""
        return GPPredictor(
            self.encoder.bind(table),
            self.encoder.features.of(table),
            self.inputs,
            self.process,
            self.calibration,
        )

    def condition_on(self, data: MixtureData) -> MixtureGP:
        """Return the posterior after more measurements; nothing is fitted again.

        Embedding, lengthscales, noise, interval and domain are those of the last fit.

        Args:
            data: The new rows, of any molecules.

        Raises:
            InputError: If they hold another target.
        """
        check_same_target(self.encoder.target, data)
        predictor = self.bind(data.table)
        with torch.no_grad():
            process = self.process.condition(
                predictor.inputs_of(data.batch), predictor.standardised(data.batch, data.target)
            )
        return replace(self, process=process, rows_added=self.rows_added + len(data))

    def without_last(self, rows: int) -> MixtureGP:
        """Return the posterior as if the last of the rows that `condition_on` added had not been measured.

        Args:
            rows: How many.

        Raises:
            ValueError: If there are not so many.
        """
        if not 0 <= rows <= self.rows_added:
            raise ValueError(f"{self.rows_added} rows were added; {rows} cannot be removed")
        last = torch.arange(len(self.process) - rows, len(self.process))
        return replace(self, process=self.process.without(last), rows_added=self.rows_added - rows)

    def tensors(self) -> dict[str, Tensor]:
        """Return inputs and process by name, to be saved, without what an exact process's centres give."""
        return process_tensors(self.inputs, self.process, self.rows_added)

    @staticmethod
    def of_tensors(tensors: Mapping[str, Tensor], encoder: Encoder, calibration: Calibration) -> MixtureGP:
        """Return the model whose tensors were saved.

        Raises:
            KeyError: If one is missing.
            ValueError: If one does not fit the others.
        """
        inputs, process, rows_added = process_of_tensors(tensors)
        return MixtureGP(encoder, inputs, process, calibration, rows_added)
