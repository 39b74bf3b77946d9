"""The screen on Ray.

Plain tasks: 200 empty chunks take 3.6 s from the first call on two cores, by actors 4.0 s, by an actor pool
of Ray Data 11.2 s; and Ray itself runs the task of a killed worker again.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

import ray
import torch
from ray._private import ray_constants
from ray.exceptions import RayTaskError

from activelearn.screening import Engine, ScoredChunk, Screen
from surrogates.errors import InputError, Problem

T = TypeVar("T")


@contextmanager
def ray_engine(workers: int | None = None, address: str | None = None) -> Iterator[Engine]:
    """Start a local Ray, or join a running one, and give the engine that screens on it.

    A local Ray listens on 127.0.0.1 only, has no dashboard, and is shut down at the end. A cluster that was
    joined, and a Ray that this process runs already, are left as they were.

    Args:
        workers: Number of worker processes, one core each; by default one for each core of this
            machine or of the cluster.
        address: Address of a running cluster, e.g. `10.0.0.1:6379`; the packages of this project must be
            installed on its machines.

    Raises:
        InputError: If no cluster answers at the address, or it has fewer cores than `workers`.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # the first is raised; no list of the others
    running = ray.is_initialized()
    try:
        if not running:
            _join(address) if address else _start(workers or len(os.sched_getaffinity(0)))
        cores = int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]  # no annotations in Ray
        if (workers or 1) > cores:
            wrong = f"the Ray cluster has {cores} cores"
            raise InputError(Problem(f"{workers} workers", wrong, "Ask for no more than that."))
        yield _Crew(workers or cores)
    finally:
        if not running:
            ray.shutdown()


def _start(cores: int) -> None:
    # Where clusters are enabled Ray takes 127.0.0.1 for the machine's outer address and listens on all.
    enabled = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        ray.init(
            num_cpus=cores,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",
        )
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = enabled


def _join(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        # Ray itself keeps on trying for minutes where nobody answers.
        socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        wrong = f"no cluster could be joined there: {str(error).strip().splitlines()[0].rstrip('.')}"
        mend = "Give HOST:PORT as `ray start --head` shows it, or no address to start a local Ray."
        raise InputError(Problem(f'Ray address "{address}"', wrong, mend)) from None


class _Crew:
    """The engine on the Ray that this process is connected to.

    What runs when a screen is given up is not cancelled: `ray.cancel` aborts this process if the task ends
    just then, and Ray ends the tasks of a process that leaves.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def __call__(self, screen: Screen, chunks: Iterable[range]) -> Iterator[ScoredChunk]:
        shared = [ray.put(screen)]  # in a list it arrives as a reference
        running: list[ray.ObjectRef[ScoredChunk]] = []
        for chunk in chunks:
            if len(running) == self._workers:
                ended, scored = first_ended(running)
                running.remove(ended)
                yield scored
            running.append(_score.remote(shared, chunk))
        while running:
            ended, scored = first_ended(running)
            running.remove(ended)
            yield scored


def first_ended(running: list[ray.ObjectRef[T]]) -> tuple[ray.ObjectRef[T], T]:
    """Wait for one of the tasks; return it with its result, or raise what it raised."""
    (done,), _ = ray.wait(running, num_returns=1)
    try:
        return done, ray.get(done)
    except RayTaskError as error:
        raise error.cause from None  # as it was raised, without the worker's traceback


@ray.remote(num_cpus=1, max_retries=4)
def _score(shared: list[ray.ObjectRef[Screen]], chunk: range) -> ScoredChunk:
    return _received(shared[0]).score_chunk(chunk)


@lru_cache(maxsize=1)
def _received(reference: ray.ObjectRef[Screen]) -> Screen:
    """Return the screen, fetched and unpickled once in each worker."""
    torch.set_num_threads(1)
    return ray.get(reference)
