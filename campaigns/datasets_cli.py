"""`activelearn datasets`: which public data there are, fetch them, check a copy."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="List, fetch and check public data sets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the data set, as `datasets list` shows it.")]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Searched first, then $ACTIVELEARN_DATA, then the user's cache."),
]


@app.command("list")
def list_all(data_dir: DataDir = None) -> None:
    """Show every data set, its licence, whom to cite, and where a copy lies."""
    from rich.console import Console
    from rich.table import Column, Table

    from surrogates.datasets import DATASETS, local_copy

    headers = ("name", "rows", "what", "licence", "citation", "copy")
    table = Table(*(Column(header, overflow="fold") for header in headers), show_lines=True)
    for entry in DATASETS:
        copy = local_copy(entry, data_dir)
        where = str(copy) if copy else "none yet"
        rows = "none" if entry.rows is None else f"{entry.rows:,}"
        table.add_row(entry.name, rows, entry.what, entry.licence, entry.citation, where)
    Console().print(table)


@app.command()
def fetch(name: Name, data_dir: DataDir = None) -> None:
    """Print where checked copies lie; download into the user's cache what is missing."""
    from surrogates import datasets

    entry = datasets.dataset(name)
    folder = datasets.fetch(entry, data_dir)
    for file in entry.files:
        typer.echo(folder / file.name)


@app.command()
def check(name: Name, data_dir: DataDir = None) -> None:
    """Check the hash of each file, read them, and report what was done to how many rows."""
    from surrogates import datasets
    from surrogates.excess_data import TARGETS

    entry = datasets.dataset(name)
    folder = datasets.fetch(entry, data_dir)
    for file in entry.files:
        checked = f"sha256 {file.sha256}, as published" if file.sha256 else "no hash is published"
        typer.echo(f"{folder / file.name}\n{checked}")
    reports = [] if entry.load is None else [entry.load(folder).report]
    if entry.load_excess is not None:
        reports = [entry.load_excess(folder, target).report for target in TARGETS]
    if entry.load_table is not None:
        reports = [entry.load_table(folder).report]
    for line in chain.from_iterable(reports):
        typer.echo(f"- {line}")
