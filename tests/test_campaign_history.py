"""What stands of a campaign's rows: corrections, failures, what is pending."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from campaigns.campaign_history import History, StoredMeasurement
from tests.small_campaigns import mixture, result, small_head, small_store


def test_a_corrected_row_no_longer_stands_but_is_kept(tmp_path: Path) -> None:
    store = small_store(tmp_path / "c.db", 0.3, 0.4)
    store.record(lambda known: [result(0.3, -1.0, proposal=1), result(0.4, -2.0, proposal=2)])
    store.record(lambda known: [result(0.3, -1.5, proposal=1, corrects=1)])
    store.record(lambda known: [result(0.3, None, "failed", proposal=1, corrects=3)])
    history = store.history()

    assert [one.id for one in history.measurements] == [1, 2, 3, 4]
    assert [one.id for one in history.standing("measured")] == [2]
    assert [one.id for one in history.standing("failed")] == [4]
    assert history.corrected_by == {1: 3, 3: 4}


def test_pending_is_what_nothing_has_come_of(tmp_path: Path) -> None:
    store = small_store(tmp_path / "c.db", 0.3, 0.4, 0.5)
    store.record(
        lambda known: [result(0.3, proposal=1), result(0.4, None, "failed", proposal=2), result(0.9)]
    )
    assert [one.id for one in store.history().pending()] == [3]

    store.record(lambda known: [result(0.3, None, "withdrawn", proposal=1, corrects=1)])
    assert [one.id for one in store.history().pending()] == [1, 3]
    assert store.history().standing("measured")[0].candidate == mixture(0.9)


def test_calls_are_counted(tmp_path: Path) -> None:
    assert History((), ()).calls == 0
    assert small_store(tmp_path / "c.db", 0.3, 0.4).history().calls == 1


def test_a_row_holds_a_value_only_if_it_was_measured(tmp_path: Path) -> None:
    store = small_store(tmp_path / "c.db")
    store.record(lambda known: [result()])
    row = store.history().measurements[0].model_dump()
    row |= {"candidate": mixture().model_dump_json(), "values": json.dumps(row["values"])}
    for change in ({"values": "{}"}, {"outcome": "failed"}, {"outcome": "lost"}, {"corrects": 1}):
        with pytest.raises(ValidationError):
            StoredMeasurement.model_validate({**row, **change})


def test_a_head_fits_its_hash() -> None:
    with pytest.raises(ValidationError, match="config is not what config_sha256 says"):
        small_head(config_sha256="another")
