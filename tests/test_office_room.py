"""An office room's sensors through the real service, from end to end."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.office_replay import Array, Recording, bounds, recording, replayed, table, uninterrupted


@pytest.fixture(scope="module")
def room() -> Recording:
    """Return three days of it: one horizon and more after the restart."""
    return recording(days=3)


@pytest.fixture(scope="module")
def answers(room: Recording, tmp_path_factory: pytest.TempPathFactory) -> Array:
    """Replay it, with a stop and a start half-way."""
    return replayed(room, tmp_path_factory.mktemp("office"))


def test_every_reading_is_answered_within_the_bound_of_its_weight(answers: Array) -> None:
    assert (np.abs(answers[999:]) <= bounds(len(answers))[999:, None] * (1 + 1e-12)).all()


def test_a_restart_changes_no_bit_of_any_answer(room: Recording, answers: Array) -> None:
    assert answers.tobytes() == uninterrupted(room).tobytes()


def test_the_table_shows_every_sensor(room: Recording, answers: Array) -> None:
    lines = table(room, answers).splitlines()
    assert [line.split()[0] for line in lines[1::4]] == room.names
