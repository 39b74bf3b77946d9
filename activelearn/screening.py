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
from pathlib import Path
from time import perf_counter
from typing import cast

import numpy as np
import torch
from torch import Tensor

from activelearn.shards import shard_path, write_shard
from activelearn.spaces import MixtureSpace
from surrogates.errors import InputError, Problem
from surrogates.prediction import Prediction, Predictor

ROW = np.dtype(
    [
        ("candidate", "i8"),
        ("mean", "f4"),
        ("std_epistemic", "f4"),
        ("std_aleatoric", "f4"),
        ("in_domain", "?"),
        ("score", "f8"),
    ],
)
"""A scored candidate; mean and standard deviations in the target's unit."""

BLOCK = 2**15
"""Candidates predicted at once: decoding and ranking them costs some 45 ns each, 175 in blocks of 2**12."""

Score = Callable[[Prediction], Tensor]
"""What candidates are ranked by, `n`, higher is better; it must pickle."""


def by_mean(prediction: Prediction) -> Tensor:
    """Return the mean, `n`, float64."""
    return prediction.mean.double()


def by_ucb(prediction: Prediction, kappa: float) -> Tensor:
    """Return the upper confidence bound, mean + `kappa` standard deviations, `n`, float64."""
    return prediction.mean.double() + kappa * prediction.std.double()


def by_probability_above(prediction: Prediction, threshold: float) -> Tensor:
    """Return the probability that a measurement exceeds `threshold` if it is normal, `n`, float64."""
    excess: Tensor = (prediction.mean.double() - threshold) / prediction.std.double()
    return cast(Tensor, torch.special.ndtr(excess))


def best(rows: np.ndarray, k: int) -> np.ndarray:
    """Return the `k` rows of highest score, best first; of equal scores the lower candidate leads."""
    if k < len(rows):
        floor = np.partition(rows["score"], -k)[-k]
        rows = rows[rows["score"] >= floor]
    order = np.lexsort((rows["candidate"], -rows["score"]))
    return rows[order[:k]]


@dataclass(frozen=True)
class ScoredChunk:
    """What a worker returns of a chunk: its best rows (`ROW`), counts, and where its time went [s]."""

    chunk: range
    top: np.ndarray
    in_domain: int
    compute_s: float
    write_s: float


@dataclass(frozen=True)
class Screen:
    """All that a worker needs to score any chunk of a space; it pickles.

    Attributes:
        space: The candidates.
        predictor: The model, bound to the space's table.
        score: What they are ranked by.
        top_k: How many are kept of the whole space.
        shards: Directory for all scored candidates, or None to keep the best only.
    """

    space: MixtureSpace
    predictor: Predictor
    score: Score
    top_k: int
    shards: Path | None = None

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
        rows = np.empty(len(chunk), ROW)
        for first in range(0, len(chunk), BLOCK):
            self._score_block(chunk.start + first, rows[first : first + BLOCK])
        top = best(rows, self.top_k)
        scored = perf_counter()
        if path := self.shard(chunk):
            try:
                write_shard(path, rows)
            except OSError as error:
                raise InputError(_cannot_write(path.parent, error)) from None
        written = perf_counter()
        return ScoredChunk(chunk, top, int(rows["in_domain"].sum()), scored - started, written - scored)

    def _score_block(self, start: int, rows: np.ndarray) -> None:
        with torch.inference_mode():
            prediction = self.predictor.predict(self.space[start : start + len(rows)])
            score = self.score(prediction)
        rows["candidate"] = np.arange(start, start + len(rows))
        rows["mean"] = prediction.mean
        rows["std_epistemic"] = prediction.epistemic.sqrt()
        rows["std_aleatoric"] = prediction.aleatoric.sqrt()
        rows["in_domain"] = prediction.in_domain
        rows["score"] = score
        if not score.isfinite().all():
            candidate = start + int(score.isfinite().logical_not().nonzero()[0])
            raise InputError(
                Problem(
                    f"candidate {candidate}",
                    f"the model gives it a mean of {float(prediction.mean[candidate - start])} and a score "
                    f"of {float(score[candidate - start])}; finite numbers were expected",
                    "Train the model again or give another.",
                )
            )


@dataclass(frozen=True)
class Standing:
    """Where a screen stands after some of its chunks, in whatever order they came.

    Attributes:
        finished: First candidates of the chunks that are done.
        candidates: Candidates scored.
        in_domain: Those of them within the model's domain.
        top: The best of them, `ROW`, best first.
        compute_s: Time the workers spent on predicting and ranking, together, s.
        write_s: Time the workers spent on writing shards, together, s.
    """

    finished: frozenset[int] = frozenset()
    candidates: int = 0
    in_domain: int = 0
    top: np.ndarray = field(default_factory=lambda: np.empty(0, ROW))
    compute_s: float = 0.0
    write_s: float = 0.0

    def after(self, scored: ScoredChunk, top_k: int) -> Standing:
        """Return the standing with one more chunk."""
        return Standing(
            finished=self.finished | {scored.chunk.start},
            candidates=self.candidates + len(scored.chunk),
            in_domain=self.in_domain + scored.in_domain,
            top=best(np.concatenate([self.top, scored.top]), top_k),
            compute_s=self.compute_s + scored.compute_s,
            write_s=self.write_s + scored.write_s,
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
        standing = standing.after(scored, screen.top_k)
        yield standing


def _cannot_write(directory: Path, error: OSError) -> Problem:
    return Problem(
        str(directory),
        f"a worker on {socket.gethostname()} cannot write its shard: {os.strerror(error.errno or 0)}",
        "Give a directory that every machine of the cluster can write to, or keep no shards.",
    )
