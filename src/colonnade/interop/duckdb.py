"""Queries by DuckDB over tables that are found by their names. Imported only when one is asked for.

Knows: DuckDB, and which names a query mentions. Does not depend on: where tables come from.

One database in memory for the process, and a cursor for each query: a cursor takes 0.2 ms where a database takes 10.
What is registered with a cursor no other sees, and a relation keeps its cursor alive, so a query reads the tables it
began with however often it is run.

Tables are registered as `pyarrow.Table`: DuckDB reads their buffers where they are, only the columns it needs, and
knows how many rows there are. Of a dataset, or of a stream, it thinks that there is one, and so made a join's hash
table of the 5 million rows instead of the 1,000: 199 ms and 152 ms, where it takes 32. A dataset alone gets the filter
too, which pays where that leaves few rows of many strings (12 ms instead of 51); but what is left is a copy.
"""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from weakref import WeakSet

import duckdb
import pyarrow as pa

from colonnade.errors import InvalidNameError, NotFoundError, UnsupportedTypeError

if int(duckdb.__version__.partition(".")[0]) < 2:  # its relations let go of their cursors: 'Connection ... closed'
    raise ModuleNotFoundError(f"DuckDB {duckdb.__version__} is too old")

_QUOTING = 'a name with slashes or dots is written in double quotes, as in: from "prices/2026/eurusd"'
# What DuckDB says where they are not.
_UNQUOTED = ('syntax error at or near "/"', "does not exist because schema")


@cache
def _database() -> Any:
    # Names are the store's alone: DuckDB would also take the variables of whoever calls it, and those are ours.
    return _remembered(duckdb.connect(config={"python_enable_replacements": False}))


# The database's connections; a relation keeps its own alive.
_connections: WeakSet[Any] = WeakSet()


def _remembered(connection: Any) -> Any:
    _connections.add(connection)
    return connection


def _in_child() -> None:
    """A forked child has no threads of the database, and to end it without them is the child's own end, by a signal.

    So it lives on there as it is, unused: a child's first query makes another.
    """
    for connection in _connections:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
    _database.cache_clear()


os.register_at_fork(after_in_child=_in_child)


def run(query: str, params: Any, find: Callable[[str], pa.Table]) -> duckdb.DuckDBPyRelation:
    """Make a relation of a query.

    ``find`` gives a table by its name; NotFoundError and InvalidNameError leave the name to DuckDB, for it may be one
    that the query itself defines, or a file's.

    Raises
    ------
    NotFoundError, UnsupportedTypeError, ValueError, duckdb.Error
    """
    unknown: dict[str, Exception] = {}
    try:
        cursor, names = _begin(query)
        found = {}
        for name in names:
            try:
                found[name] = find(name)
            except (NotFoundError, InvalidNameError) as error:
                unknown[name] = error
        _tell_apart(found)
        for name, table in found.items():
            _register(cursor, name, table)
        relation: duckdb.DuckDBPyRelation = cursor.sql(query, params=params)
        return relation
    except duckdb.CatalogException as error:
        for name, reason in unknown.items():
            if str(error).startswith(f"Catalog Error: Table with name {name} does not exist!"):
                raise reason from None
        raise _hinted(error) from None
    except duckdb.ParserException as error:
        raise _hinted(error) from None


def _begin(query: str) -> tuple[Any, list[str]]:
    """A cursor, and every name that stands for a table, those included that the query defines; by DuckDB's own parser.

    Its `get_table_names` also binds, to tables without columns, and so fails at ``using``.
    """
    cursor = _remembered(_database().cursor())
    try:
        text = _parsed(cursor, query)
    except duckdb.FatalException:  # an error within DuckDB, in an earlier query, has made the database useless
        _database.cache_clear()
        cursor = _remembered(_database().cursor())
        text = _parsed(cursor, query)
    parsed = json.loads(text)
    if parsed["error"] and parsed["error_type"] == "parser":
        cursor.sql(query)  # raises it, and says where in the query it is
    if parsed["error"] or len(parsed["statements"]) != 1:
        raise ValueError(
            f"sql() runs one query, and this is none: {query!r}. Queries are select, with, from, values, describe, "
            "summarize, and pivot where it says which values in (...); to store what one gives: put(name, sql(...))"
        )
    return cursor, list(dict.fromkeys(_tables(parsed["statements"])))


def _parsed(cursor: Any, query: str) -> str:
    ((text,),) = cursor.execute("select json_serialize_sql(?)", [query]).fetchall()
    return str(text)


def _tables(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "BASE_TABLE" and not node["schema_name"]:
            yield node["table_name"]
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _tables(part)


def _tell_apart(found: dict[str, pa.Table]) -> None:
    seen: dict[str, str] = {}
    for name in found:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise ValueError(f"{other!r} and {name!r} are one name to SQL; query one, or put it by another name")


def _register(cursor: Any, name: str, table: pa.Table) -> None:
    try:
        cursor.register(name, table)
    except duckdb.Error as error:
        refused = []
        for at, field in enumerate(table.schema):
            try:
                cursor.register("one column", table.select([at]))
            except duckdb.Error:
                refused.append(f"{field.name!r} ({field.type})")
        raise UnsupportedTypeError(
            f"DuckDB cannot read {name!r}: {', '.join(refused) or error}. "
            "Query a table without, by duckdb.sql: table = open(name).to_arrow().drop_columns(...)"
        ) from error


def _hinted(error: duckdb.Error) -> duckdb.Error:
    if any(words in str(error) for words in _UNQUOTED):
        error.add_note(_QUOTING)
    return error
