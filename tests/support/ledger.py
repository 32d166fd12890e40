"""A stream's sequence rules without arithmetic or network: what numbering is tested against."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from streamnorm_client._calls.call import Call, Response
from streamnorm_client._calls.retry import Outcome, Pause, Procedure
from streamnorm_client._errors import ConnectionFailed

T = TypeVar("T")


class Ledger:
    """The service's side: which readings were applied, in order, and what a number is answered with."""

    def __init__(self) -> None:
        self.applied: list[Any] = []
        self.last_seq: int | None = None
        self.last_first: int | None = None
        self.last_answer: dict[str, Any] | None = None

    def take(self, call: Call[Any]) -> Response:
        """Answer a request as the service does."""
        if call.method == "GET":
            return self._info()
        body = json.loads(call.body or b"null")
        if call.params.get("learn") == "false":
            return reply(200, self._answer(body))
        return self._observe(body)

    def forget_answers(self) -> None:
        """Restart: readings and numbers rest in the store, answers do not."""
        self.last_answer = None

    def lose(self, readings: int) -> None:
        """Crash: the last readings never came to rest."""
        for _ in range(min(readings, len(self.applied))):
            self.applied.pop()
            self.last_seq = (self.last_seq or 1) - 1
        self.last_answer = None

    def _info(self) -> Response:
        if not self.applied:
            return reply(404, {"type": "/problems/stream-not-found"})
        members: dict[str, Any] = {"count": len(self.applied), "last_seq": self.last_seq, "features": [], "config": {}}
        return reply(200, {"stream": "s", "created": "", "updated": "", **members})

    def _observe(self, body: dict[str, Any]) -> Response:
        rows = [body["values"]] if "first_seq" not in body and "features" not in body else body["values"]
        first = body.get("seq", body.get("first_seq"))
        if first is not None and self.last_seq is not None and first <= self.last_seq:
            if self.last_answer is not None and first == self.last_first:
                return reply(200, {**self.last_answer, "replayed": True})
            return reply(409, {"type": "/problems/stale-sequence", "last_seq": self.last_seq})
        self.applied.extend(rows)
        if first is not None:
            self.last_first, self.last_seq = first, first + len(rows) - 1
            self.last_answer = self._answer(body)
        return reply(200, self._answer(body))

    def _answer(self, body: dict[str, Any]) -> dict[str, Any]:
        number = {"seq": body["seq"]} if "seq" in body else {}
        last = {"last_seq": self.last_seq} if "first_seq" in body else {}
        features: dict[str, Any] = {"features": []} if "first_seq" in body or "features" in body else {}
        members = {"count": len(self.applied), "ready": False, "values": body["values"]}
        return {"stream": "s", **members, **number, **last, **features}


def reply(status: int, members: dict[str, Any]) -> Response:
    """Build an answer."""
    return Response(status, {}, json.dumps(members).encode())


def run(steps: Procedure[T], send: Callable[[Call[Any]], Outcome]) -> T:
    """Carry out a procedure without waiting."""
    try:
        step = next(steps)
        while True:
            step = steps.send(None if isinstance(step, Pause) else send(step))
    except StopIteration as end:
        return cast("T", end.value)


def network(ledger: Ledger, events: Iterator[str]) -> Callable[[Call[Any]], Outcome]:
    """Send to a ledger over a network where, event by event, something happens; then nothing more happens.

    `lost`: the request never arrives; `cut`: the answer never does; `restart`, `crash`: cut, and the service forgets
    its last answer, or its last reading too.
    """

    def send(call: Call[Any]) -> Outcome:
        event = next(events, "fine")
        if event == "lost":
            return ConnectionFailed("refused", maybe_applied=False)
        answer = ledger.take(call)
        if event == "fine":
            return answer
        if event == "restart":
            ledger.forget_answers()
        if event == "crash":
            ledger.lose(1)
        return ConnectionFailed("cut")

    return send
