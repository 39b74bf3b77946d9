"""What a command shows while it works and when it is done."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from activelearn.screening import Standing

UNKNOWN = "Not in domain: far from what the model was trained on; its numbers are a guess there."
LINE_EVERY_S = 5.0
RATE_OVER_S = 600.0  # a split may take longer than the 30 s over which rich takes its rate
Shown = Generator[Standing, None, None]  # to be closed, so that an interrupt leaves the terminal as it was


def watched(standings: Iterator[Standing], done: int, total: int, console: Console) -> Shown:
    """Pass the standings on and show how far they are.

    Args:
        standings: A screen that runs.
        done: Candidates scored before.
        total: Candidates of the space.
        console: Where to show it.
    """
    with progress(console, "candidates", total, done) as told:
        for standing in standings:
            told(standing.candidates)
            yield standing


def progress(
    console: Console, unit: str, total: int, done: int = 0
) -> AbstractContextManager[Callable[[int], None]]:
    """Show rate and time left of some work: a bar on a terminal, else a line now and then and at the end.

    Args:
        console: Where to show it.
        unit: What is counted, in the plural.
        total: How many there are.
        done: How many were done before.

    Returns:
        To be entered; gives what is called with the number that is done.
    """
    return (_on_a_bar if console.is_terminal else _in_lines)(console, unit, total, done)


@contextmanager
def _on_a_bar(console: Console, unit: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
    columns = (
        TextColumn(unit),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    started = monotonic()
    with Progress(*columns, console=console, speed_estimate_period=RATE_OVER_S) as bar:
        task = bar.add_task("", total=total, completed=done, rate="")

        def told(now_done: int) -> None:
            rate = (now_done - done) / (monotonic() - started)
            bar.update(task, completed=now_done, rate=_per_second(rate))

        yield told


@contextmanager
def _in_lines(console: Console, unit: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
    started = shown = monotonic()

    def told(now_done: int) -> None:
        nonlocal shown
        now = monotonic()
        if now - shown >= LINE_EVERY_S or now_done == total:
            rate = (now_done - done) / (now - started)
            words = f"{now_done:,} of {total:,} {unit}, {_per_second(rate)}"
            console.print(f"{words}, {(total - now_done) / rate:,.0f} s left", soft_wrap=True)
            shown = now

    yield told


def _per_second(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"


def print_best(ranked: pd.DataFrame, total: int, console: Console) -> None:
    """Print the head of a ranked list as a table.

    Args:
        ranked: The head, with the columns of `ranked.csv`.
        total: Candidates of the space.
        console: Where to print it.
    """
    columns = map(str, ranked)
    targets = [name.removesuffix("_std_epistemic") for name in columns if name.endswith("_std_epistemic")]
    listed = " and ".join(filter(None, [", ".join(targets[:-1]), targets[-1]]))
    by = f"Pareto rank of {listed}" if "pareto_rank" in ranked else listed
    title = f"The {len(ranked)} best of {total:,} candidates by {by}"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    are_cathodes = "formula" in ranked
    several = len(targets) > 1
    for words in ("#", "formula") if are_cathodes else ("#", "solvents, weight %", "salt"):
        table.add_column(words, overflow="fold")
    numbers = [] if are_cathodes else ["mol/kg", "K"]
    for name in targets:
        numbers += [name] if several else ["mean", "std", "90 % interval"]
    for number in [*numbers, *(["Pareto rank"] if several else []), "in domain"]:
        table.add_column(number, justify="right", overflow="fold")
    for row in ranked.to_dict("records"):
        cells = [str(row["rank"]), *(_cathode(row) if are_cathodes else _mixture(row))]
        for name in targets:
            cells += [with_std(row[f"{name}_mean"], row[f"{name}_std"])] if several else _estimate(row, name)
        cells += [str(row["pareto_rank"])] if several else []
        table.add_row(*cells, "yes" if row["in_domain"] else "no")
    console.print(table)
    if not ranked["in_domain"].all():
        console.print(UNKNOWN)


Row = Mapping[Hashable, Any]


def _cathode(row: Row) -> list[str]:
    return [row["formula"]]


def _mixture(row: Row) -> list[str]:
    return [_solvents(row), row["salt"], f"{row['molality_mol_kg']:g}", f"{row['temperature_K']:g}"]


def _estimate(row: Row, name: str) -> list[str]:
    low, high = (f"{row[f'{name}_{end}_90']:.2f}" for end in ("lower", "upper"))
    return [f"{row[f'{name}_mean']:.2f}", f"{row[f'{name}_std']:.2f}", f"{low} to {high}"]


def with_std(mean: float, std: float) -> str:
    """Return a mean and its standard deviation, both to the second digit of the latter."""
    digits = 0 if not 0 < std < math.inf else min(max(1 - math.floor(math.log10(std)), 0), 6)
    return f"{mean:.{digits}f} ± {std:.{digits}f}"


def _solvents(row: Row) -> str:
    slots = [str(key).removeprefix("weight_fraction_") for key in row if "weight_fraction_" in str(key)]
    used = [slot for slot in slots if not pd.isna(row[f"solvent_{slot}"])]
    names = " + ".join(row[f"solvent_{slot}"] for slot in used)
    percent = ":".join(f"{100 * row[f'weight_fraction_{slot}']:.3g}" for slot in used)
    return f"{names} {percent}"
