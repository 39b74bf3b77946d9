"""The durable record of a campaign: one SQLite file, to which is only added, by several processes at once.

A write is a transaction that is on the disk when the call returns; nothing is ever changed or removed.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    create_engine,
    insert,
    select,
)
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.pool import NullPool

from activelearn.shards import written_whole
from campaigns.campaign_history import Given, Head, History, Result, StoredMeasurement, StoredProposal
from campaigns.predict import check_all_free
from surrogates.errors import InputError, Problem

RowT = TypeVar("RowT", bound=BaseModel)
_APPLICATION, _FORMAT = 0x6163746C, 2
_WAIT_S = 60.0
"""For as long another process may write before this one gives up."""

_TABLES = MetaData()
_CAMPAIGN = Table(
    "campaign",
    _TABLES,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("begun", Text, nullable=False),
    Column("config", Text, nullable=False),
    Column("config_sha256", Text, nullable=False),
    Column("model_sha256", Text, nullable=False),
    Column("files_sha256", Text, nullable=False),
    Column("targets", Text, nullable=False),
    Column("takes_one_salt", Integer, nullable=False),
)
_PROPOSALS = Table(
    "proposal",
    _TABLES,
    Column("id", Integer, primary_key=True),
    Column("call", Integer, nullable=False),
    Column("made", Text, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("mean", Text, nullable=False),
    Column("std", Text, nullable=False),
    Column("interval_factor", Float, nullable=False),
    Column("written", Text, nullable=False),
)
_MEASUREMENTS = Table(
    "measurement",
    _TABLES,
    Column("id", Integer, primary_key=True),
    Column("recorded", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_sha256", Text, nullable=False),
    Column("source_row", Integer, nullable=False),
    Column("proposal", Integer, ForeignKey("proposal.id")),
    Column("candidate", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("values", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("corrects", Integer, ForeignKey("measurement.id"), unique=True),
)


@dataclass(frozen=True)
class Store:
    """The file of a campaign.

    Its processes share memory beside it, so that they must run on one machine, on a disk of its own: on a
    share that several machines have mounted, SQLite's locks do not hold.

    Attributes:
        path: Beside it SQLite keeps `-wal` and `-shm` while a process has it open.
    """

    path: Path

    @staticmethod
    def create(path: Path, head: Head) -> Store:
        """Write a new file, whole or not at all.

        Raises:
            InputError: If something stands there, or it cannot be written.
        """
        # What a killed process left beside a file that has gone would be taken for a part of the new one.
        check_all_free([path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))], "--campaign")
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = {"files_sha256": json.dumps(head.files_sha256), "targets": json.dumps(head.targets)}
        row = head.model_dump(mode="json") | {"id": 1} | texts
        with written_whole(path) as unfinished, _told(path):
            with closing(sqlite3.connect(unfinished)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")  # stays with the file
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {_FORMAT}")
            engine = Store(unfinished)._engine
            _TABLES.create_all(engine)
            with engine.begin() as begun:
                begun.execute(insert(_CAMPAIGN), row)
            _claim(unfinished, path)
        return Store.open(path)

    @staticmethod
    def open(path: Path) -> Store:
        """Return the store of a file that a campaign has written.

        Raises:
            InputError: If it is missing, damaged, of something else or of another version.
        """
        if not path.is_file():
            mend = "Check the path, or begin a campaign with `activelearn campaign new`."
            raise InputError(Problem(str(path), "there is no such file", mend))
        store = Store(path)
        with store._transaction("BEGIN") as connection:
            _check_file(connection, path)
        return store

    def head(self) -> Head:
        """Return what was fixed at the beginning.

        Raises:
            InputError: If the file is damaged.
        """
        with self._transaction("BEGIN") as connection:
            rows = connection.execute(select(_CAMPAIGN)).all()
        if len(rows) != 1:
            raise _damaged(self.path, f"it holds {len(rows)} campaigns")
        stored = rows[0]._asdict()
        del stored["id"]
        return _checked(Head, stored, self.path, "campaign")

    def history(self) -> History:
        """Return all proposals and measurements as they stand together.

        Raises:
            InputError: If the file is damaged.
        """
        with self._transaction("BEGIN") as connection:
            return self._history(connection)

    def give(self, given: Sequence[Given], known: History) -> list[StoredProposal] | None:
        """Add the proposals of a call, unless something was added since `known` was read.

        Returns:
            The proposals with their numbers; None if they were not added.

        Raises:
            InputError: If the file is damaged or cannot be written.
        """
        with self._transaction("BEGIN IMMEDIATE") as connection:
            now = self._history(connection)
            if now.moment != known.moment:
                return None
            rows = [
                {
                    "id": number,
                    "call": known.calls + 1,
                    "made": _now(),
                    "candidate": one.candidate.model_dump_json(),
                    "mean": json.dumps(one.mean),
                    "std": json.dumps(one.std),
                    "interval_factor": one.interval_factor,
                    "written": json.dumps(one.written, allow_nan=False),
                }
                for number, one in enumerate(given, len(now.proposals) + 1)
            ]
            connection.execute(insert(_PROPOSALS), rows)
            return [_checked(StoredProposal, row, self.path, f"proposal {row['id']}") for row in rows]

    def record(self, read: Callable[[History], Sequence[Result]]) -> list[int]:
        """Add measurements, all or none.

        Args:
            read: Returns them, at least one, beside what the file holds; nobody adds to it meanwhile.

        Returns:
            Their numbers; they are on the disk.

        Raises:
            InputError: As `read` does, or if the file is damaged or cannot be written.
        """
        with self._transaction("BEGIN IMMEDIATE") as connection:
            now = self._history(connection)
            fresh = {"recorded": _now()}
            rows = [
                {
                    **vars(one),
                    **fresh,
                    "id": number,
                    "candidate": one.candidate.model_dump_json(),
                    "values": json.dumps(one.values),
                }
                for number, one in enumerate(read(now), len(now.measurements) + 1)
            ]
            for row in rows:
                _checked(StoredMeasurement, row, self.path, f"measurement {row['id']}")
            connection.execute(insert(_MEASUREMENTS), rows)
        return [int(row["id"]) for row in rows]

    @cached_property
    def _engine(self) -> Engine:
        # `mode=rw`: a file that has gone is not made anew. A connection is open for one transaction only.
        place = f"{self.path.absolute().as_uri()}?mode=rw"

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(place, uri=True, timeout=_WAIT_S, isolation_level=None)
            connection.execute("PRAGMA trusted_schema = OFF")  # the file may be a stranger's
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            return connection

        return create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        """Give a connection within a transaction, which ends with the block."""
        with _told(self.path), self._engine.connect() as connection:
            connection.exec_driver_sql(begin)
            yield connection
            connection.commit()

    def _history(self, connection: Connection) -> History:
        proposals = self._rows(connection, _PROPOSALS, StoredProposal)
        measurements = self._rows(connection, _MEASUREMENTS, StoredMeasurement)
        corrected = [one.corrects for one in measurements if one.corrects is not None]
        for one in measurements:
            if one.proposal is not None and one.proposal > len(proposals):
                raise _damaged(self.path, f"there is no proposal {one.proposal}, of measurement {one.id}")
        if len(set(corrected)) < len(corrected):
            raise _damaged(self.path, "one measurement is corrected twice")
        return History(tuple(proposals), tuple(measurements))

    def _rows(self, connection: Connection, table: Table, row_type: type[RowT]) -> list[RowT]:
        stored: Sequence[Row[Any]] = connection.execute(select(table).order_by(table.c.id)).all()
        if [row.id for row in stored] != list(range(1, len(stored) + 1)):
            raise _damaged(self.path, f"the numbers of its rows of {table.name} do not follow each other")
        return [_checked(row_type, row._asdict(), self.path, f"{table.name} {row.id}") for row in stored]


def _claim(unfinished: Path, path: Path) -> None:
    """Give a file its name, unless another process was faster: a rename would put its campaign away.

    Raises:
        InputError: If it was.
    """
    try:
        os.link(unfinished, path)
    except FileExistsError:
        wrong = "another process has begun a campaign here meanwhile"
        raise InputError(Problem(str(path), wrong, "Use it, or give another place.")) from None
    except OSError:  # a disk without links; that two begin at the same moment is not noticed there
        return


def _check_file(connection: Connection, path: Path) -> None:
    """Check that a file is of a campaign and sound.

    Raises:
        InputError: If not.
    """

    def pragma(name: str) -> object:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

    if pragma("application_id") != _APPLICATION:
        mend = "Give a file that `activelearn campaign new` wrote."
        raise InputError(Problem(str(path), "this is a database of something else", mend))
    if (version := pragma("user_version")) != _FORMAT:
        wrong = f"the campaign is of version {version} of its file; version {_FORMAT} was expected"
        mend = (
            "Use the release of activelearn that began it, or `campaign export --current` of that one, and "
        )
        raise InputError(Problem(str(path), wrong, f"{mend}record that in a new campaign."))
    if (found := pragma("quick_check")) != "ok":
        raise _damaged(path, str(found))
    parts = connection.exec_driver_sql("SELECT type, name, tbl_name FROM sqlite_master").all()
    # Triggers and views would have a say in what is written and read.
    for kind, name, of in parts:
        if kind not in ("table", "index") or of not in _TABLES.tables:
            raise _damaged(path, f"it holds {kind} {name} on {of}")


def _checked(row_type: type[RowT], row: dict[str, Any], path: Path, where: str) -> RowT:
    try:
        return row_type.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, (where, *first["loc"])))
        raise _damaged(path, f"{place}: {first['msg']}") from None


def _damaged(path: Path, why: str) -> InputError:
    return InputError(Problem(str(path), f"the file is damaged: {why}", "Restore it from a copy."))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell the user what SQLite finds wrong with a file.

    Raises:
        InputError: For anything but a fault of ours.
    """
    try:
        yield
    except IntegrityError:
        raise
    except (DatabaseError, sqlite3.Error) as error:
        reason = str(error.orig) if isinstance(error, DatabaseError) else str(error)
        if "lock" in reason or "busy" in reason:  # "locking protocol", where very many wait, is one
            wrong = f"another process has been writing to it for {_WAIT_S:g} s"
            raise InputError(Problem(str(path), wrong, "Try again when it is done.")) from None
        mend = "Give a file that `activelearn campaign new` wrote, on a disk that can be written."
        raise InputError(Problem(str(path), f"it cannot be used: {reason}", mend)) from None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
