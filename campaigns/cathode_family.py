"""Cathodes in a campaign: proposed by a model that learns, read from files, written into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console

from activelearn.acquisition import Acquisition
from activelearn.cathode_pool import AskedCathodes, CathodePool, FrontKind, Made, propose_cathodes
from activelearn.screening import Engine
from campaigns.campaign_history import Given, History, StoredMeasurement
from campaigns.campaign_status import Best, best_of
from campaigns.candidates import StoredCandidate
from campaigns.cathode_propose_config import CathodeProposeConfig
from campaigns.cathode_stopping import front_hint, gain_hint
from campaigns.constrained_list import ConstrainedCompositions
from campaigns.constraint_config import CathodeConstraintsConfig, used_files
from campaigns.family import NOTHING_YET, Fixed, check_unchanged, nothing_left, seed_of, written_rows
from campaigns.propose_cathodes import ProposedCathodes, after_learning, cathodes_table, print_cathodes
from campaigns.stored_cathodes import StoredCathode, cathode_batch, stored_cathodes
from surrogates.composition_batches import read_formulas
from surrogates.conditions import CONDITIONS
from surrogates.discharge_models import AnyDischargeModel, discharge_model
from surrogates.discharge_objectives import DischargeObjectives, Objective
from surrogates.errors import InputError
from surrogates.measured_cathodes import objective_values, read_measured_cathodes
from surrogates.text_tables import TextTable

_LEAST_STD = 1e-9
"""What a proposal states at least: members may agree to the last digit."""


@dataclass(frozen=True)
class CathodeReader:
    """Reads formulas and measurements of some objectives; see `family.Reader`.

    Attributes:
        objectives: What may have been measured.
        word: What a candidate is called.
    """

    objectives: tuple[Objective, ...]
    word: str = "cathode"

    def is_input(self, column: str) -> bool:
        """Return whether a column of ours says what a cathode is."""
        return column == "formula"

    def holds_values(self, column: str) -> bool:
        """Return whether a column of ours is an objective."""
        return column in {one.name for one in self.objectives}

    def values(
        self, text: TextTable, columns: Mapping[str, str], units: Mapping[str, str]
    ) -> list[dict[str, float]]:
        """Return what was measured in each row under the condition of its objective."""
        names = [one.name for one in self.objectives]
        values = objective_values(text, self.objectives, columns, units)
        return [
            {name: float(value) for name, value in zip(names, row, strict=True) if np.isfinite(value)}
            for row in values
        ]

    def candidates(
        self, text: TextTable, columns: Mapping[str, str], units: Mapping[str, str]
    ) -> list[StoredCathode]:
        """Return the cathode of each row."""
        other = {*CONDITIONS, *(one.name for one in self.objectives)}
        columns = {ours: theirs for ours, theirs in columns.items() if ours not in other}
        found = read_measured_cathodes(text, (), columns)
        return stored_cathodes(*read_formulas(found.formulas, f"{text.file}, formulas"))


@dataclass(frozen=True)
class _Chosen:
    """What the head of a campaign names: it has been found as it was when the campaign began."""

    model: DischargeObjectives
    constrained: ConstrainedCompositions


@dataclass(frozen=True)
class CathodeFamily:
    """Cathodes, see `family.Family`.

    Attributes:
        config: Space, constraints, objectives, model and rule.
        fixed: What was fixed when the campaign began.
        path: Of the campaign's file.
    """

    config: CathodeProposeConfig
    fixed: Fixed
    path: Path

    @property
    def reader(self) -> CathodeReader:
        """What reads results."""
        return CathodeReader(self.config.asked())

    def given(self, known: History, q: int, engine: Engine) -> list[Given]:
        """Return the `q` cathodes to make next."""
        asked = self._asked(self._pool(known), self.config.rule(), known)
        found = propose_cathodes(asked, q, engine)
        space, said, names = asked.pool.space, found.prediction, self.fixed.targets
        table = cathodes_table(asked, self._chosen.constrained, found)
        cathodes = stored_cathodes(space.table, space.at(found.candidate))
        means, stds = said.mean.double().tolist(), said.std.double().clamp_min(_LEAST_STD).tolist()
        return [
            Given(
                cathode, dict(zip(names, mean, strict=True)), dict(zip(names, std, strict=True)), factor, row
            )
            for cathode, mean, std, factor, row in zip(
                cathodes,
                means,
                stds,
                said.interval_factor.double().tolist(),
                written_rows(table),
                strict=True,
            )
        ]

    def stands(self, known: History, engine: Engine) -> tuple[list[StoredMeasurement], str]:
        """Return the measurements of cathodes that could be proposed, and whether to go on."""
        pool, measured = self._pool(known), known.standing("measured")
        ours = [measured[place] for place in pool.baseline.tolist()]
        front = best_of(self.fixed.targets, ours)
        if not front:
            return ours, NOTHING_YET
        try:
            return ours, self._hint(pool, known, front, engine)
        except InputError as error:
            return ours, nothing_left(error)

    def _hint(self, pool: CathodePool, known: History, front: Sequence[Best], engine: Engine) -> str:
        """Return whether to go on: by the expected improvement, or by the expected gain of hypervolume."""
        several = len(self.fixed.targets) > 1
        rule: Acquisition | FrontKind = "log-nehvi" if several else Acquisition("log-nei")
        found = propose_cathodes(self._asked(pool, rule, known), 1, engine)
        gain, noise = float(found.value[0].exp()), found.prediction.aleatoric[0].double().sqrt()
        if not pool.has_learnt:
            return f"Nothing is known of noise, for the model learns nothing: the next may gain {gain:.2g}."
        if found.reference is None:
            return gain_hint(gain, float(noise[0]))
        values = torch.tensor([list(one.values.values()) for one in front], dtype=torch.float64)
        return front_hint(gain, values, noise, found.reference)

    def frame(self, candidates: Sequence[StoredCandidate]) -> pd.DataFrame:
        """Return cathodes by their formulas."""
        return pd.DataFrame({"formula": pd.Series([one.words() for one in candidates], dtype="str")})

    def warnings(self) -> list[str]:
        """Return a sentence for each objective whose condition the model was not trained on."""
        return self._chosen.model.warnings()

    def show(self, table: pd.DataFrame, out: Path | None, console: Console) -> None:
        """Print proposals and, if they were written, where they are."""
        print_cathodes(ProposedCathodes(table, self.fixed.targets, tuple(self.warnings())), out, console)

    @cached_property
    def _chosen(self) -> _Chosen:
        """The model and the constraints, if they are those with which the campaign began.

        Raises:
            InputError: If they are not.
        """
        model = discharge_model(self.config.model)
        constrained = _constrained(self.config)
        check_unchanged(self.path, self.config.model, self.fixed, _fixed(self.config, model))
        return _Chosen(DischargeObjectives(model, self.config.asked()), constrained)

    def _asked(self, pool: CathodePool, rule: Acquisition | FrontKind, known: History) -> AskedCathodes:
        return AskedCathodes(pool, rule, self.config.avoid_unknown, seed_of(self.config, known))

    def _pool(self, known: History) -> CathodePool:
        """Return the candidates and what is known, with the model as it is after the measurements."""
        chosen, measured = self._chosen, known.standing("measured")
        made = _made([one.candidate for one in measured])
        if made is not None:
            rows = [[one.values.get(name, np.nan) for name in self.fixed.targets] for one in measured]
            made = replace(made, values=torch.tensor(rows, dtype=torch.float64))
        pool = CathodePool(
            space=chosen.constrained.space,
            model=chosen.model,
            objectives=self.fixed.targets,
            mask=chosen.constrained.mask,
            measured=made,
            pending=_made([one.candidate for one in known.pending()]),
            failed=_made([one.candidate for one in known.standing("failed")]),
        )
        return after_learning(pool, chosen.model, self.config)[0]


def begin_with_cathodes(config: CathodeProposeConfig) -> tuple[CathodeProposeConfig, Fixed]:
    """Return a configuration with absolute paths, and what it names, if a campaign can be run with it.

    Raises:
        InputError: If the model or a constraint cannot be used.
    """
    config = config.relative_to(Path.cwd() / "campaign.yaml")
    model = discharge_model(config.model)
    constrained = _constrained(config)
    model.bind(constrained.space.table, config.asked())
    return config, _fixed(config, model)


def _constrained(config: CathodeProposeConfig) -> ConstrainedCompositions:
    return ConstrainedCompositions.of(config.constraints or CathodeConstraintsConfig(), config.space.space())


def _fixed(config: CathodeProposeConfig, model: AnyDischargeModel) -> Fixed:
    files = {} if config.constraints is None else used_files(config.constraints)
    return Fixed(config.names(), model.sha256(), files, takes_one_salt=False)


def _made(candidates: Sequence[StoredCandidate]) -> Made | None:
    cathodes = [one for one in candidates if isinstance(one, StoredCathode)]
    if not cathodes:
        return None
    return Made(*cathode_batch(cathodes), torch.zeros(0, dtype=torch.float64))
