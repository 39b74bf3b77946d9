"""What a campaign's file holds, row by row, checked as it is read: the file may be a stranger's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    Field,
    Json,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from campaigns.candidates import StoredCandidate, TaggedCandidate
from campaigns.config import STRICT

Outcome = Literal["measured", "failed", "withdrawn"]


def _canonical_time(when: datetime) -> datetime:
    return when.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_canonical_time)]


class Head(BaseModel):
    """What is fixed when a campaign begins.

    Attributes:
        begun: When.
        config: Canonical JSON of the `ProposeConfig` or `CathodeProposeConfig`, its paths absolute.
        config_sha256: Of it.
        model_sha256: Of the model's directory.
        files_sha256: Of the table and the functions that the constraints use.
        targets: What is measured, each with its unit.
        takes_one_salt: Whether a mixture must hold exactly one.
    """

    model_config = STRICT

    begun: Moment
    config: str
    config_sha256: str
    model_sha256: str
    files_sha256: Json[dict[str, str | None]]
    targets: Json[Annotated[tuple[str, ...], Field(min_length=1)]]
    takes_one_salt: bool

    @model_validator(mode="after")
    def _is_whole(self) -> Head:
        if sha256(self.config.encode()).hexdigest() != self.config_sha256:
            raise ValueError("config is not what config_sha256 says")
        return self


class StoredProposal(BaseModel):
    """A candidate that was given out to be measured.

    Attributes:
        id: From 1.
        call: Of `suggest`, from 1; the proposals of a call belong together.
        made: When.
        candidate: What to make.
        mean: What the model said of each target, in its unit.
        std: Of a measurement of each.
        interval_factor: Standard deviations on either side of the mean that should hold 90 %.
        written: The row that was given out, as `Campaign.suggest` returned it.
    """

    model_config = STRICT

    id: PositiveInt
    call: PositiveInt
    made: Moment
    candidate: Json[TaggedCandidate]
    mean: Json[dict[str, float]]
    std: Json[dict[str, PositiveFloat]]
    interval_factor: PositiveFloat
    written: Json[dict[str, str | bool | int | float | None]]


class StoredMeasurement(BaseModel):
    """What came out of an experiment, or the correction of an earlier row.

    Attributes:
        id: From 1.
        recorded: When.
        source: The file it came from.
        source_sha256: Of that file; empty of a DataFrame.
        source_row: Its row there, as a spreadsheet numbers it.
        proposal: For which it was made; None if nobody proposed it.
        candidate: What was made.
        outcome: A withdrawn one should never have been recorded.
        values: Of each target that was measured, in its unit; none unless it was measured.
        reason: Why it failed, or was corrected.
        corrects: The earlier measurement in whose place it stands.
    """

    model_config = STRICT

    id: PositiveInt
    recorded: Moment
    source: str
    source_sha256: str
    source_row: Annotated[int, Field(ge=0)]
    proposal: PositiveInt | None
    candidate: Json[TaggedCandidate]
    outcome: Outcome
    values: Json[dict[str, float]]
    reason: str
    corrects: PositiveInt | None

    @model_validator(mode="after")
    def _has_what_it_must(self) -> StoredMeasurement:
        if (self.outcome == "measured") != bool(self.values):
            raise ValueError(f"outcome is {self.outcome} and values are {self.values}")
        if self.corrects is not None and self.corrects >= self.id:
            raise ValueError(f"corrects is {self.corrects}, which is not earlier")
        return self


@dataclass(frozen=True)
class Given:
    """A proposal before it has a number.

    Attributes:
        candidate: What to make.
        mean: See `StoredProposal`.
        std: Likewise.
        interval_factor: Likewise.
        written: Likewise, without its number.
    """

    candidate: StoredCandidate
    mean: dict[str, float]
    std: dict[str, float]
    interval_factor: float
    written: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """A measurement before it has a number; see `StoredMeasurement`."""

    candidate: StoredCandidate
    outcome: Outcome
    values: dict[str, float]
    reason: str
    proposal: int | None
    corrects: int | None
    source: str
    source_sha256: str
    source_row: int


@dataclass(frozen=True)
class History:
    """All that a campaign holds at one moment.

    Attributes:
        proposals: In the order of their numbers.
        measurements: Likewise, corrected ones among them.
    """

    proposals: tuple[StoredProposal, ...]
    measurements: tuple[StoredMeasurement, ...]

    @property
    def moment(self) -> tuple[int, int]:
        """How many proposals and measurements there are: two histories of a file with the same are one."""
        return len(self.proposals), len(self.measurements)

    @property
    def calls(self) -> int:
        """How often proposals were asked for."""
        return max((one.call for one in self.proposals), default=0)

    @cached_property
    def corrected_by(self) -> dict[int, int]:
        """The measurement that stands in the place of each that was corrected."""
        return {one.corrects: one.id for one in self.measurements if one.corrects is not None}

    @cached_property
    def withdrawn(self) -> frozenset[int]:
        """Measurements that should never have been recorded."""
        return frozenset(m.corrects for m in self.measurements if m.outcome == "withdrawn" and m.corrects)

    def standing(self, outcome: Outcome) -> list[StoredMeasurement]:
        """Return the measurements of an outcome that no other corrects."""
        return [m for m in self.measurements if m.outcome == outcome and m.id not in self.corrected_by]

    def pending(self) -> list[StoredProposal]:
        """Return the proposals of which nothing has come back yet."""
        came = {one.proposal for one in (*self.standing("measured"), *self.standing("failed"))}
        return [one for one in self.proposals if one.id not in came]
