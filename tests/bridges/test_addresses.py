"""Addresses are checked at the start, and never shown with what is secret in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.bridges.addresses import address
from streamnorm.errors import InvalidConfiguration

PORTS = {"mqtt": 1883, "http": 80}


@pytest.mark.parametrize(
    "text",
    [
        "mqtt:user:secret@host",
        "mqtt//user:secret@host:1883",
        "user:secret@host:1883",
        "mqtt://user:secret@host:port",
        "mqtt://user:secret",
        "mqtt://user:sec/secret@host",
        "mqtt://user:sec#secret@host",
        "mqtt://user:sec?secret@host",
        "mqtt://user:secret@[host",
        "mqtt://user:secret@host:0",
        "mqtt://user:secret@host:99999",
        "mqtt://user:secret@",
        "ftp://user:secret@host",
        "ftp://host/write?p=secret",
        "mqtt://secret:@ho st",
    ],
)
def test_a_malformed_address_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        address(text, "mqtt", PORTS)
    assert "secret" not in str(refused.value)
    assert str(refused.value).startswith("/mqtt: ")


@given(st.text(max_size=40), st.text(alphabet="secrt:/?#[]@%", min_size=1, max_size=12))
def test_whatever_an_address_looks_like_it_is_one_or_refused(prefix: str, rest: str) -> None:
    try:
        address(prefix + rest, "mqtt", PORTS)
        address(f"mqtt://{rest}{prefix}", "mqtt", PORTS)
    except InvalidConfiguration:
        pass


def test_an_address_is_encoded_as_a_url_has_to_be() -> None:
    found = address("http://müller.example:81/schreiben?org=Müller&bucket=a b%20c", "forward", PORTS)
    assert (found.host, found.port) == ("xn--mller-kva.example", 81)
    assert found.target == "/schreiben?org=M%C3%BCller&bucket=a%20b%20c"


def test_credentials_are_decoded_and_not_shown() -> None:
    found = address("mqtt://u%40x:p%2Fq@[::1]", "mqtt", PORTS)
    assert (found.username, found.password, str(found)) == ("u@x", "p/q", "mqtt://[::1]:1883")
    assert "p/q" not in repr(found)
