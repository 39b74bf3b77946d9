"""Mixtures in a campaign: proposed by a model that learns, read from files, written into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console

from activelearn.acquisition import Acquisition
from activelearn.asked import Asked
from activelearn.experiments import Experiments, Listed
from activelearn.propose import propose
from activelearn.screening import Engine
from campaigns.campaign_history import Given, History, StoredMeasurement
from campaigns.campaign_status import best_of
from campaigns.candidate_tables import candidate_frame
from campaigns.candidates import StoredCandidate
from campaigns.constrained_list import ConstrainedSpace
from campaigns.constraint_config import ConstraintsConfig, used_files
from campaigns.family import NOTHING_YET, Fixed, check_unchanged, nothing_left, seed_of, written_rows
from campaigns.propose import (
    Proposed,
    believed_after,
    check_can_learn,
    constraints_of,
    model_and_space,
    print_proposed,
    proposals_table,
)
from campaigns.propose_config import ProposeConfig
from campaigns.row_models import AnyMixtureModel, check_finite, refuse_other_salts
from campaigns.screen import model_directory
from campaigns.stopping import hint_of, scatter_of, worth_warnings
from campaigns.stored_mixtures import StoredMixture, mixture_batch, stored_mixtures
from surrogates.checkpoints import takes_one_salt
from surrogates.errors import InputError
from surrogates.mixture_data import MixtureData, mixture_rows
from surrogates.model_directories import model_hash
from surrogates.quantities import conductivities
from surrogates.tables import candidate_mixtures, is_input, measured_values
from surrogates.text_tables import TextTable


@dataclass(frozen=True)
class MixtureReader:
    """Reads mixtures and measurements of their one target, as of a training file; see `family.Reader`.

    Attributes:
        target: With its unit.
        takes_one_salt: Whether a mixture must hold exactly one.
        word: What a candidate is called.
    """

    target: str
    takes_one_salt: bool
    word: str = "mixture"

    def is_input(self, column: str) -> bool:
        """Return whether a column of ours says what a mixture is."""
        return is_input(column)

    def holds_values(self, column: str) -> bool:
        """Return whether a column of ours is the target, or converts to it."""
        return column in {self.target, *(conductivities() if self.target in conductivities() else ())}

    def values(
        self, text: TextTable, columns: Mapping[str, str], units: Mapping[str, str]
    ) -> list[dict[str, float]]:
        """Return what was measured in each row."""
        return [{self.target: float(one)} for one in measured_values(text, self.target, columns, units)]

    def candidates(
        self, text: TextTable, columns: Mapping[str, str], units: Mapping[str, str]
    ) -> list[StoredMixture]:
        """Return the mixture of each row."""
        other = {self.target, *conductivities()}
        columns, units = (
            {ours: theirs for ours, theirs in given.items() if ours not in other}
            for given in (columns, units)
        )
        read = candidate_mixtures(text, columns, units)
        if self.takes_one_salt:
            refuse_other_salts(read.batch, read.rows, text.file)
        return stored_mixtures(read.table, read.batch)


@dataclass(frozen=True)
class _Chosen:
    """What the head of a campaign names: it has been found as it was when the campaign began."""

    model: AnyMixtureModel
    constrained: ConstrainedSpace


@dataclass(frozen=True)
class MixtureFamily:
    """Mixtures, see `family.Family`.

    Attributes:
        config: Space, constraints, model and rule.
        fixed: What was fixed when the campaign began.
        path: Of the campaign's file.
    """

    config: ProposeConfig
    fixed: Fixed
    path: Path

    @property
    def reader(self) -> MixtureReader:
        """What reads results."""
        return MixtureReader(self._target, self.fixed.takes_one_salt)

    def given(self, known: History, q: int, engine: Engine) -> list[Given]:
        """Return the `q` mixtures to make next."""
        asked = self._asked(known, self.config.rule())
        found = propose(asked, q, self.config.way(), engine)
        experiments, said = asked.experiments, found.prediction
        table = proposals_table(self.config, experiments, self._chosen.constrained, found)
        mixtures = stored_mixtures(experiments.table, experiments.mixtures(found.x))
        numbers = zip(
            said.mean.double().tolist(),
            said.std.double().tolist(),
            said.interval_factor.double().tolist(),
            strict=True,
        )
        return [
            Given(mixture, {self._target: mean}, {self._target: std}, factor, row)
            for mixture, (mean, std, factor), row in zip(mixtures, numbers, written_rows(table), strict=True)
        ]

    def stands(self, known: History, engine: Engine) -> tuple[list[StoredMeasurement], str]:
        """Return the measurements of mixtures that could be proposed, and whether to go on."""
        asked = self._asked(known, Acquisition("log-nei"))
        measured = known.standing("measured")
        ours = [measured[place] for place in asked.experiments.baseline.tolist()]
        if not ours:
            return ours, NOTHING_YET
        (best,) = best_of(self.fixed.targets, ours)
        way = self.config.way()  # an expected improvement is no gradient's
        try:
            found = propose(asked, 1, "mixed" if way == "gradient" else way, engine)
            stated = float(found.prediction.aleatoric.double().sqrt()[0])
            scatter = scatter_of(self._target, measured, best.value, stated)
            return ours, hint_of(self._target, float(found.value[0].exp()), best.value, scatter)
        except InputError as error:
            return ours, nothing_left(error)

    def frame(self, candidates: Sequence[StoredCandidate]) -> pd.DataFrame:
        """Return mixtures in the columns of a training file."""
        mixtures = _mixtures(candidates)
        return candidate_frame(*mixture_batch(mixtures)) if mixtures else pd.DataFrame()

    def warnings(self) -> list[str]:
        """Return a sentence for each thing that is not known of the space."""
        return self._chosen.constrained.warnings()

    def show(self, table: pd.DataFrame, out: Path | None, console: Console) -> None:
        """Print proposals and, if they were written, where they are."""
        warnings = (*self.warnings(), *worth_warnings(table))
        print_proposed(Proposed(table, self._target, warnings), out, console)

    @property
    def _target(self) -> str:
        return self.fixed.targets[0]

    @cached_property
    def _chosen(self) -> _Chosen:
        """The model and the constraints, if they are those with which the campaign began.

        Raises:
            InputError: If they are not.
        """
        model, space = model_and_space(self.config)
        constrained = ConstrainedSpace.of(self.config.constraints or ConstraintsConfig(), space)
        check_unchanged(self.path, self.config.model, self.fixed, _fixed(self.config, model))
        return _Chosen(model, constrained)

    def _asked(self, known: History, rule: Acquisition) -> Asked:
        """Return what the next experiments are asked for."""
        chosen, config = self._chosen, self.config
        measured = self._measured(known.standing("measured"))
        model = chosen.model
        experiments = Experiments(
            space=chosen.constrained.space,
            constraints=constraints_of(chosen.constrained),
            model=model
            if measured is None
            else believed_after(config, model, measured, chosen.constrained.space),
            measured=None if measured is None else Listed.measured(measured),
            pending=_listed([one.candidate for one in known.pending()]),
            failed=_listed([one.candidate for one in known.standing("failed")]),
        )
        return Asked(experiments, rule, chosen.constrained.mask, config.avoid_unknown, seed_of(config, known))

    def _measured(self, rows: Sequence[StoredMeasurement]) -> MixtureData | None:
        """Return what was measured as the model takes it; a row is the number of a measurement."""
        if not rows:
            return None
        table, batch = mixture_batch(_mixtures([one.candidate for one in rows]))
        frame = mixture_rows(table, batch, [one.id for one in rows], np.zeros(len(rows), dtype=bool))
        values = torch.tensor([one.values[self._target] for one in rows], dtype=torch.float64)
        source = f"{self.path.name}, measurements"
        said = self._chosen.model.bind(table).predict(batch)
        check_finite(said, frame["row"], (self._target,), source)
        return MixtureData(table, batch, values, self._target, frame, source, "", ())


def begin_with_mixtures(config: ProposeConfig) -> tuple[ProposeConfig, Fixed]:
    """Return a configuration with absolute paths, and what it names, if a campaign can be run with it.

    Raises:
        InputError: If the model or a constraint cannot be used.
    """
    directory = model_directory(config.model)
    if directory == Path(config.model):
        config = config.model_copy(update={"model": str(directory.absolute())})
    config = config.relative_to(Path.cwd() / "campaign.yaml")
    model, space = model_and_space(config)
    check_can_learn(config, model)
    ConstrainedSpace.of(config.constraints or ConstraintsConfig(), space)
    return config, _fixed(config, model)


def _fixed(config: ProposeConfig, model: AnyMixtureModel) -> Fixed:
    return Fixed(
        targets=(model.target,),
        model_sha256=model_hash(model_directory(config.model)),
        files_sha256={} if config.constraints is None else used_files(config.constraints),
        takes_one_salt=takes_one_salt(model),
    )


def _mixtures(candidates: Sequence[StoredCandidate]) -> list[StoredMixture]:
    return [one for one in candidates if isinstance(one, StoredMixture)]


def _listed(candidates: Sequence[StoredCandidate]) -> Listed | None:
    if not candidates:
        return None
    table, batch = mixture_batch(_mixtures(candidates))
    return Listed(table, batch, torch.zeros(0, dtype=torch.float64))
