"""Talking in readings: texts in, answers out in the same order, over whatever carries them.

Texts that came together are worked on together: a run of readings of one stream is observed at once, and where every
reading is to be kept before it is answered, one commit keeps the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from streamnorm.api import answers, bodies, problems
from streamnorm.api.problems import Refused
from streamnorm.api.texts import Parser
from streamnorm.engine.reading import Reading
from streamnorm.engine.run import Run
from streamnorm.errors import InvalidInput, StaleSequence, StreamnormError
from streamnorm.service import Service


class Said(NamedTuple):
    """Answers, how many texts were taken for them, and whether none was refused."""

    answers: list[Any]
    taken: int
    well: bool


class Talk:
    """One conversation; with `numbered`, errors tell the line and the row, as those of a block do."""

    def __init__(
        self,
        service: Service,
        parse: Parser,
        longest: int,
        refused: Callable[[str], None],
        *,
        learn: bool = True,
        numbered: bool = False,
    ) -> None:
        self._service = service
        self._parse = parse
        self._longest = longest
        self._refused = refused
        self._observe = service.observe_run if learn else self._normalize
        self._numbered = numbered
        self._line = 0
        self._row = 0

    async def answer(self, texts: Sequence[str | bytes]) -> Said:
        """Answer texts up to the first one that is refused, which is answered by its problem."""
        first = self._row
        found, taken, error = self._parsed(texts)
        said: list[Any] = []
        for stream_id, group in groupby(found, itemgetter(1)):
            members = list(group)
            readings = [reading for _, _, reading in members]
            run = await self._observe(stream_id, readings)
            said += [
                answers.of_reading(stream_id, reading, answer)
                for reading, answer in zip(readings, run.answers, strict=False)
            ]
            if run.error is not None:
                error, taken = run.error, members[len(run.answers)][0] + 1
                if self._numbered:
                    error = _placed(error, stream_id, first + len(said))
                break
        if error is not None:
            said.append(self.problem(error))
        return Said(said, taken, error is None)

    def problem(self, error: StreamnormError | Refused) -> dict[str, Any]:
        """Count a refusal, and give its problem."""
        kind, problem = problems.of(error)
        self._refused(kind.slug)
        return problem

    def _parsed(
        self, texts: Sequence[str | bytes]
    ) -> tuple[list[tuple[int, str, Reading]], int, StreamnormError | Refused | None]:
        """Make readings of texts up to the first one that is none; each with its place, and how many were taken."""
        found: list[tuple[int, str, Reading]] = []
        for place, text in enumerate(texts):
            self._line += 1
            try:
                if len(text) > self._longest:
                    what = f"line {self._line}" if self._numbered else "the message"
                    raise bodies.too_large(self._longest, what)
                if not self._numbered:
                    found.append((place, *self._parse(text)))
                elif text and not text.isspace():
                    found.append((place, *self._parse(text, self._line, f"/{self._row}")))
                    self._row += 1
            except (StreamnormError, Refused) as error:
                return found, place + 1, error
        return found, len(texts), None

    async def _normalize(self, stream_id: str, readings: Sequence[Reading]) -> Run:
        run = Run()
        try:
            for reading in readings:
                run.answers.append(await self._service.normalize(stream_id, reading))
        except StreamnormError as error:
            run.error = error
        return run


def _placed(error: StreamnormError | Refused, stream_id: str, row: int) -> StreamnormError | Refused:
    """Give an error with the row, or the stream, that it is of."""
    if isinstance(error, StaleSequence):
        return StaleSequence(error.seq, error.last_seq, stream_id)
    return error.within(f"/{row}") if isinstance(error, InvalidInput) else error
