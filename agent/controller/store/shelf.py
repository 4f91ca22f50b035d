# SPDX-License-Identifier: Apache-2.0
"""A shelf: the records of one kind within one transaction. Filters are by equality; a tuple means any of these."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Executable,
    Table,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import DataError, IntegrityError

from agent.controller.records.access import Caller
from agent.controller.refusal import BadParameter
from agent.model.frozen import Frozen

R = TypeVar("R", bound=Frozen)


class Shelf(Generic[R]):
    """Reads and writes records of `kind` in `table`."""

    def __init__(self, connection: Connection, table: Table, kind: type[R], *, caller: Caller | None = None) -> None:
        """`caller`: whoever asked for all this; what they may see is told by `sees` and `visible`, while every other
        method goes by what there is."""
        self.caller = caller
        self._connection = connection
        self._table = table
        self._kind = kind
        self._key = next(iter(table.primary_key.columns))

    def get(self, key: str) -> R | None:
        """The record with this key."""
        statement = select(self._table).where(self._key == key)
        row = self._execute(statement).one_or_none()
        return None if row is None else self._record(row._mapping)

    def find(self, **filters: Any) -> R | None:
        """The record that matches, if there is one; the first by key if there are several."""
        found = self.all(**filters)
        return found[0] if found else None

    def all(self, **filters: Any) -> tuple[R, ...]:
        """Every record that matches, by key."""
        rows = self._execute(select(self._table).where(self._where(filters)).order_by(self._key))
        return tuple(self._record(row._mapping) for row in rows)

    def sees(self, record: R) -> bool:
        """Whether this one exists, for whoever asked."""
        return self.caller is None or self.caller.sees(record)

    def visible(self, **filters: Any) -> tuple[R, ...]:
        """Those of `all` that whoever asked may see."""
        return tuple(record for record in self.all(**filters) if self.sees(record))

    def newest(self, count: int, before: str | None = None, **filters: Any) -> tuple[R, ...]:
        """The last by key, the very last first; only those before that key."""
        statement = select(self._table).where(self._where(filters)).order_by(self._key.desc()).limit(count)
        rows = self._execute(statement.where(self._key < before) if before is not None else statement)
        return tuple(self._record(row._mapping) for row in rows)

    def count(self, **filters: Any) -> int:
        """How many match."""
        statement = select(func.count()).select_from(self._table).where(self._where(filters))
        return int(self._execute(statement).scalar_one())

    def add(self, record: R) -> R:
        """A new record."""
        self._execute(insert(self._table).values(self._values(record)))
        return record

    def try_add(self, record: R) -> bool:
        """A new record, unless one like it is there already; says whether it was added."""
        try:
            with self._connection.begin_nested():
                self.add(record)
        except IntegrityError:
            return False
        return True

    def change(self, record: R, **changes: Any) -> R:
        """Change these fields of the record, and no other: the one in hand may be older than what is kept.

        Returns what is kept now.
        """
        key = getattr(record, self._key.name)
        self._execute(update(self._table).where(self._key == key).values(changes))
        kept = self.get(key)
        assert kept is not None, "records that are changed are not deleted meanwhile"
        return kept

    def remove(self, **filters: Any) -> int:
        """Delete what matches; says how many."""
        return self._execute(delete(self._table).where(self._where(filters))).rowcount

    def remove_until(
        self, column: str, until: datetime, but: dict[str, tuple[str, ...]] | None = None, **filters: Any
    ) -> int:
        """Delete what matches and has such a time or an earlier one, at once, but what has one of those values; says
        how many."""
        spared = (
            or_(self._table.c[name].is_(None), self._table.c[name].not_in(values))
            for name, values in (but or {}).items()
        )
        old = and_(self._table.c[column] <= until, self._where(filters), *spared)
        return self._execute(delete(self._table).where(old)).rowcount

    def _execute(self, statement: Executable) -> CursorResult[Any]:
        """Raises `BadParameter` for what no column takes, in our words: the database's own are of no use to whoever
        asked. (Numbers of what is asked for have bounds that are told by name, `model/bounds.py`.)"""
        try:
            return self._connection.execute(statement)
        except (OverflowError, DataError):
            raise BadParameter(f"keeping {self._table.name}", "a number or a text in it is larger than any") from None

    def _where(self, filters: dict[str, Any]) -> ColumnElement[bool]:
        return and_(true(), *(self._equals(name, value) for name, value in filters.items()))

    def _equals(self, name: str, value: Any) -> ColumnElement[bool]:
        column = self._table.c[name]
        return column.in_(value) if isinstance(value, tuple) else column.is_(None) if value is None else column == value

    def _values(self, record: R) -> dict[str, Any]:
        return {column.name: getattr(record, column.name) for column in self._table.columns}

    def _record(self, mapping: Any) -> R:
        return self._kind.model_validate(dict(mapping))
