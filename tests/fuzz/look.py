"""What is done with a damaged file: it is opened as it is, shown, copied and converted; and opened with ``validate="full"``.

An error of Colonnade's own is an outcome, and so is a MemoryError: a few bytes may declare more rows, of nulls alone,
than there is memory for. A frame that passed is pandas' to use; what pandas then refuses (a date outside of the calendar,
a period of no year) it would refuse of a table that was never in a file, and counts as an outcome too.

Does not depend on: how the file was damaged.
"""

import contextlib
import os

import numpy as np
import pyarrow as pa

import colonnade as cn
from colonnade.format.read.values import check_values

NAME = "t"


class FindingError(Exception):
    """A result that is not an allowed outcome."""


def _attempt(step, act, findings):
    try:
        result = act()
    except (cn.ColonnadeError, MemoryError) as error:
        findings[step] = type(error).__name__
        return None
    except Exception as error:
        raise FindingError(f"{step}: {type(error).__name__}: {error}") from error
    findings[step] = "fine"
    return result


def write(store, data):
    """Replace a table's file by a new one, because the old one may still be mapped."""
    path = store.path / f"{NAME}.arrow"
    for left in store.path.iterdir():
        if not left.is_dir():  # the store's own folder, of drafts and spares
            left.unlink()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def _sums(frame):
    frame.columns = range(frame.shape[1])  # what stands in nested tables are values too, and nobody looked at them yet
    for array in (frame[i].array for i in range(min(frame.shape[1], 50))):
        if isinstance(array.dtype, np.dtype) and array.dtype.kind in "biuf":
            array.sum()


def _show(store):
    """What `colonnade show` does, and so the command line too."""
    from colonnade.cli.show import values_of  # it needs the extra `cli`

    with store.open(NAME) as snapshot:
        table = snapshot.to_arrow().slice(0, 10)
        check_values(table)
    for column in table.columns:
        list(values_of(column))


def _query(store):
    import duckdb  # an extra

    # DuckDB cannot have every name and value, which `sql` documents; and PyArrow not every result of DuckDB.
    with contextlib.suppress(duckdb.Error, pa.ArrowNotImplementedError):
        store.sql(f"select * from {NAME} limit 3").to_arrow_table()


def _copy(store, snapshot, findings):
    """Everything that shows or copies values, and so follows offsets."""
    _attempt("to_polars", lambda: snapshot.to_polars(validate="full"), findings)
    _attempt("array of the table", snapshot.to_numpy, findings)
    _attempt("dump", lambda: store.dump(NAME, store.path.parent / f"{store.path.name}.arrow"), findings)
    _attempt("sql", lambda: _query(store), findings)
    _attempt("show", lambda: _show(store), findings)


def look(store):
    """{step: outcome}; FindingError for what must not happen, and no return at all where the interpreter dies."""
    result = {}
    with np.errstate(all="ignore"):
        snapshot = _attempt("open", lambda: store.open(NAME), result)
        if snapshot is not None:
            with snapshot:
                _attempt("repr", lambda: repr(snapshot), result)
                _attempt("to_arrow", snapshot.to_arrow, result)
                _attempt("explain", snapshot.explain, result)
                buffer = _attempt("to_buffer", lambda: bytes(snapshot.to_buffer()), result)
                if buffer is not None:  # an array, or one column of numbers: any values will do
                    array = _attempt("to_numpy", snapshot.to_numpy, result)
                    _attempt("bytes of the array", lambda: None if array is None else array.tobytes(), result)
                _attempt("summary", snapshot._repr_html_, result)
                if result["summary"] != "fine":
                    raise FindingError(f"a summary raised {result['summary']}")
                if (
                    snapshot.identity % 4 == 0 or snapshot.nbytes % 4 == 0
                ):  # they take longer than all the rest together
                    _copy(store, snapshot, result)
                frame = _attempt("to_pandas", snapshot.to_pandas, result)
                if frame is not None:
                    _attempt("sums", lambda: _sums(frame), result)
        _attempt("ls", store.ls, result)
        _attempt("summary of the store", store._repr_html_, result)
        _look_at_valid(store, result)
    problems = _attempt("check", store.check, result)
    problems = [problem for problem in problems if problem.path.stem == NAME]
    if (problems == []) != (result["open full"] == "fine"):
        raise FindingError(f"open says {result['open full']}, and check says {problems}")
    return result


def _look_at_valid(store, findings):
    snapshot = _attempt("open full", lambda: store.open(NAME, validate="full"), findings)
    if snapshot is None:
        return
    now_and_then = snapshot.identity % 4 == 0 or snapshot.nbytes % 4 == 0
    with snapshot:
        arrow = _attempt("to_arrow full", snapshot.to_arrow, findings)
        # Printing takes longer than all the rest together.
        _attempt("explain full", lambda: (repr if now_and_then else len)(snapshot.explain()), findings)
    frame = _attempt("get full", lambda: store.get(NAME, validate="full"), findings)
    if (
        arrow is None
        or findings["explain full"] != "fine"
        or findings["get full"] not in ("fine", "UnsupportedTypeError", "MemoryError")
    ):
        raise FindingError(f"validated, and then: {findings}")
    if frame is not None:
        _use(store, frame, arrow, findings, now_and_then=now_and_then)
        _attempt("repr of the table", lambda: repr(arrow), findings)


def _use(store, frame, arrow, findings, *, now_and_then):
    everyday = {
        "repr of the frame": lambda: repr(frame),
        "nulls": frame.isna,
        "reversed": lambda: frame.iloc[::-1].copy(),  # noqa: PLW0108 -- it may fail, and then here
        "first and last": lambda: frame.take([0, -1]) if len(frame) else None,
    }
    # The core converts whatever passed, too. Only sometimes, because that takes as long as all the rest.
    thorough = {
        "conversion": lambda: cn.to_pandas(arrow),
        "conversion back": lambda: cn.from_pandas(frame),
        "stored again": lambda: store.put("again", arrow).close(),
    }
    for step, use in {**everyday, **(thorough if now_and_then else {})}.items():
        try:
            use()
            findings[step] = "fine"
        except Exception as error:
            findings[step] = f"pandas' {type(error).__name__}"
