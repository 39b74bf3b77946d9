"""`activelearn campaign`: begin one, ask it what to measure, tell it what came, see how it stands."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from campaigns.file_options import ColumnOption, UnitOption
from surrogates.errors import InputError, Problem

app = typer.Typer(help="Run a campaign of measurements on one file.", no_args_is_help=True)

File = Annotated[
    Path, typer.Option("--campaign", "-c", help="The campaign's file; several people may use it at once.")
]
FILE = Path("campaign.db")


@app.command()
def new(
    config: Annotated[str, typer.Argument(help="A YAML file, as for `propose`; it is fixed from now on.")],
    campaign: File = FILE,
) -> None:
    """Begin a campaign: space, constraints, model and strategy are written to a new file."""
    from campaigns.campaign import Campaign
    from campaigns.propose_config import choose_proposals

    begun = Campaign.new(campaign, choose_proposals(config))
    candidates = len(begun.config.space.space())
    typer.echo(
        f"The campaign: {campaign}, {candidates:,} candidates, measuring {', '.join(begun.head.targets)}"
    )


@app.command()
def suggest(
    campaign: File = FILE,
    count: Annotated[int, typer.Option("--count", "-q", min=1, help="How many to suggest.")] = 4,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A new CSV or Parquet file for the proposals.")
    ] = None,
) -> None:
    """Suggest what to measure next; the proposals are pending until their results are recorded."""
    from rich.console import Console

    from campaigns.campaign import Campaign
    from campaigns.predict import check_all_free, check_suffix, write_table

    if out is not None:
        check_suffix(out)
        check_all_free([out])
    opened = Campaign.open(campaign)
    table = opened.suggest(count)
    if out is not None:
        try:
            write_table(table, out)
        except InputError as error:  # another call would propose others
            mend = f"The proposals are kept: `activelearn campaign export -c {campaign} --pending -o FILE`."
            raise InputError([replace(problem, mend=mend) for problem in error.problems]) from None
    opened.family.show(table, out, Console(width=_width(), highlight=False))


@app.command()
def record(
    results: Annotated[Path, typer.Argument(help="CSV or Parquet, a row a measurement.")],
    column: ColumnOption,
    unit: UnitOption,
    campaign: File = FILE,
) -> None:
    """Record measurements, failures and corrections: all rows of a file, or none."""
    from campaigns.campaign import Campaign
    from campaigns.predict import pairs

    columns, units = pairs("--column", column, "temperature_K=T"), pairs("--unit", unit, "temperature_K=degC")
    opened = Campaign.open(campaign)
    done, word = opened.record(results, columns, units), opened.family.reader.word
    counts = ", ".join(f"{number} {outcome}" for outcome, number in done.outcomes.items() if number)
    first, last = done.measurements[0], done.measurements[-1]
    typer.echo(f"Recorded as measurements {first} to {last}: {counts}")
    if done.corrections:
        typer.echo(f"{done.corrections} of them in the place of an earlier measurement, which is kept")
    if done.unproposed:
        typer.echo(f"{done.unproposed} of them of {word}s that nobody proposed")
    if done.repeated:
        rows = ", ".join(map(str, done.repeated))
        typer.echo(
            f"Warning: rows {rows} repeat the value of an earlier measurement of the same {word}. If it was "
            "recorded twice, withdraw one: corrects, its number; status, withdrawn."
        )


@app.command()
def status(campaign: File = FILE) -> None:
    """Show the best so far, what is pending, how true the model was, and whether to go on."""
    from rich.console import Console

    from campaigns.campaign import Campaign
    from campaigns.campaign_status import print_status

    print_status(Campaign.open(campaign).status(), Console(width=_width(), highlight=False))


@app.command()
def export(
    campaign: File = FILE,
    out: Annotated[Path, typer.Option("--out", "-o", help="A new CSV or Parquet file.")] = Path(
        "results/measurements.csv"
    ),
    pending: Annotated[
        bool, typer.Option("--pending", help="The proposals that wait, in place of the measurements.")
    ] = False,
    current: Annotated[
        bool, typer.Option("--current", help="The measurements that stand, as a new campaign records them.")
    ] = False,
) -> None:
    """Write all measurements with their history as a table."""
    from campaigns.campaign import Campaign
    from campaigns.predict import check_all_free, check_suffix, write_table

    if pending and current:
        raise InputError(Problem("--pending --current", "both came", "Give one: proposals, or measurements."))
    check_suffix(out)
    check_all_free([out])
    opened = Campaign.open(campaign)
    table = opened.pending() if pending else opened.results() if current else opened.export()
    write_table(table, out, None if not pending else "%.6g")
    typer.echo(f"{len(table)} {'proposals' if pending else 'measurements'}: {out}")


def _width() -> int | None:
    return None if sys.stdout.isatty() else 120
