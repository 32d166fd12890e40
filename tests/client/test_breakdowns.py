"""Services that restart, programs that restart, answers that are cut off: every reading is applied once."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from streamnorm_client import Client, ConnectionFailed
from tests.support.processes import Service, free_port
from tests.support.proxy import Proxy

READINGS = np.random.default_rng(0).normal(20, 3, (40, 2))
PATIENT = 20  # retries: longer than any start of the service


def clean(service: Service) -> list[object]:
    """Return the answers to all readings where nothing breaks."""
    with Client(service.url) as client:
        stream = client.stream(f"clean-{time.monotonic_ns()}")
        return [stream.observe(row).values for row in READINGS]


def test_a_restart_of_the_service_half_way_changes_no_answer(tmp_path: Path) -> None:
    with Service(tmp_path) as service, Client(service.url) as client:
        stream = client.stream("boiler-7")
        answers = [stream.observe(row) for row in READINGS[:20]]
        service.restart()
        answers += [stream.observe(row) for row in READINGS[20:]]
        assert [answer.gap for answer in answers] == [0] * 40
        assert [answer.values for answer in answers] == clean(service)


def test_readings_wait_for_a_service_that_is_away(tmp_path: Path) -> None:
    with Service(tmp_path) as service, Client(service.url, retries=PATIENT) as client:
        stream = client.stream("boiler-7")
        stream.bulk(READINGS)
        service.stop()
        starting = threading.Timer(0.5, service.start)
        starting.start()
        answer = stream.observe(READINGS[0])
        starting.join()
        assert (answer.seq, answer.gap, answer.count) == (41, 0, 41)


def test_a_killed_service_that_always_writes_first_loses_no_answered_reading(tmp_path: Path) -> None:
    with Service(tmp_path, STREAMNORM_DURABILITY="always") as service, Client(service.url) as client:
        stream = client.stream("boiler-7")
        for row in READINGS:
            stream.observe(row)
        service.kill()
        service.start()
        assert (stream.info().count, stream.observe(READINGS[0]).gap) == (40, 0)


def test_readings_that_a_kill_lost_show_as_a_gap(tmp_path: Path) -> None:
    with Service(tmp_path, STREAMNORM_DURABILITY="no") as service, Client(service.url) as client:
        stream = client.stream("boiler-7")
        stream.observe(READINGS[0])
        service.restart()
        for row in READINGS[1:10]:
            stream.observe(row)
        service.kill()
        service.start()
        answer = stream.observe(READINGS[10])
        assert (answer.seq, answer.gap, answer.count) == (11, 9, 2)


def test_a_program_that_restarts_half_way_numbers_on(service: Service) -> None:
    for half in (READINGS[:20], READINGS[20:]):
        with Client(service.url) as client:
            answers = [client.stream("program").observe(row) for row in half]
    assert (answers[-1].seq, answers[-1].count, answers[0].gap) == (40, 40, 0)


def test_a_reading_whose_answer_is_cut_off_is_applied_once(service: Service) -> None:
    with Proxy(service.port) as proxy, Client(proxy.url) as client:
        stream = client.stream("cut")
        stream.observe(READINGS[0])
        proxy.cut(1)
        answer = stream.observe(READINGS[1])
        assert (answer.replayed, answer.count, stream.info().count) == (True, 2, 2)


def test_answers_that_are_cut_off_change_no_answer(service: Service) -> None:
    with Proxy(service.port) as proxy, Client(proxy.url, retries=PATIENT) as client:
        stream = client.stream("cuts")
        values = []
        for n, row in enumerate(READINGS):
            proxy.cut(0 if n % 8 else 2)
            values.append(stream.observe(row).values)
    assert values == clean(service)


def test_a_block_whose_answer_is_cut_off_is_applied_once(service: Service) -> None:
    with Proxy(service.port) as proxy, Client(proxy.url) as client:
        stream = client.stream("cut-block")
        stream.bulk(READINGS[:20])
        proxy.cut(1)
        block = stream.bulk(READINGS[20:])
        assert (block.replayed, block.recomputed, stream.info().count) == (True, False, 40)


def test_numbered_readings_of_many_streams_whose_answer_is_cut_off_are_applied_once(service: Service) -> None:
    names = ("many-a", "many-b")
    readings = [{"stream": name, "values": row, "seq": n} for n, row in enumerate(READINGS, 1) for name in names]
    with Proxy(service.port) as proxy, Client(proxy.url) as client:
        client.health()
        proxy.cut(1)
        answers = client.bulk(readings)
        counts = [client.stream(name).info().count for name in names]
    assert (len(answers), answers[-1].replayed, counts) == (80, True, [40, 40])


def test_an_unnumbered_reading_whose_answer_is_cut_off_is_told_and_not_sent_again(service: Service) -> None:
    with Proxy(service.port) as proxy, Client(proxy.url) as client:
        stream = client.stream("cut-unnumbered")
        stream.observe(READINGS[0], numbered=False)
        proxy.cut(1)
        with pytest.raises(ConnectionFailed) as cut:
            stream.observe(READINGS[1], numbered=False)
        assert (cut.value.maybe_applied, stream.info().count) == (True, 2)


def test_a_reading_given_up_can_be_sent_again_under_its_number(service: Service) -> None:
    with Proxy(service.port) as proxy, Client(proxy.url, retries=0) as client:
        stream = client.stream("given-up")
        stream.observe(READINGS[0])
        proxy.cut(1)
        with pytest.raises(ConnectionFailed) as cut:
            stream.observe(READINGS[1])
        answer = stream.observe(READINGS[1], seq=cut.value.seq)
        assert (answer.replayed, answer.count) == (True, 2)


def test_a_service_that_is_not_there_is_told_with_its_address() -> None:
    port = free_port()
    with Client(f"http://127.0.0.1:{port}", retries=0) as client, pytest.raises(ConnectionFailed, match=str(port)):
        client.health()
