"""What a command shows while it works and when it is done."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Iterator, Mapping
from time import monotonic
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from activelearn.screening import Standing

LINE_EVERY_S = 5.0
Shown = Generator[Standing, None, None]  # to be closed, so that an interrupt leaves the terminal as it was


def watched(standings: Iterator[Standing], done: int, total: int, console: Console) -> Shown:
    """Pass the standings on and show how far they are: a bar on a terminal, else a line now and then.

    Args:
        standings: A screen that runs.
        done: Candidates scored before.
        total: Candidates of the space.
        console: Where to show it.
    """
    return (_on_a_bar if console.is_terminal else _in_lines)(standings, done, total, console)


def _on_a_bar(standings: Iterator[Standing], done: int, total: int, console: Console) -> Shown:
    columns = (
        TextColumn("screening"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    started = monotonic()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total, completed=done, rate="")
        for standing in standings:
            rate = (standing.candidates - done) / (monotonic() - started)
            progress.update(task, completed=standing.candidates, rate=f"{rate:,.0f}/s")
            yield standing


def _in_lines(standings: Iterator[Standing], done: int, total: int, console: Console) -> Shown:
    started = shown = monotonic()
    for standing in standings:
        now = monotonic()
        if now - shown >= LINE_EVERY_S or standing.candidates == total:
            rate = (standing.candidates - done) / (now - started)
            console.print(
                f"{standing.candidates:,} of {total:,} candidates, {rate:,.0f}/s, "
                f"{(total - standing.candidates) / rate:,.0f} s left",
                soft_wrap=True,
            )
            shown = now
        yield standing


def print_best(ranked: pd.DataFrame, target: str, total: int, console: Console) -> None:
    """Print the head of a ranked list as a table.

    Args:
        ranked: The head, with the columns of `ranked.csv`.
        target: Name of the target.
        total: Candidates of the space.
        console: Where to print it.
    """
    title = f"The {len(ranked)} best of {total:,} candidates by {target}"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for words in ("#", "solvents, weight %", "salt"):
        table.add_column(words, overflow="fold")
    for number in ("mol/kg", "K", "mean", "std", "90 % interval", "in domain"):
        table.add_column(number, justify="right", overflow="fold")
    for row in ranked.to_dict("records"):
        table.add_row(
            str(row["rank"]),
            _solvents(row),
            row["salt"],
            f"{row['molality_mol_kg']:g}",
            f"{row['temperature_K']:g}",
            f"{row[f'{target}_mean']:.2f}",
            f"{row[f'{target}_std']:.2f}",
            f"{row[f'{target}_lower_90']:.2f} to {row[f'{target}_upper_90']:.2f}",
            "yes" if row["in_domain"] else "no",
        )
    console.print(table)
    if not ranked["in_domain"].all():
        console.print("Not in domain: far from what the model was trained on; its numbers are a guess there.")


def _solvents(row: Mapping[Hashable, Any]) -> str:
    slots = [str(key).removeprefix("weight_fraction_") for key in row if "weight_fraction_" in str(key)]
    used = [slot for slot in slots if not pd.isna(row[f"solvent_{slot}"])]
    names = " + ".join(row[f"solvent_{slot}"] for slot in used)
    percent = ":".join(f"{100 * row[f'weight_fraction_{slot}']:.3g}" for slot in used)
    return f"{names} {percent}"
