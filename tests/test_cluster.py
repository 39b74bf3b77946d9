"""The engine on Ray gives what the one without gives, and leaves Ray as it found it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import ray

from activelearn.cluster import ray_engine
from activelearn.pareto import by_pareto_rank
from activelearn.screening import Engine, in_process, run
from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.errors import InputError
from surrogates.prediction import Prediction
from tests.fake_model import FakeModel, FakePredictor
from tests.synthetic_cathodes import NAMES
from tests.test_screen import JOB
from tests.test_screening import SCREEN, SPACE, last
from tests.test_screening_cathodes import SCREEN as CATHODES

ROOT = Path(__file__).parent.parent


# Stands first: once this process runs a Ray, that one is used.
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1:1", "[Errno 111] Connection refused"),
        ("somewhere", "invalid literal for int() with base 10: 'somewhere'"),
    ],
)
def test_an_address_without_a_cluster_is_refused_at_once(address: str, reason: str) -> None:
    with pytest.raises(InputError) as error, ray_engine(address=address):
        pass
    assert str(error.value) == (
        f'Ray address "{address}": no cluster could be joined there: {reason}. '
        "Give HOST:PORT as `ray start --head` shows it, or no address to start a local Ray."
    )


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with ray_engine(workers=2) as started:
        yield started
    assert not ray.is_initialized()


def test_the_engines_give_the_same_bytes(engine: Engine, tmp_path: Path) -> None:
    tops = []
    for name, scorer in (("ray", engine), ("local", in_process)):
        (tmp_path / name).mkdir()
        tops.append(last(run(replace(SCREEN, shards=tmp_path / name), scorer)).top)
    assert tops[0].tolist() == tops[1].tolist()
    shards = sorted(path.name for path in (tmp_path / "local").iterdir())
    assert len(shards) == 6
    for shard in shards:
        assert (tmp_path / "ray" / shard).read_bytes() == (tmp_path / "local" / shard).read_bytes()


def test_the_engines_give_the_same_pareto_ranks(engine: Engine) -> None:
    for_several = replace(CATHODES, top_k=200)
    of_ray, here = (last(run(for_several, scorer)).top for scorer in (engine, in_process))
    ranked = [by_pareto_rank(top, NAMES, 200) for top in (of_ray, here)]
    assert ranked[0][0].tolist() == ranked[1][0].tolist()
    assert ranked[0][1].tolist() == ranked[1][1].tolist()


def test_a_ray_that_runs_is_joined_and_left_running(engine: Engine) -> None:
    with ray_engine(workers=1) as joined:
        assert last(run(SCREEN, joined)).top.tolist() == last(run(SCREEN, in_process)).top.tolist()
    assert ray.is_initialized()


def test_what_is_wrong_on_a_worker_reads_as_it_does_here(engine: Engine) -> None:
    with pytest.raises(InputError) as error:
        last(run(replace(SCREEN, predictor=FakeModel(broken=1.2).bind(SPACE.table)), engine))
    assert str(error.value).startswith("candidate ")
    assert str(error.value).endswith(
        ": the model gives it a mean of nan and a score of nan; finite numbers were expected. "
        "Train the model again or give another."
    )


@dataclass(frozen=True)
class MortalPredictor(FakePredictor):
    """Kills the first worker that asks it."""

    alive: Path = Path()

    def predict(self, batch: MixtureBatch | MixtureProduct) -> Prediction:
        if self.alive.exists():
            self.alive.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict(batch)


def test_the_chunk_of_a_killed_worker_is_screened_again(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "alive").touch()
    predictor = MortalPredictor(SPACE.table.log_molar_mass, alive=tmp_path / "alive")
    standing = last(run(replace(SCREEN, predictor=predictor), engine))
    assert not (tmp_path / "alive").exists()
    assert standing.candidates == len(SPACE)
    assert standing.top.tolist() == last(run(SCREEN, in_process)).top.tolist()


def test_more_workers_than_cores_are_refused(engine: Engine) -> None:
    with pytest.raises(InputError) as error, ray_engine(workers=3):
        pass
    assert str(error.value) == "3 workers: the Ray cluster has 2 cores. Ask for no more than that."


def test_a_local_ray_hears_only_this_machine(engine: Engine) -> None:
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    assert host == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):  # 127.0.0.2 is heard by who listens on all addresses
        socket.create_connection(("127.0.0.2", int(port)), timeout=5)


def test_another_process_screens_on_a_running_cluster(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(JOB, encoding="utf-8")
    address = ray.get_runtime_context().gcs_address
    command = [sys.executable, "-m", "tests.fake_screen", "open", "screen", str(tmp_path / "job.yaml")]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out"), "--ray-address", address],
        # Ray takes 127.0.0.1 for the outer address otherwise, where this cluster does not listen.
        env={**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "ranked.csv").exists()
    assert last(run(SCREEN, engine)).candidates == len(SPACE)
