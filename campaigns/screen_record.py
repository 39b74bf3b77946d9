"""The directory of a screen: what was asked, how far it came, what came out.

`run.json` says what is screened, with `"finished": false` until all is done; `progress.npz` holds the
standing after the last chunk and goes when `ranked.csv` comes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pandas as pd

from activelearn.pareto import by_pareto_rank
from activelearn.screening import Screen, Standing
from activelearn.shards import clear_unfinished, written_whole
from surrogates.errors import InputError, Problem

Json = dict[str, Any]
ESTIMATE = ("mean", "std", "std_epistemic", "std_aleatoric", "lower_90", "upper_90")
"""What is written of each target, as the ends of the columns' names."""


@dataclass(frozen=True)
class ScreenRecord:
    """The files of one screen.

    Attributes:
        directory: Where they stand.
        asked: All that decides the ranking, as it stands in `run.json`: a screen resumes only with the same.
    """

    directory: Path
    asked: Json

    @property
    def shards(self) -> Path:
        """Directory of the scored candidates, all of them."""
        return self.directory / "predictions"

    @property
    def ranked(self) -> Path:
        """The ranked list."""
        return self.directory / "ranked.csv"

    @property
    def summary(self) -> Path:
        """What was run, with what, and what it took."""
        return self.directory / "run.json"

    @property
    def maps(self) -> Path:
        """The maps of a space that is a grid."""
        return self.directory / "maps.png"

    @property
    def figure(self) -> Path:
        """The list of mixtures as a figure."""
        return self.directory / "ranked.png"

    @property
    def _progress(self) -> Path:
        return self.directory / "progress.npz"

    @staticmethod
    def open(directory: Path, asked: Json, resume: bool) -> ScreenRecord:
        """Return the record of a new screen, or of the one that stands in the directory.

        Raises:
            InputError: If a screen stands there and `resume` is false, or another one was asked for there,
                or the directory cannot be made.
        """
        record = ScreenRecord(directory, json.loads(json.dumps(asked)))
        if record.summary.exists() and resume:
            record._refuse_another()
            return record
        for path in (record.summary, record.ranked, record.shards):
            if path.exists():
                wrong = f"it holds the {path.name} of a screen already; nothing was changed"
                mend = "Give another --out, or continue that screen with --resume."
                raise InputError(Problem(str(directory), wrong, mend))
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(_cannot_write(directory, error)) from None
        return record

    def begin(self) -> None:
        """Make the directory ready for the chunks, new or resumed.

        Raises:
            InputError: If it cannot be written.
        """
        try:
            if not self.summary.exists():
                self._write_summary({"finished": False, **self.asked})
            if self.asked["shards"]:
                self.shards.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(_cannot_write(self.directory, error)) from None
        clear_unfinished(self.directory)
        clear_unfinished(self.shards)

    def is_finished(self) -> bool:
        """Return whether all of the screen is done."""
        return self.ranked.exists() and bool(self._read_summary().get("finished"))

    def standing(self) -> Standing:
        """Return how far the screen came.

        Raises:
            InputError: If the file that says so is damaged.
        """
        if not self._progress.exists():
            return Standing()
        try:
            with np.load(self._progress, allow_pickle=False) as saved:
                return Standing(
                    finished=frozenset(saved["finished"].tolist()),
                    candidates=int(saved["candidates"]),
                    in_domain=int(saved["in_domain"]),
                    top=saved["top"],
                    compute_s=float(saved["compute_s"]),
                    write_s=float(saved["write_s"]),
                    missed=saved["missed"],
                )
        except (OSError, ValueError, KeyError, BadZipFile):
            wrong = "the file is damaged"
            raise InputError(Problem(str(self._progress), wrong, "Remove it to screen all again.")) from None

    def save(self, standing: Standing) -> None:
        """Keep how far the screen came."""
        with written_whole(self._progress) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                finished=np.array(sorted(standing.finished)),
                candidates=standing.candidates,
                in_domain=standing.in_domain,
                top=standing.top,
                compute_s=standing.compute_s,
                write_s=standing.write_s,
                missed=standing.missed,
            )

    def write_ranked(self, table: pd.DataFrame) -> None:
        """Write the ranked list, numbers with six digits."""
        with written_whole(self.ranked) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")

    def finish(self, results: Json) -> None:
        """Add the results to `run.json`; the screen is finished."""
        self._write_summary({"finished": True, **self.asked, **results})
        self._progress.unlink(missing_ok=True)

    def counts(self) -> Json:
        """Return the counts of a finished screen, as `run.json` has them."""
        counts: Json = self._read_summary()["counts"]
        return counts

    def _write_summary(self, content: Json) -> None:
        with written_whole(self.summary) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def _read_summary(self) -> Json:
        try:
            content = json.loads(self.summary.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            content = None
        if not isinstance(content, dict):
            wrong, mend = "the file is damaged", "Start again in another --out."
            raise InputError(Problem(str(self.summary), wrong, mend))
        return content

    def _refuse_another(self) -> None:
        summary = self._read_summary()
        there = dict(_leaves({key: summary.get(key) for key in self.asked}, ""))
        here = dict(_leaves(self.asked, ""))
        problems = [
            Problem(
                f'{self.summary}, "{key}"',
                f"the screen there has {there.get(key)}, this one has {here.get(key)}",
                "Give another --out, or what stands there.",
            )
            for key in dict.fromkeys([*there, *here])
            if there.get(key) != here.get(key)
        ]
        if problems:
            raise InputError(problems)


def _cannot_write(directory: Path, error: OSError) -> Problem:
    wrong = f"the directory cannot be written: {error.strerror}"
    return Problem(str(directory), wrong, "Give another --out.")


def _leaves(value: object, key: str) -> Iterator[tuple[str, object]]:
    """Yield the values within nested mappings and lists, by dotted key."""
    if isinstance(value, list):
        value = dict(enumerate(value, start=1))
    if not isinstance(value, dict):
        yield key, value
        return
    for name, below in value.items():
        yield from _leaves(below, f"{key}.{name}".lstrip("."))


def ranked_table(screen: Screen, top: np.ndarray) -> pd.DataFrame:
    """Return the ranked list: what each candidate is, its predictions, intervals and score or Pareto rank.

    Args:
        screen: The screen.
        top: What its last standing holds.
    """
    objectives = screen.objectives
    if screen.is_pareto:
        top, rank = by_pareto_rank(top, objectives, screen.top_k)
        last = {"pareto_rank": rank}
    else:
        last = {"score": top["score"]}
    table = screen.space.describe(top["candidate"])
    factor = top["interval_factor"].astype(float)
    for name, prefix in [(name, f"{name}_") for name in objectives] or [(screen.predictor.target, "")]:
        mean, epistemic, aleatoric = (
            top[f"{prefix}{part}"].astype(float) for part in ("mean", "std_epistemic", "std_aleatoric")
        )
        table = table.assign(**estimate_columns(name, mean, epistemic, aleatoric, factor))
    table = table.assign(in_domain=top["in_domain"], **last)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def estimate_columns(
    name: str,
    mean: npt.NDArray[np.float64],
    epistemic: npt.NDArray[np.float64],
    aleatoric: npt.NDArray[np.float64],
    factor: npt.NDArray[np.float64],
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the columns of a target: mean, standard deviation and its two parts, 90 % interval.

    Args:
        name: Of the target.
        mean: `n`, in its unit.
        epistemic: `n`, standard deviation of what the model does not know.
        aleatoric: `n`, standard deviation of noise.
        factor: `n`, standard deviations on either side of the mean that hold 90 %.
    """
    std = np.hypot(epistemic, aleatoric)
    columns = (mean, std, epistemic, aleatoric, mean - factor * std, mean + factor * std)
    return {f"{name}_{part}": column for part, column in zip(ESTIMATE, columns, strict=True)}


def is_grid(ranked: pd.DataFrame, candidates: int) -> bool:
    """Return whether a list holds all of a space with one cathode for each lithium and fluorine content."""
    contents = ranked[["lithium", "fluorine"]]
    return (
        len(ranked) == candidates and not contents.duplicated().any() and bool((contents.nunique() > 1).all())
    )
