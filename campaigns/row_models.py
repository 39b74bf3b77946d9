"""Models that are asked about the rows of a user's file: of electrolytes, and of cathodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch

from campaigns.screen import discharge_facts, mixture_facts, model_directory
from campaigns.screen_record import ESTIMATE, estimate_columns
from surrogates.aligned_model import AlignedModel
from surrogates.batches import MixtureBatch
from surrogates.checkpoints import MixtureModel, load_model, takes_one_salt
from surrogates.composition_batches import read_formulas
from surrogates.composition_tables import CompositionData, read_compositions
from surrogates.conditions import CONDITIONS
from surrogates.discharge_models import (
    DISTILLED,
    PUBLISHED_NAME,
    AnyDischargeModel,
    DischargeProcess,
    discharge_model,
)
from surrogates.discharge_objectives import COLUMNS, DischargeObjectives, Objective, Quantity
from surrogates.errors import InputError, Problem
from surrogates.model_directories import model_kind
from surrogates.molecules import MoleculeTable
from surrogates.prediction import Prediction, together
from surrogates.quantities import Floats
from surrogates.student import Student
from surrogates.tables import candidate_mixtures, measured_mixtures
from surrogates.text_tables import TextTable

AnyMixtureModel = MixtureModel | Student | AlignedModel
_AT_ONCE = 4096
"""Rows predicted together: each is compared with all training mixtures."""
_DISCHARGE: tuple[Quantity, ...] = ("capacity", "average_voltage", "energy_Wh_kg")

_OF_MEMBERS = "standard deviations are those of the members; no measurement has scaled them"


@dataclass(frozen=True)
class Said:
    """What a model says of `n` rows.

    Attributes:
        prediction: `n x o`, of each target.
        further: Columns beside those of the targets.
    """

    prediction: Prediction
    further: Mapping[str, Any] = field(default_factory=dict)

    def columns(self, targets: tuple[str, ...]) -> pd.DataFrame:
        """Return a row for each row, in the words of a screen's `ranked.csv`."""
        said = self.prediction
        parts = (said.mean, said.epistemic.sqrt(), said.aleatoric.sqrt())
        numbers = [part.double().numpy() for part in parts]
        factor = said.interval_factor.double().numpy()
        columns: dict[str, Any] = {}
        for place, target in enumerate(targets):
            mean, epistemic, aleatoric = (number[:, place] for number in numbers)
            columns |= estimate_columns(target, mean, epistemic, aleatoric, factor)
        return pd.DataFrame({**columns, "in_domain": said.in_domain.numpy(), **self.further})


@dataclass(frozen=True)
class Rows:
    """The rows of a file as a model has read them.

    Attributes:
        report: A line for each thing that was done.
        predict: Returns what the model says of them.
        target: Name of what was measured; empty of candidates.
        measured: `n`, in the target's unit; none of candidates.
        distance: Returns how far each is from the nearest of the training data, `n`; None if that is not
            known.
        distance_limit: Beyond which a row is not in the domain.
    """

    report: tuple[str, ...]
    predict: Callable[[], Said]
    target: str = ""
    measured: Floats = field(default_factory=lambda: np.empty(0))
    distance: Callable[[], Floats] | None = None
    distance_limit: float = np.inf


class RowModel(Protocol):
    """A model that can be asked about the rows of a file."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What `scores.json` says of it."""

    @property
    def targets(self) -> tuple[str, ...]:
        """What it predicts."""

    @property
    def further(self) -> tuple[str, ...]:
        """Columns that it writes beside those of the targets and `in_domain`."""

    def read(
        self, table: TextTable, is_measured: bool, columns: Mapping[str, str], units: Mapping[str, str]
    ) -> Rows:
        """Return the rows of a file.

        Args:
            table: The file.
            is_measured: Whether the file must hold a target.
            columns: The file's header for each of our column names that it calls otherwise.
            units: The file's unit for each of our column names that is in another.

        Raises:
            InputError: With every bad header, unit and cell of the file.
        """


def written_columns(model: RowModel) -> list[str]:
    """Return the names of all columns that a model's predictions fill."""
    return [*(f"{name}_{part}" for name in model.targets for part in ESTIMATE), "in_domain", *model.further]


def choose_row_model(model: str) -> RowModel:
    """Load a model.

    Args:
        model: The name of one that ships, `drxnet-published`, or a model directory.

    Raises:
        InputError: If it is none, or one of excess properties.
    """
    if model in (DISTILLED, PUBLISHED_NAME):
        return CathodeRows(discharge_model(model))
    directory = model_directory(model)
    if model_kind(directory) == "discharge":
        return CathodeRows(discharge_model(directory))
    return MixtureRows(load_model(directory), mixture_facts(directory))


@dataclass(frozen=True)
class MixtureRows:
    """A model of electrolytes."""

    model: AnyMixtureModel
    facts: Mapping[str, Any]
    further: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """What it predicts, one."""
        return (self.model.target,)

    def read(
        self, table: TextTable, is_measured: bool, columns: Mapping[str, str], units: Mapping[str, str]
    ) -> Rows:
        """Return the rows of a file as `RowModel.read` says."""
        if not is_measured:
            found = candidate_mixtures(table, columns, units)
            check_salts(self.model, found.batch, found.rows, table.file)
            return Rows(found.report, lambda: self._predict(found.table, found.batch, found.rows, table.file))
        data = measured_mixtures(table, self.model.target, columns, units)
        check_salts(self.model, data.batch, data.rows, table.file)
        return Rows(
            report=data.report,
            predict=lambda: self._predict(data.table, data.batch, data.rows, table.file),
            target=data.target_name,
            measured=data.target.numpy(),
            distance=lambda: self._distance(data.table, data.batch),
            distance_limit=self.model.domain.threshold,
        )

    def _predict(self, table: MoleculeTable, batch: MixtureBatch, rows: pd.DataFrame, file: str) -> Said:
        predictor = self.model.bind(table)
        said = joined([predictor.predict(part) for part in _parts(batch)])
        check_finite(said, rows["row"], self.targets, file)
        return Said(said)

    def _distance(self, table: MoleculeTable, batch: MixtureBatch) -> Floats:
        domain = self.model.domain.bind(table, self.model.features)
        return torch.cat([domain.distance(part) for part in _parts(batch)]).double().numpy()


@dataclass(frozen=True)
class CathodeRows:
    """A model of discharge profiles, asked for what a test of each row would report."""

    model: AnyDischargeModel
    further: tuple[str, ...] = ("warning",)

    @property
    def targets(self) -> tuple[str, ...]:
        """What it predicts; a Gaussian process the capacity alone."""
        return tuple(COLUMNS[quantity] for quantity in self._quantities)

    @property
    def _quantities(self) -> tuple[Quantity, ...]:
        return ("capacity",) if isinstance(self.model, DischargeProcess) else _DISCHARGE

    @property
    def facts(self) -> Mapping[str, Any]:
        """What `scores.json` says of it."""
        return discharge_facts(self.model)

    def read(
        self, table: TextTable, is_measured: bool, columns: Mapping[str, str], units: Mapping[str, str]
    ) -> Rows:
        """Return the rows of a file as `RowModel.read` says."""
        target = self._measured(table, columns) if is_measured else None
        data = read_compositions(table, target, columns, units, self.model.card.domain.ranges)
        measured = np.empty(0) if target is None else data.rows[target].to_numpy(dtype=np.float64)
        report = data.report if isinstance(self.model, DischargeProcess) else (*data.report, _OF_MEMBERS)
        return Rows(report, lambda: self._predict(data), target or "", measured)

    def _measured(self, table: TextTable, columns: Mapping[str, str]) -> str:
        """Return which of the targets a file holds.

        Raises:
            InputError: If it holds none, or several.
        """
        header = {*table.cells, *columns}
        there = [name for name in self.targets if name in header]
        if len(there) == 1:
            return there[0]
        wrong = (
            f"{' and '.join(there) or 'none'} of the columns {', '.join(self.targets)} came; one is needed"
        )
        mend = "Keep the one that is to be judged, or map a header to it in columns."
        raise InputError(Problem(table.file, wrong, mend))

    def _predict(self, data: CompositionData) -> Said:
        """Ask for the distinct compositions of each condition at once."""
        order, parts = [], []
        for _, rows in data.rows.groupby(list(CONDITIONS), sort=False):
            rate, V_low, V_high, cycle = (float(rows[name].iloc[0]) for name in CONDITIONS)
            asked = tuple(Objective(COLUMNS[of], of, rate, V_low, V_high, cycle) for of in self._quantities)
            place, formulas = pd.factorize(rows["formula"])
            table, batch = read_formulas(list(formulas), f"{data.source}, formulas")
            predictor = DischargeObjectives(self.model, asked).bind(table)
            parts.append(_take(predictor.predict(batch), torch.from_numpy(place)))
            order.append(rows.index.to_numpy())
        back = torch.from_numpy(np.concatenate(order).argsort())
        said = _take(joined(parts), back)
        check_finite(said, data.rows["row"], self.targets, data.source)
        return Said(said, {"warning": data.rows["warning"].to_numpy()})


def check_salts(model: AnyMixtureModel, batch: MixtureBatch, rows: pd.DataFrame, file: str) -> None:
    """Refuse rows that hold another number of salts than the model takes.

    Raises:
        InputError: With every such row.
    """
    if takes_one_salt(model):
        refuse_other_salts(batch, rows, file)


def refuse_other_salts(batch: MixtureBatch, rows: pd.DataFrame, file: str) -> None:
    """Refuse rows that do not hold one salt.

    Raises:
        InputError: With every such row.
    """
    takes = "a model of encoder: molsets takes one a mixture"
    mend = "Give a model trained with encoder: diffmix, or remove the row."
    problems = [
        Problem(
            f"{file}, row {row}",
            f"{count or 'no'} salt{'s' * (count > 1)} came; {takes}",
            mend,
            row,
        )
        for row, count in zip(rows["row"].tolist(), batch.salt_counts().tolist(), strict=True)
        if count != 1
    ]
    if problems:
        raise InputError(problems)


def joined(parts: list[Prediction]) -> Prediction:
    """Return predictions one after the other, each `n x o`."""
    said = together(parts)
    n = len(said.in_domain)
    mean, epistemic, aleatoric = said.mean.view(n, -1), said.epistemic.view(n, -1), said.aleatoric.view(n, -1)
    return Prediction(mean, epistemic, aleatoric, said.in_domain, said.interval_factor)


def check_finite(said: Prediction, rows: pd.Series[int], targets: tuple[str, ...], file: str) -> None:
    """Refuse what is no prediction.

    Raises:
        InputError: If a mean or a variance is not finite, with the row.
    """
    total = said.mean + said.epistemic + said.aleatoric
    if total.isfinite().all():
        return
    row, column = total.isfinite().logical_not().nonzero()[0].tolist()
    mean, variance = float(said.mean[row, column]), float((said.epistemic + said.aleatoric)[row, column])
    wrong = f"the model gives it a mean of {targets[column]} of {mean} and a variance of {variance}"
    wrong += "; finite numbers were expected"
    where = f"{file}, row {rows.iloc[row]}"
    raise InputError(Problem(where, wrong, "Train the model again or give another.", int(rows.iloc[row])))


def _take(said: Prediction, rows: torch.Tensor) -> Prediction:
    return Prediction(*(getattr(said, of.name)[rows] for of in fields(Prediction)))


def _parts(batch: MixtureBatch) -> Iterator[MixtureBatch]:
    """Yield the mixtures as a screen gives them, in float32."""
    for start in range(0, len(batch), _AT_ONCE):
        yield batch[start : start + _AT_ONCE].to(torch.float32)
