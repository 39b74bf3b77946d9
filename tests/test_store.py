"""A campaign's file: what is acknowledged stays, whoever writes beside and whenever one is killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from campaigns import store as storing
from campaigns.campaign_history import History, Result
from campaigns.store import Store
from surrogates.errors import InputError, Problem
from tests.campaign_writer import ROWS
from tests.small_campaigns import TARGET, given, mixture, result, small_head, small_store

ROOT = Path(__file__).parent.parent
KILLS = 200
Begin = Callable[[Path], subprocess.Popen[str]]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start `tests.campaign_writer` on a file, in a process group that dies with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(path: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.campaign_writer", str(path)]
        pipe = subprocess.PIPE
        writer = subprocess.Popen(
            command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, bufsize=1, start_new_session=True
        )
        started.append(writer)
        return writer

    yield start
    for writer in started:
        if writer.poll() is None:
            os.killpg(writer.pid, signal.SIGKILL)
        writer.communicate()


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    head = small_head('{"seed":1}')
    Store.create(tmp_path / "c.db", head)
    store = Store.open(tmp_path / "c.db")
    assert store.head() == head
    assert store.history() == History((), ())

    stored = store.give([given(0.3), given(0.1 + 0.2)], store.history())
    assert stored is not None
    assert store.record(
        lambda known: [result(0.25, -2.125, proposal=2), result(outcome="failed", value=None)]
    )
    assert store.record(lambda known: [result(0.25, 1e-300, corrects=1, reason="cell constant")]) == [3]
    read = Store.open(tmp_path / "c.db").history()

    assert [one.model_dump() for one in read.proposals] == [one.model_dump() for one in stored]
    assert [one.id for one in read.proposals] == [1, 2]
    assert read.proposals[1].candidate == mixture(0.1 + 0.2)
    assert read.proposals[0].written == {"solvent_1": "EC", "weight_fraction_1": 0.3, "why": None}
    assert [one.values.get(TARGET) for one in read.measurements] == [-2.125, None, 1e-300]
    assert read.measurements[0].candidate == mixture(0.25)
    assert read.corrected_by == {1: 3}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.db"]


def test_the_file_keeps_the_mode_in_which_readers_do_not_wait(tmp_path: Path) -> None:
    small_store(tmp_path / "c.db")
    with closing(sqlite3.connect(tmp_path / "c.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_name_may_be_strange(tmp_path: Path) -> None:
    store = small_store(tmp_path / "50 % of #1?.db", 0.3)
    assert len(Store.open(store.path).history().proposals) == 1


def test_proposals_are_given_only_upon_what_was_known(tmp_path: Path) -> None:
    store = small_store(tmp_path / "c.db", 0.3)
    known = store.history()
    store.record(lambda known: [result(0.3, proposal=1)])

    assert store.give([given(0.4)], known) is None
    assert len(store.history().proposals) == 1
    stored = store.give([given(0.4)], store.history())
    assert stored is not None
    assert [(one.id, one.call) for one in stored] == [(2, 2)]


def test_nothing_is_recorded_if_the_rows_are_refused(tmp_path: Path) -> None:
    store = small_store(tmp_path / "c.db", 0.3)

    def rows(known: History) -> list[Result]:
        raise InputError(Problem("results.csv", "it is wrong", "Mend it."))

    assert refusal(lambda: store.record(rows)) == "results.csv: it is wrong. Mend it."
    assert "values are {}" in refusal(lambda: store.record(lambda known: [result(), result(value=None)]))
    assert store.history().measurements == ()
    assert store.record(lambda known: [result()]) == [1]


def test_what_is_no_campaign_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    begin = "Check the path, or begin a campaign with `activelearn campaign new`."
    assert refusal(lambda: Store.open(path)) == f"{path}: there is no such file. {begin}"
    path.write_text("a text, which is long enough that it might be a database " * 20)
    mend = "Give a file that `activelearn campaign new` wrote, on a disk that can be written."
    assert refusal(lambda: Store.open(path)) == f"{path}: it cannot be used: file is not a database. {mend}"
    path.unlink()
    change(path, "CREATE TABLE campaign (id)")
    mend = "Give a file that `activelearn campaign new` wrote."
    assert refusal(lambda: Store.open(path)) == f"{path}: this is a database of something else. {mend}"
    path.unlink()
    small_store(path)
    assert refusal(lambda: Store.create(path, small_head())) == (
        f"{path}: something stands here already. Give another --campaign, or move it away."
    )


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("PRAGMA user_version = 1", "the campaign is of version 1 of its file; version 2 was expected"),
        (
            "CREATE TRIGGER t AFTER INSERT ON measurement BEGIN DELETE FROM measurement; END",
            "the file is damaged: it holds trigger t on measurement",
        ),
        ("CREATE TABLE other (id)", "the file is damaged: it holds table other on other"),
        ("DELETE FROM campaign", "the file is damaged: it holds 0 campaigns"),
        (
            "UPDATE campaign SET config = '{\"seed\":2}'",
            "the file is damaged: campaign: Value error, config is not what config_sha256 says",
        ),
        (
            "DELETE FROM proposal WHERE id = 1",
            "the file is damaged: the numbers of its rows of proposal do not follow each other",
        ),
        (
            'UPDATE measurement SET "values" = \'{"y":1e999}\' WHERE id = 1',
            "the file is damaged: measurement 1.values.y: Input should be a finite number",
        ),
        (
            "UPDATE measurement SET \"values\" = '{}' WHERE id = 1",
            "the file is damaged: measurement 1: Value error, outcome is measured and values are {}",
        ),
        (
            'UPDATE measurement SET candidate = \'{"kind":"mixture"}\' WHERE id = 1',
            "the file is damaged: measurement 1.candidate.mixture.solvents: Field required",
        ),
        (
            "UPDATE measurement SET candidate = replace(candidate, 'O=C1OCCO1', 'nonsense') WHERE id = 1",
            "the file is damaged: measurement 1.candidate.mixture.solvents.0.smiles: Value error, 'nonsense' "
            "is not a SMILES that RDKit can read",
        ),
        (
            "UPDATE measurement SET proposal = 7 WHERE id = 1",
            "the file is damaged: there is no proposal 7, of measurement 1",
        ),
        (
            "UPDATE measurement SET corrects = 3 WHERE id = 2",
            "the file is damaged: measurement 2: Value error, corrects is 3, which is not earlier",
        ),
        ("ALTER TABLE measurement DROP COLUMN reason", "no such column: measurement.reason"),
    ],
)
def test_a_file_that_others_have_changed_is_refused(tmp_path: Path, statement: str, wrong: str) -> None:
    store = small_store(tmp_path / "c.db", 0.3, 0.4)
    store.record(lambda known: [result(0.3, proposal=1)])
    store.record(lambda known: [result(0.3, corrects=1), result(0.4)])
    change(store.path, statement)

    def read() -> object:
        opened = Store.open(store.path)
        return opened.head(), opened.history()

    assert wrong in refusal(read)


def test_a_page_that_was_overwritten_is_noticed(tmp_path: Path) -> None:
    store = small_store(tmp_path / "c.db", *(place / 100 for place in range(1, 60)))
    whole = store.path.read_bytes()
    store.path.write_bytes(whole[:8192] + b"\xff" * 4096 + whole[12288:])

    assert refusal(lambda: Store.open(store.path).history()).startswith(f"{store.path}: ")


def test_who_waits_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "_WAIT_S", 0.01)
    store = small_store(tmp_path / "c.db", 0.3)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert refusal(lambda: store.record(lambda known: [result()])) == (
            f"{store.path}: another process has been writing to it for 0.01 s. Try again when it is done."
        )
        assert len(store.history().proposals) == 1  # reading goes on
        other.execute("ROLLBACK")
    assert store.record(lambda known: [result()]) == [1]


def test_many_that_wait_are_told_so_too(tmp_path: Path) -> None:
    def crowded() -> None:
        with storing._told(tmp_path / "c.db"):
            raise sqlite3.OperationalError("locking protocol")

    assert refusal(crowded) == (
        f"{tmp_path}/c.db: another process has been writing to it for 60 s. Try again when it is done."
    )


def test_of_two_that_begin_at_one_place_the_first_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.db"
    check = storing.check_all_free

    def slow(files: list[Path], option: str) -> None:
        check(files, option)
        monkeypatch.setattr(storing, "check_all_free", check)
        small_store(path, 0.3)  # another process is faster

    monkeypatch.setattr(storing, "check_all_free", slow)
    assert refusal(lambda: small_store(path)) == (
        f"{path}: another process has begun a campaign here meanwhile. Use it, or give another place."
    )
    assert len(Store.open(path).history().proposals) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["c.db"]


def test_what_is_left_of_a_file_that_has_gone_is_not_taken_for_a_part_of_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "c.db-wal").write_bytes(b"acknowledged")
    assert refusal(lambda: small_store(tmp_path / "c.db")) == (
        f"{tmp_path}/c.db-wal: something stands here already. Give another --campaign, or move it away."
    )
    assert not (tmp_path / "c.db").exists()


def test_a_disk_without_links_holds_campaigns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(storing.os, "link", refuse)
    assert small_store(tmp_path / "c.db", 0.3).history().moment == (1, 0)


def test_a_file_that_has_gone_is_not_made_anew(tmp_path: Path) -> None:
    store = small_store(tmp_path / "c.db")
    store.path.unlink()

    assert "unable to open database file" in refusal(lambda: store.record(lambda known: [result()]))
    assert not store.path.exists()


def test_kills_lose_nothing_that_was_acknowledged(tmp_path: Path, begin: Begin) -> None:
    store = small_store(tmp_path / "c.db", 0.3)
    writer = begin(store.path)
    assert writer.stdin is not None
    assert writer.stdout is not None
    rng = random.Random(0)
    acknowledged: dict[int, float] = {}
    during = 0
    for kill in range(KILLS):
        print("record", file=writer.stdin)
        pid = int(writer.stdout.readline())
        if kill % 4 == 0:  # after it has written something for sure
            _take_note(writer.stdout.readline(), acknowledged)
        time.sleep(rng.uniform(0, 0.012))
        os.kill(pid, signal.SIGKILL)
        while (line := writer.stdout.readline()) != "over\n":
            _take_note(line, acknowledged)
        during += store.path.with_name("c.db-wal").exists()
        if kill == KILLS // 2:  # a copy of the three files as the dead process left them is whole as well
            for path in tmp_path.glob("c.db*"):
                shutil.copy(path, tmp_path / path.name.replace("c.db", "copy.db"))
            _check_all_there(Store.open(tmp_path / "copy.db").history(), acknowledged)
        if kill % 20 == 0:
            _check_all_there(Store.open(store.path).history(), acknowledged)
    history = Store.open(store.path).history()

    _check_all_there(history, acknowledged)
    assert during > KILLS // 2  # they were killed while they had it open
    assert len(acknowledged) >= KILLS // 4 * ROWS
    values = [one.values.get(TARGET) for one in history.measurements]
    assert all(values.count(value) == ROWS for value in set(values))  # what was written together is whole


def _take_note(line: str, acknowledged: dict[int, float]) -> None:
    value, *numbers = line.split()
    assert len(numbers) == ROWS
    acknowledged.update(dict.fromkeys(map(int, numbers), float(value)))


def _check_all_there(history: History, acknowledged: dict[int, float]) -> None:
    there = {one.id: one.values.get(TARGET) for one in history.measurements}
    assert {number: there.get(number) for number in acknowledged} == acknowledged


def test_processes_at_one_file_are_given_different_proposals(tmp_path: Path, begin: Begin) -> None:
    store = small_store(tmp_path / "c.db")
    writer = begin(store.path)
    said, _ = writer.communicate("give beside\n" * 3)
    told = [float(share) for line in said.splitlines() if "." in line for share in line.split()]
    kept = [one.written["weight_fraction_1"] for one in store.history().proposals]

    assert len(told) == 3 * 15 * 2
    assert sorted(told) == kept == [place / 1000 for place in range(1, 91)]
