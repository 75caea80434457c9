"""Queries by DuckDB over tables that are found by their names. Imported only when one is asked for.

DuckDB is given exactly one SELECT to run. Nothing runs before a query is parsed, and a query that is not one SELECT is
refused by its statement type. Files, the network, settings and extensions are switched off in the database itself,
unless the caller asks for ``external_access``.

One database in memory serves the process, and each query has a cursor: a cursor takes 0.2 ms, a database 10. What is
registered with a cursor is visible to no other, and a relation keeps its cursor alive. So a query reads the tables that
it began with, however often it runs.

Tables are registered as `pyarrow.Table`: DuckDB reads their buffers in place, only the columns it needs, and knows the
number of rows. For a dataset or a stream it assumes one row, and so built a join's hash table of the 5 million rows
instead of the 1,000: 199 ms and 152 ms, instead of 32. Only a dataset gets the filter too, which helps if few rows with
many strings remain (12 ms instead of 51); but those are copied.

Does not depend on: where tables come from.
"""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import Any
from weakref import WeakSet

import duckdb
import pyarrow as pa

from colonnade import _core
from colonnade.errors import InvalidNameError, NotFoundError, UnsupportedTypeError, brief_repr
from colonnade.interop.process_end import finished_before_exit

EngineError = duckdb.Error  # what a query raises

if int(duckdb.__version__.partition(".")[0]) < 2:  # its relations close their cursors: 'Connection ... closed'
    raise ModuleNotFoundError(f"DuckDB {duckdb.__version__} is too old")

_QUOTING = 'a name with slashes or dots is written in double quotes, as in: from "prices/2026/eurusd"'
_UNQUOTED = ('syntax error at or near "/"', "does not exist because schema")  # what DuckDB says without the quotes
_EXTERNAL = "files, the network and settings are switched off; sql(..., external_access=True) allows them"
_REFUSED = ("disabled by configuration", "the configuration has been locked")  # what DuckDB says when they are

# Names are the store's alone: DuckDB would also take the variables of its caller, which are those of this file.
_OPEN: dict[str, Any] = {"python_enable_replacements": False}
_LOCKED = _OPEN | {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "lock_configuration": True,
}


@cache
def _database(external_access: bool = False) -> Any:
    return _remembered(duckdb.connect(config=_OPEN if external_access else _LOCKED))


_LEVELS = 60

# The connections of the databases; a relation keeps its own alive.
_connections: WeakSet[Any] = WeakSet()


def _remembered(connection: Any) -> Any:
    _connections.add(connection)
    return connection


def _in_child() -> None:
    """Keep the databases alive in a forked child, unused; its first query makes another.

    The child has none of a database's threads, and closing the database without them would end the child by a signal.
    """
    for connection in _connections:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
    _database.cache_clear()


os.register_at_fork(after_in_child=_in_child)


def run(
    query: str, params: Any, find: Callable[[str], pa.Table], *, external_access: bool = False
) -> duckdb.DuckDBPyRelation:
    """Make a relation of a query.

    ``find`` gives a table by its name. NotFoundError and InvalidNameError leave the name to DuckDB, because the query
    itself may define it, or it may be a file's.

    Raises
    ------
    NotFoundError, UnsupportedTypeError, ValueError, duckdb.Error
    KeyboardInterrupt
        For Ctrl-C; a query with ``params`` runs at once.
    """
    if not isinstance(query, str):
        raise TypeError(f"sql() takes a query as text, got {brief_repr(query)}")
    if _core.nests_deeper(params, _LEVELS):  # DuckDB ends the process at circular ones
        raise ValueError(f"params= has lists or dicts in each other to more than {_LEVELS} levels")
    missing: dict[str, Exception] = {}
    try:
        with finished_before_exit:
            cursor, names = _begin(query, external_access)
            tables = {}
            for name in names:
                try:
                    tables[name] = find(name)
                except (NotFoundError, InvalidNameError) as error:
                    missing[name] = error
            _check_case(tables)
            for name, table in tables.items():
                _register(cursor, name, table)
            relation: duckdb.DuckDBPyRelation = cursor.sql(query, params=params)
            return relation
    except duckdb.CatalogException as error:
        for name, reason in missing.items():
            if str(error).startswith(f"Catalog Error: Table with name {name} does not exist!"):
                raise reason from None
        raise with_hint(error) from None
    except (duckdb.Error, RuntimeError) as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from None
        raise with_hint(error) from None


# The tables that a name alone leads to: a view of the same name would hide them.
_OWN_TABLES = """
select table_name from duckdb_tables() where temporary
or (database_name = current_database() and list_contains(current_schemas(true), schema_name))
"""


def register(connection: duckdb.DuckDBPyConnection, tables: dict[str, pa.Table]) -> None:
    """Make views of tables in a caller's connection. Each replaces an earlier view of its name, but hides no table.

    Raises
    ------
    UnsupportedTypeError, ValueError
    """
    _check_case(tables)
    try:
        names = connection.sql(_OWN_TABLES).fetchall()
    except duckdb.Error as error:
        raise ValueError(
            f"this connection of DuckDB cannot be used now ({error}); end what it does, or open another one"
        ) from error
    own = {name.lower() for (name,) in names}
    if own_names := [name for name in tables if name.lower() in own]:
        raise ValueError(
            f"the connection has tables of its own that views would hide: {', '.join(map(repr, own_names))}; "
            "attach a folder or a pattern without them"
        )
    for name, table in tables.items():
        _register(connection, name, table)


def read(relation: duckdb.DuckDBPyRelation) -> pa.Table:
    """Run a query to its end as an Arrow table; unlike DuckDB's own method, Ctrl-C stops it."""
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(relation.to_arrow_table)
        try:
            return result.result()
        except KeyboardInterrupt:
            while not result.done():  # an interrupt that comes before the query begins has no effect
                for connection in list(_connections):
                    connection.interrupt()
                wait([result], 0.05)
            raise


def is_interrupt(error: Exception) -> bool:
    """Say whether DuckDB made this error of a KeyboardInterrupt."""
    return str(error) == "Query interrupted" or "failed: KeyboardInterrupt" in str(error)


def with_hint(error: Exception) -> Exception:
    """Add what to do next to an error of DuckDB, if it is one that this file knows."""
    for words, hint in ((_UNQUOTED, _QUOTING), (_REFUSED, _EXTERNAL)):
        if any(text in str(error) for text in words) and hint not in getattr(error, "__notes__", []):
            error.add_note(hint)
    return error


def _begin(query: str, external_access: bool) -> tuple[Any, list[str]]:
    """Give a cursor, and every name that stands for a table in the query, also those that the query itself defines.

    DuckDB's own parser finds them. Its `get_table_names` does more: it binds the query to tables without columns,
    and so fails at ``using``.
    """
    cursor = _remembered(_database(external_access).cursor())
    try:
        text = _serialized(cursor, query)
    except duckdb.FatalException:  # an internal error of DuckDB, in an earlier query, has made the database useless
        _database.cache_clear()
        cursor = _remembered(_database(external_access).cursor())
        text = _serialized(cursor, query)
    statements = cursor.extract_statements(query)  # it only parses; its ParserException says where the error is
    tree = json.loads(text)
    if tree["error"] or [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise ValueError(
            f"sql() runs one query, and this is not one: {query!r}. Queries are select, with, from, values, describe, "
            "summarize, and pivot where it says which values in (...); to store the result of one: put(name, sql(...))"
        )
    return cursor, list(dict.fromkeys(_tables(tree["statements"])))


def _serialized(cursor: Any, query: str) -> str:
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


def _check_case(tables: dict[str, Any]) -> None:
    names: dict[str, str] = {}
    for name in tables:
        other = names.setdefault(name.lower(), name)
        if other != name:
            raise ValueError(f"{other!r} and {name!r} are one name to SQL; query one, or put it by another name")


def _register(cursor: Any, name: str, table: pa.Table) -> None:
    if fatal := [field for field in table.schema if _ends_process(field.type)]:
        raise _unsupported(name, fatal)
    try:
        cursor.register(name, _without_wide_dictionaries(table))
    except duckdb.Error as error:
        if is_interrupt(error):
            raise
        refused = [field for number, field in enumerate(table.schema) if not _takes(cursor, table.select([number]))]
        raise _unsupported(name, refused, str(error)) from error


def _unsupported(name: str, fields: list[pa.Field], otherwise: str = "") -> UnsupportedTypeError:
    refused = ", ".join(f"{field.name!r} ({field.type})" for field in fields)
    return UnsupportedTypeError(
        f"DuckDB cannot read {name!r}: {refused or otherwise}. "
        "Query a table without, by duckdb.sql: table = open(name).to_arrow().drop_columns(...)"
    )


def _ends_process(type_: pa.DataType) -> bool:
    """Whether DuckDB 2.0 ends the process when it reads a type: run ends of run ends."""
    if isinstance(type_, pa.BaseExtensionType):
        return _ends_process(type_.storage_type)
    if pa.types.is_run_end_encoded(type_) and pa.types.is_run_end_encoded(type_.value_type):
        return True
    return any(_ends_process(type_.field(number).type) for number in range(type_.num_fields))


def _without_wide_dictionaries(table: pa.Table) -> pa.Table:
    """The table with dictionaries of structs and fixed-size lists decoded, such as categories of intervals.

    DuckDB 2.0 fails at dictionaries of one or three of them ("Vector::SetSize out of range"), and then refuses every
    query of its database.
    """
    for number, column in enumerate(table.columns):
        if pa.types.is_dictionary(column.type) and _is_wide(column.type.value_type):
            chunks = [chunk.dictionary_decode() for chunk in column.chunks]
            field = table.schema.field(number).with_type(column.type.value_type)
            table = table.set_column(number, field, pa.chunked_array(chunks, column.type.value_type))
    return table


def _is_wide(type_: pa.DataType) -> bool:
    if isinstance(type_, pa.BaseExtensionType):
        return _is_wide(type_.storage_type)
    return bool(pa.types.is_struct(type_) or pa.types.is_fixed_size_list(type_))


def _takes(cursor: Any, column: pa.Table) -> bool:
    try:
        cursor.register("one column", column.slice(0, 0))
    except duckdb.Error:
        return False
    return True
