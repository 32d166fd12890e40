"""WebSockets: a reading a message in, an answer a message out, in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.streaming.peers import Peer
from tests.support.processes import PATIENCE, Service


def live(service: Service, stream: str | None = None, query: str = "", **options: Any) -> ClientConnection:
    """Connect."""
    path = "/v1/live" if stream is None else f"/v1/streams/{stream}/live"
    made: ClientConnection = connect(f"ws://127.0.0.1:{service.port}{path}{query}", open_timeout=PATIENCE, **options)
    return made


def say(connection: ClientConnection, message: object) -> Any:
    """Send a message, text as it is and anything else as JSON; returns its answer."""
    connection.send(message if isinstance(message, (str, bytes)) else json.dumps(message))
    return json.loads(connection.recv(PATIENCE))


def post(service: Service, stream: str, reading: object) -> Any:
    """Send a reading over HTTP."""
    return httpx.post(f"{service.url}/v1/streams/{stream}/readings", json=reading).json()


def test_a_message_is_answered_as_a_post_is(service: Service, stream: str) -> None:
    with live(service, stream) as connection:
        for seq in range(1, 5):
            reading = {"values": {"temp": 20.0 + seq, "door": seq % 2}, "seq": seq}
            expected = post(service, f"{stream}-posted", reading) | {"stream": stream}
            assert say(connection, reading) == expected


def test_readings_may_name_their_streams(service: Service, stream: str) -> None:
    with live(service) as connection:
        answers = [say(connection, {"stream": f"{stream}-{n % 2}", "values": [n]}) for n in range(4)]
    assert [(answer["stream"][-1], answer["count"]) for answer in answers] == [("0", 1), ("1", 1), ("0", 2), ("1", 2)]


def test_many_in_flight_are_answered_in_order(service: Service, stream: str) -> None:
    with live(service, stream) as connection:
        for n in range(1000):
            connection.send(json.dumps({"values": {"a": n}, "seq": n}))
        answers = [json.loads(connection.recv(PATIENCE)) for _ in range(1000)]
    assert [answer["seq"] for answer in answers] == list(range(1000))


def test_a_channel_and_a_new_feature_may_come_too(service: Service, stream: str) -> None:
    with live(service, stream) as connection:
        say(connection, {"values": {"temp": 1}})
        answer = say(connection, {"values": {"temp": 2, "image": [[1, 2], [3, 4]]}})
    assert len(answer["values"]["image"]) == 2


def test_bytes_are_taken_for_text(service: Service, stream: str) -> None:
    with live(service, stream) as connection:
        assert say(connection, b'{"values": {"temp": 1}}')["count"] == 1


REFUSED = {
    "no JSON": ('{"values"', "malformed-json", 400),
    "no reading": ("[1]", "invalid-reading", 422),
    "text": ('{"values": {"temp": "warm"}}', "invalid-reading", 422),
    "a number applied before": ('{"values": {"temp": 1}, "seq": 3}', "stale-sequence", 409),
    "too large": ('{"values": {"temp": 1}}' + " " * 20000, "body-too-large", 413),
}


@pytest.mark.parametrize(("message", "slug", "status"), REFUSED.values(), ids=list("abcde"))
def test_a_bad_message_is_answered_by_its_problem_and_the_connection_stays(
    service: Service, stream: str, message: str, slug: str, status: int
) -> None:
    with live(service, stream) as connection:
        for seq in (4, 5):
            say(connection, {"values": {"temp": 1}, "seq": seq})
        problem = say(connection, message)
        assert (problem["type"], problem["status"]) == (f"/problems/{slug}", status)
        assert say(connection, {"values": {"temp": 1}})["count"] == 3


def test_a_refused_reading_is_the_same_problem_as_of_a_post(service: Service, stream: str) -> None:
    with live(service, stream) as connection:
        assert say(connection, {"values": {"temp": "warm"}, "unit": "C"}) == post(
            service, stream, {"values": {"temp": "warm"}, "unit": "C"}
        )


def test_refused_messages_are_counted_and_told(service: Service, stream: str) -> None:
    with live(service, stream) as connection:
        problem = say(connection, {"values": {stream: "warm"}})
    told = httpx.get(f"{service.url}/v1/refusals").json()["refusals"]
    assert problem["detail"] in [example["detail"] for refusal in told for example in refusal["examples"]]


def test_without_a_stream_it_must_be_named(service: Service) -> None:
    with live(service) as connection:
        problem = say(connection, {"values": {"temp": 1}})
    assert [fault["pointer"] for fault in problem["errors"]] == ["/stream"]


def test_what_is_no_stream_id_is_refused(service: Service) -> None:
    with pytest.raises(Exception, match="422"), live(service, "boiler%0A7"):
        pass


def test_a_connection_may_learn_nothing_from_its_readings(service: Service, stream: str) -> None:
    first = post(service, stream, {"values": [20.0]})
    with live(service, stream, "?learn=false") as connection:
        assert say(connection, {"values": [20.0]})["values"] == [0.0]
    assert post(service, stream, {"values": [20.0]})["count"] == first["count"] + 1


@pytest.mark.parametrize("parameter", ["learn", "lern"])
def test_a_wrong_query_is_refused_with_its_place(service: Service, stream: str, parameter: str) -> None:
    with pytest.raises(InvalidStatus) as refused, live(service, stream, f"?{parameter}=maybe"):
        pass
    assert refused.value.response.status_code == 422
    problem = json.loads(refused.value.response.body or b"")
    assert [fault["pointer"] for fault in problem["errors"]] == [f"/query/{parameter}"]


def test_a_message_far_too_large_ends_the_connection(service: Service, stream: str) -> None:
    with live(service, stream) as connection, pytest.raises(ConnectionClosed) as closed:
        say(connection, " " * 50_000)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_it_is_told_why_a_connection_ends_and_what_was_sent_is_kept(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        with live(service, "boiler-7") as connection:
            say(connection, {"values": {"temp": 1}, "seq": 1})
            service.ask_to_stop()
            with pytest.raises(ConnectionClosed) as closed:
                connection.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "the service is stopping")
        service.wait()
        service.start()
        assert httpx.get(f"{service.url}/v1/streams/boiler-7").json()["count"] == 1


def test_where_every_reading_is_kept_before_its_answer_commits_are_shared(tmp_path: Path) -> None:
    with Service(tmp_path, STREAMNORM_DURABILITY="always") as service, Peer(service, "/v1/live") as peer:
        peer.send(*(json.dumps({"stream": f"s-{n % 4}", "values": [n], "seq": n}).encode() for n in range(400)))
        answers = [peer.answer() for _ in range(400)]
        commits = httpx.get(f"{service.url}/metrics").text.partition("streamnorm_commit_seconds_count ")[2]
    assert [answer["seq"] for answer in answers] == list(range(400))
    assert float(commits.partition("\n")[0]) < 40


def test_a_connection_that_breaks_off_leaves_the_service_well(service: Service, stream: str) -> None:
    with live(service, stream) as connection:
        for n in range(100):
            connection.send(json.dumps({"values": [n]}))
        connection.socket.close()
    assert service.alive()
    assert "Traceback" not in service.log.read_text()
