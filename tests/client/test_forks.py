"""A client that is used in forked children: each has connections, turns and numbers of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from streamnorm_client import Client, NotSupported
from tests.support.processes import PATIENCE, Service

FORK = multiprocessing.get_context("fork")
CHILDREN = 3
READINGS = 30

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def in_child(work: Callable[[], object]) -> bool:
    """Do something in a forked child; returns whether it was done."""
    child = os.fork()
    if child == 0:
        signal.alarm(int(PATIENCE))
        try:
            work()
        except BaseException:  # noqa: BLE001 - nothing of the test goes on in the child
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_children_at_the_same_moment_get_the_answers_of_their_own_streams(service: Service) -> None:
    barrier = FORK.Barrier(CHILDREN)
    with Client(service.url) as client:
        client.stream("warm").observe([1])

        def work(number: int, told: Any) -> None:
            stream = client.stream(f"forked-{number}")
            barrier.wait()
            told.put([stream.observe([n]).stream for n in range(READINGS)])

        told = FORK.SimpleQueue()
        children = [FORK.Process(target=work, args=(number, told)) for number in range(CHILDREN)]
        for child in children:
            child.start()
        answers = sorted(told.get() for _ in children)
        for child in children:
            child.join()
        assert answers == [[f"forked-{number}"] * READINGS for number in range(CHILDREN)]
        assert client.stream("warm").observe([1]).count == 2


def test_parent_and_child_may_write_to_one_stream(service: Service) -> None:
    with Client(service.url) as client:
        stream = client.stream("shared-by-forks")
        stream.observe([1])
        assert in_child(lambda: stream.observe([2]))
        assert stream.observe([3]).count == 3


def test_a_turn_that_another_thread_had_is_not_waited_for_in_the_child(service: Service) -> None:
    with Client(service.url) as client:
        stream = client.stream("turns")
        began, go_on = threading.Event(), threading.Event()

        def wait(_: int, __: int) -> None:
            began.set()
            go_on.wait(PATIENCE)

        thread = threading.Thread(target=lambda: stream.bulk([[1.0]], progress=wait))
        thread.start()
        began.wait(PATIENCE)
        done = in_child(lambda: stream.observe([2], numbered=False))
        go_on.set()
        thread.join()
        assert done
        assert stream.observe([3]).count == 3


def test_a_live_connection_is_made_again_in_the_child(service: Service) -> None:
    with Client(service.url) as client, client.stream("live-forks").live() as live:
        live.observe([1])

        def work() -> None:
            live.observe([2])
            live.close()

        assert in_child(work)
        assert live.observe([3]).count == 3


def test_an_http_client_of_ones_own_is_refused_in_the_child(service: Service) -> None:
    with httpx.Client() as own, Client(service.url, http_client=own) as client:
        client.health()

        def refused() -> None:
            with pytest.raises(NotSupported, match="in the child"):
                client.health()

        assert in_child(refused)
        assert client.health().status == "ok"
