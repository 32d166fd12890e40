"""The Gymnasium wrapper normalizes what an agent sees."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from streamnorm import Normalizer
from streamnorm.adapters.gymnasium import NormalizeObservation
from streamnorm_client import Client
from tests.support.processes import Service


class Room(gymnasium.Env[Any, Any]):
    """A room that is looked at, whatever is done."""

    action_space = Discrete(2)

    def __init__(self, space: gymnasium.Space[Any]) -> None:
        self.observation_space = space
        space.seed(0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Inspect it."""
        super().reset(seed=seed, options=options)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # noqa: ARG002
        """Look again."""
        return self.observation_space.sample(), 0.0, False, False, {}


def seen(env: gymnasium.Env[Any, Any], steps: int = 200) -> list[Any]:
    """Return what an agent sees."""
    return [env.reset(seed=0)[0], *(env.step(0)[0] for _ in range(steps))]


def test_every_element_of_a_flat_box_is_a_feature() -> None:
    space = Box(10, 30, (3,), seed=0)
    expected = Normalizer().observe_block(np.array(seen(Room(space)), dtype=np.float64)).values
    ours = seen(NormalizeObservation(Room(Box(10, 30, (3,)))))
    np.testing.assert_array_equal(ours, expected.astype(np.float32))


def test_a_picture_is_one_channel() -> None:
    env = NormalizeObservation(Room(Box(0, 255, (8, 6), np.uint8)))
    pictures = np.array(seen(env)[100:])
    assert (pictures.shape, env.normalizer.count) == ((101, 8, 6), 201)
    assert (abs(pictures.mean()), pictures.std()) == pytest.approx((0.0, 1.0), abs=0.05)


def test_every_entry_of_a_dict_is_a_feature_or_a_channel() -> None:
    env = NormalizeObservation(Room(Dict({"temp": Box(10, 30, ()), "ir": Box(0, 1, (4, 4))})))
    last = seen(env)[-1]
    assert ({name: value.shape for name, value in last.items()}) == {"temp": (), "ir": (4, 4)}


@pytest.mark.parametrize("space", [Box(10, 30, (3,)), Dict({"temp": Box(10, 30, ()), "ir": Box(0, 1, (4, 4))})])
def test_what_is_seen_lies_in_the_space_that_is_told(space: gymnasium.Space[Any]) -> None:
    env = NormalizeObservation(Room(space))
    assert all(env.observation_space.contains(each) for each in seen(env, 5))


def test_nothing_is_learned_while_learn_is_false() -> None:
    env = NormalizeObservation(Room(Box(10, 30, (3,))))
    seen(env)
    before = env.normalizer.snapshot()
    env.learn = False
    seen(env)
    assert env.normalizer.snapshot() == before


def test_what_was_never_seen_is_0() -> None:
    env = NormalizeObservation(Room(Box(10, 30, (3,))))
    env.learn = False
    np.testing.assert_array_equal(env.reset()[0], np.zeros(3))


def test_it_wraps_a_real_environment() -> None:
    env = NormalizeObservation(gymnasium.make("CartPole-v1"), {"horizon": 100})
    env.reset(seed=0)
    assert env.step(1)[0].dtype == np.float32


def test_observations_that_are_no_boxes_are_refused() -> None:
    with pytest.raises(ValueError, match="Discrete"):
        NormalizeObservation(Room(Discrete(3)))


def test_a_stream_of_a_service_gives_what_the_process_gives(service: Service) -> None:
    with Client(service.url) as client:
        remote = seen(NormalizeObservation(Room(Box(10, 30, (3,))), {}, client.stream("gym")), 20)
    np.testing.assert_array_equal(remote, seen(NormalizeObservation(Room(Box(10, 30, (3,)))), 20))


def test_a_dict_within_a_dict_is_features_of_both_names() -> None:
    inner = Dict({"left": Box(0, 1, (4, 4)), "exposure": Box(10, 30, ())})
    env = NormalizeObservation(Room(Dict({"temp": Box(10, 30, ()), "camera": inner})))
    last = seen(env)[-1]
    assert env.normalizer.features == ("camera.exposure", "camera.left", "temp")
    assert last["camera"]["left"].shape == (4, 4)
    assert env.observation_space.contains(last)
