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

import pandas as pd
from pydantic import ValidationError

from activelearn.screening import Engine, in_process
from campaigns.campaign_history import Head, History, Result, StoredProposal
from campaigns.campaign_results import (
    CORRECTS,
    CURRENT,
    PROPOSAL,
    Reading,
    read_results,
    repeated,
    text_of_frame,
)
from campaigns.campaign_status import Status, status_of
from campaigns.cathode_config import are_cathodes
from campaigns.cathode_family import CathodeFamily, begin_with_cathodes
from campaigns.cathode_propose_config import CathodeProposeConfig
from campaigns.family import Family, Fixed
from campaigns.mixture_family import MixtureFamily, begin_with_mixtures
from campaigns.propose_config import AnyProposals, ProposeConfig
from campaigns.store import Store
from surrogates.errors import InputError, Problem
from surrogates.text_tables import read_text

_NONE: Mapping[str, str] = MappingProxyType({})
_HISTORY = (
    "measurement",
    PROPOSAL,
    CORRECTS,
    "corrected_by",
    CURRENT,
    "recorded",
    "source",
    "source_row",
)
"""Columns of an export that only this campaign understands."""


@dataclass(frozen=True)
class Recorded:
    """What a call of `record` has added.

    Attributes:
        measurements: The new numbers, a row each, in the order of the rows.
        outcomes: How many rows were measured, failed and withdrawn.
        corrections: How many of the rows stand in the place of an earlier one.
        unproposed: How many are of candidates that nobody proposed.
        repeated: The rows that repeat the value of an earlier measurement of the same candidate.
    """

    measurements: tuple[int, ...]
    outcomes: Mapping[str, int]
    corrections: int
    unproposed: int
    repeated: tuple[int, ...]


@dataclass(frozen=True)
class Campaign:
    """A campaign on one file, which several processes may use at once.

    All of its state is in the file: a measurement is there, whatever happens, once `record` has returned, and
    a proposal once `suggest` has.

    Attributes:
        store: The file.
        head: What was fixed when it began.
        config: Space, constraints, model and rule: of mixtures or of cathodes.
    """

    store: Store
    head: Head
    config: AnyProposals

    @staticmethod
    def new(path: Path, config: AnyProposals) -> Campaign:
        """Begin a campaign.

        Args:
            path: Of its file, new.
            config: What is fixed from now on. Relative paths are taken from the working directory.

        Raises:
            InputError: If something stands there, or the model or a constraint cannot be used.
        """
        config, fixed = _begin(config)
        text = json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        head = Head.model_validate(
            {
                "begun": datetime.now(UTC).replace(microsecond=0),
                "config": text,
                "config_sha256": sha256(text.encode()).hexdigest(),
                "model_sha256": fixed.model_sha256,
                "files_sha256": json.dumps(fixed.files_sha256),
                "targets": json.dumps(fixed.targets),
                "takes_one_salt": fixed.takes_one_salt,
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
            kind = CathodeProposeConfig if are_cathodes(json.loads(head.config)) else ProposeConfig
            config: AnyProposals = kind.model_validate_json(head.config)
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
            stored = self.store.give(self.family.given(known, q, engine), known)
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
        reading = Reading(self.family.reader, columns, units)
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
        ours, hint = self.family.stands(known, engine)
        return status_of(self.head.targets, known, ours, hint)

    def results(self) -> pd.DataFrame:
        """Return the measurements that stand, with failures, as a new campaign would take them."""
        rows = self.export()
        kept = rows[rows[CURRENT] & (rows["status"] != "withdrawn")]
        return kept.drop(columns=list(_HISTORY)).reset_index(drop=True)

    def export(self) -> pd.DataFrame:
        """Return all measurements with their history, a row each, those that were corrected among them.

        `measurement`, `proposal`, the candidate in the columns of a file of results, each target, `status`,
        `reason`, `corrects`, `corrected_by`, `is_current`, and when and out of which file and row it came.
        """
        known = self.store.history()
        rows = known.measurements
        candidates = self.family.frame([one.candidate for one in rows])
        numbers = pd.DataFrame(
            {"measurement": [m.id for m in rows], "proposal": _whole(m.proposal for m in rows)}
        )
        history = pd.DataFrame(
            {
                **{
                    name: pd.Series([m.values.get(name) for m in rows], dtype="float64")
                    for name in self.head.targets
                },
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
        return pd.concat([numbers, candidates, history], axis=1)

    def pending(self) -> pd.DataFrame:
        """Return the proposals of which nothing has come back yet, as `suggest` returned them."""
        return _written(self.store.history().pending())

    def warnings(self) -> list[str]:
        """Return a sentence for each thing that is not known of the space."""
        return self.family.warnings()

    @cached_property
    def family(self) -> Family:
        """What is particular to mixtures, or to cathodes."""
        head, path = self.head, self.store.path
        fixed = Fixed(head.targets, head.model_sha256, head.files_sha256, head.takes_one_salt)
        if isinstance(self.config, ProposeConfig):
            return MixtureFamily(self.config, fixed, path)
        return CathodeFamily(self.config, fixed, path)


def _begin(config: AnyProposals) -> tuple[AnyProposals, Fixed]:
    """Return a configuration with absolute paths, and what it names."""
    return begin_with_mixtures(config) if isinstance(config, ProposeConfig) else begin_with_cathodes(config)


def _written(proposals: Sequence[StoredProposal]) -> pd.DataFrame:
    """Return proposals as they were given out, their numbers first.

    Of several calls columns may differ: those of the first stand first.
    """
    rows = [{"proposal": one.id, **one.written} for one in proposals]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["proposal"])


def _whole(numbers: Any) -> pd.Series:
    """Return whole numbers, some of which may be missing, as a column."""
    return pd.Series(list(numbers), dtype="Int64")
