"""The answers to many readings as columns, laid out as the readings are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from typing import Self

import numpy as np

from streamnorm.engine.blocks.columns import ReadingColumns, Rows
from streamnorm.engine.reading import Answer, Array


class AnswerColumns:
    """The answers to frozen columns, row by row; `values` are laid out as the readings' numbers."""

    def __init__(self, columns: ReadingColumns) -> None:
        rows = len(columns)
        self.values: Array = np.empty(len(columns.numbers))
        self.counts = np.zeros(rows, np.int64)
        self.ready = np.zeros(rows, np.bool_)
        self.gaps = np.zeros(rows, np.int64)
        self.replayed = np.zeros(rows, np.bool_)
        #: see `Answer.skew`
        self.skews: Array = np.zeros(rows)
        #: answers that have other features than their readings: rows of circular ones; `values` lack those
        self.renamed: dict[int, Answer] = {}
        self._columns = columns

    @classmethod
    def of(cls, columns: ReadingColumns, answers: Sequence[Answer]) -> Self:
        """Build the columns of the `answers` to the readings of frozen `columns`, in their order."""
        found = cls(columns)
        if not all(head.plain for head in columns.heads) or any(answer.names is not None for answer in answers):
            for row, answer in enumerate(answers):
                found.put(row, answer)
            return found
        found.values[:] = [*chain.from_iterable([answer.values for answer in answers])]
        found.counts[:] = [answer.count for answer in answers]
        found.ready[:] = [answer.ready for answer in answers]
        found.gaps[:] = [answer.gap for answer in answers]
        found.replayed[:] = [answer.replayed for answer in answers]
        found.skews[:] = [answer.skew for answer in answers]
        return found

    def put(self, row: int, answer: Answer) -> None:
        """Note the answer to a row."""
        start, end = self._columns.starts[row : row + 2]
        if answer.names is not None:
            self.renamed[row] = answer
            head = self._columns.heads[self._columns.head_of[row]]
            found = dict(zip(answer.names, answer.values, strict=True))
            ys = [found.get(name, np.nan) for name in head.names]
            self.values[start:end] = np.concatenate([np.ravel(y) for y in ys])
        elif self._columns.heads[self._columns.head_of[row]].plain:
            self.values[start:end] = answer.values
        else:
            self.values[start:end] = np.concatenate([np.ravel(y) for y in answer.values])
        self.counts[row], self.ready[row], self.gaps[row] = answer.count, answer.ready, answer.gap
        self.replayed[row], self.skews[row] = answer.replayed, answer.skew

    def put_values(self, rows: Rows, ys: Array) -> None:
        """Note the values of rows of one head, rows × features."""
        self._columns.scatter(rows, ys, self.values)

    def rows(self, rows: Rows) -> Array:
        """Return the values of rows of one head, rows × features."""
        return self._columns.gather(rows, self.values)

    def answer(self, row: int) -> Answer:
        """Build the answer to a row."""
        if row in self.renamed:
            return self.renamed[row]
        values = self._columns.split(row, self.values)
        return Answer(
            values,
            int(self.counts[row]),
            bool(self.ready[row]),
            int(self.gaps[row]),
            bool(self.replayed[row]),
            skew=float(self.skews[row]),
        )

    def all(self) -> list[Answer]:
        """Build the answers to all rows."""
        rows = range(len(self.counts))
        if self.renamed or not all(head.plain for head in self._columns.heads):
            return [self.answer(row) for row in rows]
        values = self._columns.split_rows(slice(0, len(rows)), self.values)
        counted = self.counts.tolist(), self.ready.tolist(), self.gaps.tolist(), self.replayed.tolist()
        return [*map(Answer, values, *counted, repeat(None), self.skews.tolist())]

    def table(self) -> tuple[tuple[str, ...], Array]:
        """Return the features of readings that are alike, and the values as rows × features."""
        columns, names = self._columns, self._columns.heads[0].names
        if self.renamed:
            return self._renamed_table()
        if len(columns.heads) == 1:
            return names, self.values.reshape(len(columns), -1)
        found = np.empty((len(columns), len(names)))
        for index, head in enumerate(columns.heads):
            rows = np.flatnonzero(columns.head_of == index)
            place = {name: column for column, name in enumerate(head.names)}
            own = self.rows(rows)
            found[rows] = own[:, [place[name] for name in names]]
        return names, found

    def _renamed_table(self) -> tuple[tuple[str, ...], Array]:
        rows = [self.answer(row) for row in range(len(self._columns))]
        names = rows[0].names or ()
        found = [dict(zip(row.names or (), row.values, strict=True)) for row in rows]
        return names, np.array([[row[name] for name in names] for row in found], dtype=np.float64)
