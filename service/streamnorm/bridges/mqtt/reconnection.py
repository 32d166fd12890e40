"""Reconnection: when the broker is called again after a connection failed, and in which version of MQTT."""

from __future__ import annotations

from streamnorm.compat.aiomqtt import TAKEN_OVER, DroppedEarly, reason_of, speaks_older

#: Seconds between attempts to reach the broker: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
#: The same after another client has taken the session over: otherwise both would disconnect each other endlessly.
TAKEN_OVER_PAUSE, LONGEST_TAKEN_OVER_PAUSE = 5.0, 300.0
#: Seconds that a connection must last to reset the backoff.
STABLE = 10.0
#: Consecutive short-lived connections after which another client is the likeliest reason.
SHORT_LIVED = 4
#: Connections dropped before CONNACK after which the other version of MQTT is tried.
EARLY_DROPS = 3


class Reconnection:
    """Exponential backoff that knows why connections to a broker fail."""

    def __init__(self) -> None:
        #: whether to use MQTT 5 instead of 3.1.1
        self.modern = True
        self._pause = FIRST_PAUSE
        self._early_drops = 0
        #: consecutive connections that the broker accepted and that were short-lived
        self._short_lived = 0

    def accepted(self) -> None:
        """Note that the broker accepted a connection."""
        self._early_drops = 0
        self._short_lived += 1

    def failed(self, error: BaseException, lasted: float, client_id: str) -> tuple[str, float]:
        """Note that a connection as `client_id` failed with `error` after `lasted` seconds.

        Return why, and the seconds until the next attempt.
        """
        if lasted > STABLE:
            self._pause, self._short_lived = FIRST_PAUSE, 0
        detail = str(error)
        taken_over = reason_of(error) == TAKEN_OVER
        if taken_over or self._short_lived >= SHORT_LIVED:
            detail = f"session taken over: another client uses the client id {client_id!r} (--mqtt-client-id)"
            if not taken_over:  # many brokers close the connection without a reason code
                detail = f"{self._short_lived} connections in a row did not last; perhaps a {detail}"
            pause = min(max(TAKEN_OVER_PAUSE, self._pause), LONGEST_TAKEN_OVER_PAUSE)
        else:
            pause = min(self._pause, LONGEST_PAUSE)
        self._pause = 2 * pause
        self._early_drops = self._early_drops + 1 if isinstance(error, DroppedEarly) else 0
        if speaks_older(error) or self._early_drops >= EARLY_DROPS:
            self.modern, self._early_drops = not self.modern, 0
            detail += f"; trying MQTT {'5' if self.modern else '3.1.1'}"
        return detail, pause
