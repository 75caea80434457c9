"""Compares `cn.to_pandas` with PyArrow's, for tables that recipes build."""

import functools

import pyarrow as pa

import colonnade as cn
from support.arrow_tables import KINDS, Column, Recipe
from support.likeness import assert_same_frame, assert_same_outcome, outcome
from support.pyarrow_bugs import bugs_that_hit
from support.to_pandas_options import with_objects


def assert_like_pyarrow(recipe, options=None, where=""):
    """Both convert the same table, or each a table of its own if the conversion destroys it."""
    ours = theirs = recipe.build()
    options = with_objects(options or {})
    if bugs_that_hit(theirs, options):
        return None
    if options.get("zero_copy_only"):
        return assert_nothing_is_copied(recipe, options, where)
    if options.get("self_destruct"):
        theirs = recipe.build()
    separate = [theirs.select([i]) for i in range(theirs.num_columns)]
    result = outcome(cn.to_pandas, ours, **options)
    expected = outcome(theirs.to_pandas, **options)
    if expected.error is not None and result.error is not None and not isinstance(result.error, type(expected.error)):
        # Which of several columns is the first to fail is for no one to rely on, with threads least of all.
        for column in separate:
            expected = outcome(column.to_pandas, **options | {"self_destruct": False})
            if expected.error is not None and isinstance(result.error, type(expected.error)):
                return expected
    assert_same_outcome(result, expected, assert_same_frame, f"{where} {options}")
    return expected


def assert_nothing_is_copied(recipe, options, where):
    """PyArrow looks at NumPy's blocks alone, and says no to columns that need none. So: what is explained as copied is refused by name."""
    reports = outcome(cn.explain, recipe.build(), **options)
    result = outcome(cn.to_pandas, recipe.build(), **options)
    expected = outcome(recipe.build().to_pandas, **options | {"zero_copy_only": False})
    if expected.error is not None:
        assert isinstance(result.error, (type(expected.error), pa.ArrowInvalid)), (
            f"{where} {options}: gave {result} instead of {expected}"
        )
        return expected
    copied = [report for report in reports.value if report.why and report.role == "column"]
    if copied:
        assert isinstance(result.error, pa.ArrowInvalid), f"{where} {options}: gave {result}, and copied {copied}"
        assert all(report.why in str(result.error) for report in copied[:20])
    elif result.error is not None:  # of a dictionary, which PyArrow makes categories of
        assert isinstance(result.error, pa.ArrowInvalid), f"{where} {options}: gave {result}"
        assert outcome(recipe.build().to_pandas, **options).error is not None, f"{where} {options}: raised {result}"
    else:
        assert_same_outcome(result, expected, assert_same_frame, f"{where} {options}")
    return result


def one_of(kind, nulls, chunks):
    return Recipe((Column(kind, nulls, chunks),), ("x",))


def two_of(kind, nulls, chunks):
    """Two columns of a kind, which may share a block, and one of another kind between them."""
    rows = sum(n for _, n in chunks)
    last = Column(kind, nulls, ((1, rows),) if chunks else (), seed=1)
    return Recipe((Column(kind, nulls, chunks), Column("int64", "none", ((0, rows),)), last), ("x", "between", "y"))


class Kept:
    """A recipe whose table is built once, unless the options destroy it."""

    def __init__(self, recipe, options):
        self.build = recipe.build if "self_destruct" in options else functools.partial(_kept, recipe)


@functools.cache
def _kept(recipe):
    return recipe.build()


LAYOUTS = {
    "no nulls": ("none", ((0, 67),)),
    "nulls": ("some", ((0, 67),)),
    "sliced": ("some", ((13, 67),)),
    "chunked": ("some", ((3, 20), (0, 0), (65, 40), (0, 1))),
}


@functools.cache
def readable():
    """The kinds that PyArrow reads without an error with default options."""
    tables = {kind: one_of(kind, "some", ((0, 30),)).build() for kind in sorted(KINDS)}
    return tuple(kind for kind, table in tables.items() if outcome(table.to_pandas).error is None)


def one_of_each(*chunks):
    """One table with all kinds that PyArrow reads, except those that its bugs and run ends make special."""
    kinds = [
        kind
        for kind in readable()
        if not bugs_that_hit(one_of(kind, "some", chunks).build(), {"split_blocks": True}) and not kind.startswith("run_end")
    ]  # fmt: skip
    return Recipe(tuple(Column(kind, "some", chunks) for kind in kinds), tuple(kinds))


class Built:
    """A table that a test made itself."""

    def __init__(self, table):
        self._table = table

    def build(self):
        return self._table.slice(0)  # self_destruct takes apart only this
