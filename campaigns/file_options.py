"""Options that say how a user's file calls our columns, of every command that reads one."""

from __future__ import annotations

from typing import Annotated

import typer

ColumnOption = Annotated[
    list[str],
    typer.Option(
        "--column",
        metavar="OURS=THEIRS",
        help="The file's header for a column of ours, as temperature_K=T; may be given several times.",
        default_factory=list,
        show_default=False,
    ),
]
UnitOption = Annotated[
    list[str],
    typer.Option(
        "--unit",
        metavar="OURS=UNIT",
        help="The file's unit of a column of ours, as temperature_K=degC; may be given several times.",
        default_factory=list,
        show_default=False,
    ),
]
