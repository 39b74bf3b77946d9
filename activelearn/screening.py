"""A screen of a whole space: ranges in, scored shards and an exact top-k out.

A space is cut into chunks by its length alone, and a chunk into blocks, each predicted by one thread;
so neither the engine nor the number of workers nor the order in which they finish changes a digit.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import NormalDist
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from activelearn.pareto import merge_skybands, skyband
from activelearn.shards import shard_path, write_shard
from surrogates.errors import InputError, Problem
from surrogates.prediction import Prediction, Predictor

if TYPE_CHECKING:
    import pandas as pd

ROW = np.dtype(
    [
        ("candidate", "i8"),
        ("mean", "f4"),
        ("std_epistemic", "f4"),
        ("std_aleatoric", "f4"),
        ("interval_factor", "f4"),
        ("in_domain", "?"),
        ("score", "f8"),
    ],
)
"""A scored candidate of one target; mean and standard deviations in the target's unit. So many standard
deviations (of both parts) on either side of the mean hold 90 % of measurements."""

_GAUSSIAN_FACTOR = NormalDist().inv_cdf(0.95)
"""Standard deviations on either side of the mean that hold 90 % of a normal distribution."""
BLOCK = 2**15
"""Candidates predicted at once: decoding and ranking them costs some 45 ns each, 175 in blocks of 2**12."""

Score = Callable[[Prediction], Tensor]
"""What candidates are ranked by, of the shape of the mean, higher is better; it must pickle."""


class Space(Protocol):
    """Candidates that are integers from 0 on. It must pickle: a screen sends it to its workers."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, rows: slice) -> Any:
        """Return the candidates of a range as the batch that the predictor takes."""

    def describe(self, candidates: np.ndarray) -> pd.DataFrame:
        """Return what the candidates are, in people's words, a row each."""


class Mask(Protocol):
    """What candidates must fulfil to be ranked. It must pickle."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the `v` constraints."""

    def missed(self, batch: Any) -> np.ndarray:
        """Return whether each of `n` candidates misses each constraint, `n x v`."""


def by_mean(prediction: Prediction) -> Tensor:
    """Return the mean, float64."""
    return prediction.mean.double()


def by_ucb(prediction: Prediction, kappa: float) -> Tensor:
    """Return the upper confidence bound, mean + `kappa` standard deviations, float64."""
    return prediction.mean.double() + kappa * prediction.std.double()


def by_probability_above(prediction: Prediction, threshold: float) -> Tensor:
    """Return the probability that a measurement exceeds `threshold`, float64.

    Of a normal distribution with the 90 % interval that is stated.
    """
    excess = (prediction.mean.double() - threshold) / prediction.std.double()
    factor = prediction.interval_factor.double().view(-1, *[1] * (excess.dim() - 1))
    excess = excess * (_GAUSSIAN_FACTOR / factor)
    return cast(Tensor, torch.special.ndtr(excess))


Merge = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""Joins the best rows of some chunks with those of others, to those that may be among the best so many."""


def best(rows: np.ndarray, k: int) -> np.ndarray:
    """Return the `k` rows of highest score, best first; of equal scores the lower candidate leads."""
    if k < len(rows):
        floor = np.partition(rows["score"], -k)[-k]
        rows = rows[rows["score"] >= floor]
    order = np.lexsort((rows["candidate"], -rows["score"]))
    return rows[order[:k]]


def merge_best(one: np.ndarray, other: np.ndarray, k: int) -> np.ndarray:
    """Return the best `k` of two lists of best rows."""
    return best(np.concatenate([one, other]), k)


def row_type(objectives: tuple[str, ...], is_masked: bool = False) -> np.dtype:
    """Return `ROW` for the objectives: columns of each carry its name, and several have no score.

    Args:
        objectives: Their names, if they have any.
        is_masked: Whether a column says that a candidate is feasible.
    """
    if is_masked:
        unmasked = row_type(objectives)
        fields = [(name, unmasked[name]) for name in unmasked.names or ()]
        return np.dtype([*fields, ("feasible", "?")])
    numbers = ("mean", "std_epistemic", "std_aleatoric")
    columns = [(f"{name}_{number}", "f4") for name in objectives for number in numbers]
    score = [("score", "f8")] if len(objectives) == 1 else []
    last = [("interval_factor", "f4"), ("in_domain", "?"), *score]
    return np.dtype([("candidate", "i8"), *columns, *last]) if objectives else ROW


@dataclass(frozen=True)
class ScoredChunk:
    """What a worker returns of a chunk: its best rows, counts, and where its time went [s].

    `missed` counts, `v + 1`, the candidates that miss each constraint of the mask, and those that miss any.
    """

    chunk: range
    top: np.ndarray
    in_domain: int
    compute_s: float
    write_s: float
    missed: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass(frozen=True)
class Screen:
    """All that a worker needs to score any chunk of a space; it pickles.

    Attributes:
        space: The candidates.
        predictor: The model, bound to the space's table.
        score: What they are ranked by; of several objectives their means, by Pareto rank.
        top_k: How many are kept of the whole space.
        shards: Directory for all scored candidates, or None to keep the best only.
        objectives: Names of the columns of the prediction, `n x o`; empty where it has none, `n`.
        mask: Leaves candidates out of the ranking; they are counted and stand in the shards all the same.
    """

    space: Space
    predictor: Predictor
    score: Score
    top_k: int
    shards: Path | None = None
    objectives: tuple[str, ...] = ()
    mask: Mask | None = None

    @property
    def merge(self) -> Merge:
        """What joins the best rows of some chunks with those of others."""
        return partial(merge_skybands, objectives=self.objectives) if self.is_pareto else merge_best

    @property
    def is_pareto(self) -> bool:
        """Whether candidates are ranked by several objectives."""
        return len(self.objectives) > 1

    @property
    def chunk_size(self) -> int:
        """Candidates in a chunk: a power of two that makes some 64 chunks, 2**10 to 2**20."""
        return int(2 ** min(max(math.ceil(math.log2(len(self.space) / 64)), 10), 20))

    def chunks(self) -> Iterator[range]:
        """Yield the chunks that make up the space, in order."""
        for start in range(0, len(self.space), self.chunk_size):
            yield range(start, min(start + self.chunk_size, len(self.space)))

    def shard(self, chunk: range) -> Path | None:
        """Return where a chunk's scored candidates are written, if they are."""
        return self.shards and shard_path(self.shards, chunk, len(str(len(self.space))))

    def lost(self, chunks: Iterable[range]) -> dict[range, Path]:
        """Return those of some finished chunks whose shards should be there and are not, with their paths."""
        return {chunk: path for chunk in chunks if (path := self.shard(chunk)) and not path.exists()}

    def score_chunk(self, chunk: range) -> ScoredChunk:
        """Score every candidate of a chunk and write its shard.

        Raises:
            InputError: If the model gives no finite number or the shard cannot be written.
        """
        started = perf_counter()
        rows = np.empty(len(chunk), row_type(self.objectives, self.mask is not None))
        missed = np.zeros(0 if self.mask is None else len(self.mask.names) + 1, dtype=np.int64)
        for first in range(0, len(chunk), BLOCK):
            missed += self._score_block(chunk.start + first, rows[first : first + BLOCK])
        ranked = rows if self.mask is None else rows[rows["feasible"]]
        top = skyband(ranked, self.objectives, self.top_k) if self.is_pareto else best(ranked, self.top_k)
        scored = perf_counter()
        if path := self.shard(chunk):
            try:
                write_shard(path, rows)
            except OSError as error:
                raise InputError(_cannot_write(path.parent, error)) from None
        written = perf_counter()
        in_domain = int(rows["in_domain"].sum())
        return ScoredChunk(chunk, top, in_domain, scored - started, written - scored, missed)

    def _score_block(self, start: int, rows: np.ndarray) -> np.ndarray:
        """Fill the rows; return how many candidates miss each constraint, and any."""
        batch = self.space[start : start + len(rows)]
        with torch.inference_mode():
            prediction = self.predictor.predict(batch)
            score = self.score(prediction)
        rows["candidate"] = np.arange(start, start + len(rows))
        parts = {
            "mean": prediction.mean,
            "std_epistemic": prediction.epistemic.sqrt(),
            "std_aleatoric": prediction.aleatoric.sqrt(),
        }
        for part, values in parts.items():
            for name, column in zip(self._prefixes, values.reshape(len(rows), -1).T, strict=True):
                rows[f"{name}{part}"] = column
        rows["interval_factor"] = prediction.interval_factor
        rows["in_domain"] = prediction.in_domain
        if not self.is_pareto:
            rows["score"] = score.reshape(-1)
        if not score.isfinite().all():
            raise InputError(self._not_finite(start, prediction.mean, score))
        if self.mask is None:
            return np.zeros(0, dtype=np.int64)
        missed = self.mask.missed(batch)
        rows["feasible"] = ~missed.any(1)
        return np.array([*missed.sum(0), (~rows["feasible"]).sum()], dtype=np.int64)

    @property
    def _prefixes(self) -> list[str]:
        return [f"{name}_" for name in self.objectives] or [""]

    def _not_finite(self, start: int, mean: Tensor, score: Tensor) -> Problem:
        row, column = score.reshape(len(score), -1).isfinite().logical_not().nonzero()[0].tolist()
        mean, score = mean.reshape(len(score), -1), score.reshape(len(score), -1)
        of = f" of {self.objectives[column]}" if self.objectives else ""
        return Problem(
            f"candidate {start + row}",
            f"the model gives it a mean{of} of {float(mean[row, column])} and a score "
            f"of {float(score[row, column])}; finite numbers were expected",
            "Train the model again or give another.",
        )


@dataclass(frozen=True)
class Standing:
    """Where a screen stands after some of its chunks, in whatever order they came.

    Attributes:
        finished: First candidates of the chunks that are done.
        candidates: Candidates scored.
        in_domain: Those of them within the model's domain.
        top: The best of them, best first; of several objectives, all that may be among the best.
        compute_s: Time the workers spent on predicting and ranking, together, s.
        write_s: Time the workers spent on writing shards, together, s.
        missed: Candidates that miss each constraint of the mask, then those that miss any, `v + 1`.
    """

    finished: frozenset[int] = frozenset()
    candidates: int = 0
    in_domain: int = 0
    top: np.ndarray = field(default_factory=lambda: np.empty(0, ROW))
    compute_s: float = 0.0
    write_s: float = 0.0
    missed: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def after(self, scored: ScoredChunk, top_k: int, merge: Merge = merge_best) -> Standing:
        """Return the standing with one more chunk."""
        return Standing(
            finished=self.finished | {scored.chunk.start},
            candidates=self.candidates + len(scored.chunk),
            in_domain=self.in_domain + scored.in_domain,
            top=merge(self.top, scored.top, top_k) if len(self.top) else scored.top,
            compute_s=self.compute_s + scored.compute_s,
            write_s=self.write_s + scored.write_s,
            missed=self.missed + scored.missed if len(self.missed) else scored.missed,
        )


Engine = Callable[[Screen, Iterable[range]], Iterator[ScoredChunk]]
"""Who scores the chunks of a screen, in any order."""


def in_process(screen: Screen, chunks: Iterable[range]) -> Iterator[ScoredChunk]:
    """Score the chunks one after the other in this process: the engine without Ray."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield from map(screen.score_chunk, chunks)
    finally:
        torch.set_num_threads(threads)


def run(screen: Screen, engine: Engine, standing: Standing | None = None) -> Iterator[Standing]:
    """Screen what is left of the space.

    Args:
        screen: What to screen.
        engine: Who scores the chunks.
        standing: Where an earlier run of the same screen stood.

    Yields:
        The standing after each chunk; the last one is the result.
    """
    standing = standing or Standing()
    left = (chunk for chunk in screen.chunks() if chunk.start not in standing.finished)
    for scored in engine(screen, left):
        standing = standing.after(scored, screen.top_k, screen.merge)
        yield standing


def _cannot_write(directory: Path, error: OSError) -> Problem:
    return Problem(
        str(directory),
        f"a worker on {socket.gethostname()} cannot write its shard: {os.strerror(error.errno or 0)}",
        "Give a directory that every machine of the cluster can write to, or keep no shards.",
    )
