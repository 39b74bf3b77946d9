"""Ask and tell: experiments to do next out of a campaign's file, and what came of them into it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import ValidationError

from activelearn.acquisition import Acquisition
from activelearn.asked import Asked, Proposals
from activelearn.experiments import Experiments, Listed
from activelearn.propose import propose
from activelearn.screening import Engine, in_process
from campaigns.campaign_history import (
    Given,
    Head,
    History,
    Result,
    StoredMeasurement,
    StoredProposal,
)
from campaigns.campaign_results import Reading, read_results, repeated, text_of_frame
from campaigns.campaign_status import Status, best_of, status_of
from campaigns.candidate_tables import candidate_frame
from campaigns.constrained_list import ConstrainedSpace
from campaigns.constraint_config import ConstraintsConfig, used_files
from campaigns.propose import (
    believed_after,
    check_can_learn,
    constraints_of,
    model_and_space,
    proposals_table,
)
from campaigns.propose_config import ProposeConfig
from campaigns.row_models import AnyMixtureModel, check_finite
from campaigns.screen import model_directory
from campaigns.stopping import hint_of, scatter_of
from campaigns.store import Store
from campaigns.stored_mixtures import StoredMixture, mixture_batch, stored_mixtures
from surrogates.checkpoints import takes_one_salt
from surrogates.errors import InputError, Problem
from surrogates.mixture_data import MixtureData, mixture_rows
from surrogates.model_directories import model_hash
from surrogates.text_tables import read_text

_NONE: Mapping[str, str] = MappingProxyType({})
_AGAIN = "Restore it, or begin a new campaign and record there what was measured in this one."


@dataclass(frozen=True)
class Recorded:
    """What a call of `record` has added.

    Attributes:
        measurements: The new numbers, a row each, in the order of the rows.
        outcomes: How many rows were measured, failed and withdrawn.
        corrections: How many of the rows stand in the place of an earlier one.
        unproposed: How many are of mixtures that nobody proposed.
        repeated: The rows that repeat the value of an earlier measurement of the same mixture.
    """

    measurements: tuple[int, ...]
    outcomes: Mapping[str, int]
    corrections: int
    unproposed: int
    repeated: tuple[int, ...]


@dataclass(frozen=True)
class _Chosen:
    """What the head of a campaign names: it has been found as it was when the campaign began."""

    model: AnyMixtureModel
    constrained: ConstrainedSpace


@dataclass(frozen=True)
class Campaign:
    """A campaign on one file, which several processes may use at once.

    All of its state is in the file: a measurement is there, whatever happens, once `record` has returned, and
    a proposal once `suggest` has.

    Attributes:
        store: The file.
        head: What was fixed when it began.
        config: Space, constraints, model and rule.
    """

    store: Store
    head: Head
    config: ProposeConfig

    @staticmethod
    def new(path: Path, config: ProposeConfig) -> Campaign:
        """Begin a campaign.

        Args:
            path: Of its file, new.
            config: What is fixed from now on. Relative paths are taken from the working directory.

        Raises:
            InputError: If something stands there, or the model or a constraint cannot be used.
        """
        directory = model_directory(config.model)
        if directory == Path(config.model):
            config = config.model_copy(update={"model": str(directory.absolute())})
        config = config.relative_to(Path.cwd() / "campaign.yaml")
        model, space = model_and_space(config)
        check_can_learn(config, model)
        ConstrainedSpace.of(config.constraints or ConstraintsConfig(), space)
        text = json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        head = Head.model_validate(
            {
                "begun": datetime.now(UTC).replace(microsecond=0),
                "config": text,
                "config_sha256": sha256(text.encode()).hexdigest(),
                "model_sha256": model_hash(directory),
                "files_sha256": json.dumps(_files(config)),
                "target": model.target,
                "takes_one_salt": takes_one_salt(model),
            }
        )
        return Campaign(Store.create(path, head), head, config)

    @staticmethod
    def open(path: Path) -> Campaign:
        """Return the campaign of a file.

        Raises:
            InputError: If it is missing, damaged or of something else.
        """
        store = Store.open(path)
        head = store.head()
        try:
            config = ProposeConfig.model_validate_json(head.config)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            wrong = f"the file is damaged: campaign.config.{where}: {first['msg']}"
            raise InputError(Problem(str(path), wrong, "Restore it from a copy.")) from None
        return Campaign(store, head, config)

    def suggest(self, q: int = 4, engine: Engine = in_process) -> pd.DataFrame:
        """Return the `q` experiments to do next; they are pending from now on and are given to nobody else.

        What comes depends on the campaign, its seed and how often was asked, so that copies of a file agree.

        Args:
            q: How many.
            engine: Who scores a pool.

        Returns:
            A row each, as `activelearn propose` writes them; `proposal` is its number in the campaign.

        Raises:
            InputError: If the model or a file of the constraints has changed, or there are not so many left.
        """
        while True:
            known = self.store.history()
            asked = self._asked(known, self.config.rule())
            found = propose(asked, q, self.config.way(), engine)
            given = self._given(asked.experiments, found)
            stored = self.store.give(given, known)
            if stored is not None:  # else another process was faster; with what it wrote it is done again
                return _written(stored)

    def record(
        self,
        results: pd.DataFrame | Path,
        columns: Mapping[str, str] = _NONE,
        units: Mapping[str, str] = _NONE,
    ) -> Recorded:
        """Add measurements, failures and corrections: all rows or, if any cannot be used, none.

        Args:
            results: The rows, or a CSV or Parquet file with them; see `campaign_results.read_results`.
            columns: The header for each of our column names that is called otherwise there.
            units: The unit for each of our column names that is in another there.

        Raises:
            InputError: With every bad row.
        """
        text = read_text(results) if isinstance(results, Path) else text_of_frame(results)
        reading = Reading(self.head.target, self.head.takes_one_salt, columns, units)
        read: list[Result] = []
        again: list[int] = []

        def rows(known: History) -> Sequence[Result]:
            read.extend(read_results(text, reading, known))
            again.extend(repeated(read, known))
            return read

        numbers = self.store.record(rows)
        return Recorded(
            measurements=tuple(numbers),
            outcomes={
                outcome: sum(one.outcome == outcome for one in read)
                for outcome in ("measured", "failed", "withdrawn")
            },
            corrections=sum(one.corrects is not None for one in read),
            unproposed=sum(one.proposal is None for one in read),
            repeated=tuple(again),
        )

    def status(self, engine: Engine = in_process) -> Status:
        """Return how the campaign stands: the best, what is pending, how true the model was, whether to stop.

        Args:
            engine: Who scores a pool.

        Raises:
            InputError: If the model or a file of the constraints has changed.
        """
        known = self.store.history()
        asked = self._asked(known, Acquisition("log-nei"))
        measured = known.standing("measured")
        ours = [measured[place] for place in asked.experiments.baseline.tolist()]
        hint = "Nothing that could be a candidate has been measured yet: go on."
        if best := best_of(ours):
            way = self.config.way()  # an expected improvement is no gradient's
            try:
                found = propose(asked, 1, "mixed" if way == "gradient" else way, engine)
                stated = float(found.prediction.aleatoric.double().sqrt()[0])
                scatter = scatter_of(self.head.target, measured, best.value, stated)
                hint = hint_of(self.head.target, float(found.value[0].exp()), best.value, scatter)
            except InputError as error:
                hint = f"No experiment is left to propose: {error.problems[0].wrong}."
        return status_of(self.head.target, known, ours, hint)

    def export(self) -> pd.DataFrame:
        """Return all measurements with their history, a row each, those that were corrected among them.

        `measurement`, `proposal`, the mixture in the columns of a training file, the target, `status`,
        `reason`, `corrects`, `corrected_by`, `is_current`, and when and out of which file and row it came.
        """
        known = self.store.history()
        rows = known.measurements
        mixtures = _mixtures_frame([one.mixture for one in rows])
        numbers = pd.DataFrame(
            {"measurement": [m.id for m in rows], "proposal": _whole(m.proposal for m in rows)}
        )
        history = pd.DataFrame(
            {
                self.head.target: pd.Series([m.value for m in rows], dtype="float64"),
                "status": [m.outcome for m in rows],
                "reason": [m.reason for m in rows],
                "corrects": _whole(m.corrects for m in rows),
                "corrected_by": _whole(known.corrected_by.get(m.id) for m in rows),
                "is_current": [m.id not in known.corrected_by for m in rows],
                "recorded": [m.recorded.isoformat() for m in rows],
                "source": [m.source for m in rows],
                "source_row": [m.source_row for m in rows],
            }
        )
        return pd.concat([numbers, mixtures, history], axis=1)

    def pending(self) -> pd.DataFrame:
        """Return the proposals of which nothing has come back yet, as `suggest` returned them."""
        return _written(self.store.history().pending())

    def warnings(self) -> list[str]:
        """Return a sentence for each thing that is not known of the space."""
        return self._chosen.constrained.warnings()

    @cached_property
    def _chosen(self) -> _Chosen:
        """The model and the constraints, if they are those with which the campaign began.

        Raises:
            InputError: If they are not.
        """
        model, space = model_and_space(self.config)
        constrained = ConstrainedSpace.of(self.config.constraints or ConstraintsConfig(), space)
        now = {**_files(self.config), self.config.model: model_hash(model_directory(self.config.model))}
        then = {**self.head.files_sha256, self.config.model: self.head.model_sha256}
        problems = [
            Problem(str(self.store.path), f"{name} is not what it was when the campaign began", _AGAIN)
            for name in then
            if then[name] != now.get(name)
        ]
        if problems:
            raise InputError(problems)
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
            pending=_listed([one.mixture for one in known.pending()]),
            failed=_listed([one.mixture for one in known.standing("failed")]),
        )
        drawn = np.random.SeedSequence([config.seed, known.calls + 1]).generate_state(1)
        seed = int(drawn[0]) % 2**31
        return Asked(experiments, rule, chosen.constrained.mask, config.avoid_unknown, seed)

    def _measured(self, rows: Sequence[StoredMeasurement]) -> MixtureData | None:
        """Return what was measured as the model takes it; a row is the number of a measurement."""
        if not rows:
            return None
        table, batch = mixture_batch([one.mixture for one in rows])
        frame = mixture_rows(table, batch, [one.id for one in rows], np.zeros(len(rows), dtype=bool))
        values = torch.tensor([one.value for one in rows], dtype=torch.float64)
        source = f"{self.store.path.name}, measurements"
        said = self._chosen.model.bind(table).predict(batch)
        check_finite(said, frame["row"], (self.head.target,), source)
        return MixtureData(table, batch, values, self.head.target, frame, source, "", ())

    def _given(self, experiments: Experiments, found: Proposals) -> list[Given]:
        """Return proposals as the file holds them."""
        table = proposals_table(self.config, experiments, self._chosen.constrained, found)
        mixtures = stored_mixtures(experiments.table, experiments.mixtures(found.x))
        said = found.prediction
        numbers = zip(
            said.mean.double().tolist(),
            said.std.double().tolist(),
            said.interval_factor.double().tolist(),
            strict=True,
        )
        rows = table.drop(columns="proposal").to_dict("records")
        return [
            Given(mixture, *stated, written={str(name): _plain(cell) for name, cell in row.items()})
            for mixture, stated, row in zip(mixtures, numbers, rows, strict=True)
        ]


def _files(config: ProposeConfig) -> dict[str, str | None]:
    return {} if config.constraints is None else used_files(config.constraints)


def _listed(mixtures: Sequence[StoredMixture]) -> Listed | None:
    if not mixtures:
        return None
    table, batch = mixture_batch(mixtures)
    return Listed(table, batch, torch.zeros(0, dtype=torch.float64))


def _plain(cell: Any) -> str | bool | int | float | None:
    """Return a cell of a table as JSON has it; what is no finite number is nothing."""
    plain = cell.item() if isinstance(cell, np.generic) else cell
    if isinstance(plain, float) and not np.isfinite(plain):
        return None
    return None if plain is pd.NA or plain is None else plain


def _written(proposals: Sequence[StoredProposal]) -> pd.DataFrame:
    """Return proposals as they were given out, their numbers first.

    Of several calls columns may differ: those of the first stand first.
    """
    rows = [{"proposal": one.id, **one.written} for one in proposals]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["proposal"])


def _mixtures_frame(mixtures: Sequence[StoredMixture]) -> pd.DataFrame:
    return candidate_frame(*mixture_batch(mixtures)) if mixtures else pd.DataFrame()


def _whole(numbers: Any) -> pd.Series:
    """Return whole numbers, some of which may be missing, as a column."""
    return pd.Series(list(numbers), dtype="Int64")
