"""cn.to_pandas gives what PyArrow's to_pandas gives, for every type and layout, with every option."""

import functools
import gc
import json
from concurrent.futures import ThreadPoolExecutor

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import colonnade as cn
from support.arrow_tables import FLAT, KINDS, LENGTHS, OFFSETS, Column, Recipe, recipes, type_of
from support.likeness import assert_same_frame, assert_same_outcome, assert_same_table, outcome
from support.pyarrow_bugs import bugs_that_hit, inside
from support.quick_lane import examples
from support.strategies import frames

# ---- Options --------------------------------------------------------------------------------------------------------------------

NUMBERS = {
    pa.bool_(): pd.BooleanDtype(), pa.float32(): pd.Float32Dtype(), pa.float64(): pd.Float64Dtype(),
    **{pa.type_for_alias(str(dtype).lower()): dtype for dtype in (
        pd.Int8Dtype(), pd.Int16Dtype(), pd.Int32Dtype(), pd.Int64Dtype(), pd.UInt8Dtype(), pd.UInt16Dtype(), pd.UInt32Dtype(), pd.UInt64Dtype(),
    )},
}  # fmt: skip


def _strings(storage, na_value):
    return dict.fromkeys((pa.string(), pa.large_string(), pa.string_view()), pd.StringDtype(storage, na_value)).get


def _zoned(type_):
    return pd.DatetimeTZDtype(type_.unit, type_.tz or "Asia/Tokyo") if pa.types.is_timestamp(type_) else None


def _fails(type_):
    raise ZeroDivisionError


MAPPERS = {
    "masked": NUMBERS.get,
    "other numbers": {pa.int8(): pd.Int64Dtype(), pa.int64(): pd.Int8Dtype(), pa.int32(): pd.Float64Dtype(), pa.uint8(): pd.UInt32Dtype(),
                      pa.float32(): pd.Float64Dtype(), pa.float64(): pd.Int64Dtype(), pa.float16(): pd.Float32Dtype(), pa.bool_(): pd.Int8Dtype()}.get,
    "ArrowDtype": pd.ArrowDtype,
    "string[pyarrow]": _strings("pyarrow", pd.NA),
    "string[python]": _strings("python", pd.NA),
    "str[pyarrow]": _strings("pyarrow", np.nan),
    "str[python]": _strings("python", np.nan),
    "zoned": _zoned,
    "periods": {pa.int64(): pd.PeriodDtype("D")}.get,
    "none": lambda type_: None,
    "numpy": {pa.int64(): np.dtype("int64")}.get,  # has no __from_arrow__
    "fails": _fails,
}  # fmt: skip

# A pool must live as long as any frame that was made with it.
POOLS = {"system": pa.system_memory_pool(), "proxy": pa.proxy_memory_pool(pa.default_memory_pool())}

# What mappers and pools stand for their names here, so that failures name them too.
OPTIONS = {
    "defaults": {},
    "strings_to_categorical": {"strings_to_categorical": True},
    "zero_copy_only": {"zero_copy_only": True},
    "zero_copy_only, split_blocks": {"zero_copy_only": True, "split_blocks": True},
    "integer_object_nulls": {"integer_object_nulls": True},
    "no date_as_object": {"date_as_object": False},
    "timestamp_as_object": {"timestamp_as_object": True},
    "coerce_temporal_nanoseconds": {"coerce_temporal_nanoseconds": True},
    "coerce_temporal_nanoseconds, no date_as_object": {"coerce_temporal_nanoseconds": True, "date_as_object": False},
    "coerce_temporal_nanoseconds, timestamp_as_object": {"coerce_temporal_nanoseconds": True, "timestamp_as_object": True},
    "coerce_temporal_nanoseconds, no date_as_object, not safe": {"coerce_temporal_nanoseconds": True, "date_as_object": False, "safe": False},
    "not safe": {"safe": False},
    "no use_threads, memory_pool": {"use_threads": False, "memory_pool": "system"},
    "no deduplicate_objects": {"deduplicate_objects": False},
    "split_blocks": {"split_blocks": True},
    "split_blocks, timestamp_as_object, integer_object_nulls": {"split_blocks": True, "timestamp_as_object": True, "integer_object_nulls": True},
    "self_destruct": {"self_destruct": True},
    "self_destruct, split_blocks": {"self_destruct": True, "split_blocks": True, "use_threads": False},
    "maps_as_pydicts lossy": {"maps_as_pydicts": "lossy"},
    "maps_as_pydicts strict": {"maps_as_pydicts": "strict"},
    "categories": {"categories": ["x", "y"]},
    "categories of one, timestamp_as_object, no date_as_object": {"categories": ["y", "nowhere"], "timestamp_as_object": True, "date_as_object": False},
    "categories, split_blocks, coerce_temporal_nanoseconds": {"categories": ["x"], "split_blocks": True, "coerce_temporal_nanoseconds": True},
    "strings_to_categorical, zero_copy_only": {"strings_to_categorical": True, "zero_copy_only": True},
    **{f"types_mapper {name}": {"types_mapper": name} for name in MAPPERS},
    "types_mapper ArrowDtype, split_blocks, strings_to_categorical": {"types_mapper": "ArrowDtype", "split_blocks": True, "strings_to_categorical": True},
    "types_mapper str[pyarrow], categories": {"types_mapper": "str[pyarrow]", "categories": ["x"]},
}  # fmt: skip


def _made(options):
    result = dict(options)
    if "types_mapper" in result:
        result["types_mapper"] = MAPPERS[result["types_mapper"]]
    if "memory_pool" in result:
        result["memory_pool"] = POOLS[result["memory_pool"]]
    return result


def _is_text(type_):
    return any(is_that(type_) for is_that in (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
    ))  # fmt: skip


MATTERS_TO = {
    "strings_to_categorical": _is_text,
    "integer_object_nulls": pa.types.is_integer,
    "maps_as_pydicts": pa.types.is_map,
    "deduplicate_objects": lambda type_: not pa.types.is_integer(type_) and not pa.types.is_floating(type_),
    "date_as_object": pa.types.is_temporal,
    "timestamp_as_object": pa.types.is_temporal,
    "coerce_temporal_nanoseconds": pa.types.is_temporal,
    "safe": pa.types.is_temporal,
}


def matters(options, kind):
    """Whether the options can affect a kind of column."""
    if set(options) == {"types_mapper"}:
        mapped = outcome(MAPPERS[options["types_mapper"]], type_of(kind))
        return mapped.value is not None or isinstance(mapped.error, TypeError)
    probes = [MATTERS_TO[option] for option in options if option in MATTERS_TO]
    return not probes or any(inside(type_of(kind), is_that) for is_that in probes)


@st.composite
def options(draw, names=()):
    options_drawn = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "zero_copy_only": st.sampled_from([False, False, False, True]),
                "maps_as_pydicts": st.sampled_from([None, "lossy", "strict"]),
                "types_mapper": st.sampled_from(sorted(MAPPERS)),
                "memory_pool": st.sampled_from(sorted(POOLS)),
                "categories": st.lists(st.sampled_from([*dict.fromkeys(names), "nowhere"]), max_size=2),
                **{name: st.booleans() for name in (
                    "strings_to_categorical", "integer_object_nulls", "date_as_object", "timestamp_as_object", "use_threads", "deduplicate_objects",
                    "ignore_metadata", "safe", "split_blocks", "self_destruct", "coerce_temporal_nanoseconds",
                )},
            },
        )
    )  # fmt: skip
    kept = draw(st.lists(st.sampled_from(sorted(options_drawn)), unique=True, max_size=4)) if options_drawn else ()
    return {key: options_drawn[key] for key in kept}


# ---- Comparison -----------------------------------------------------------------------------------------------------------------


def assert_like_pyarrow(recipe, options=None, where=""):
    """Both convert the same table, or each a table of its own if the conversion destroys it."""
    ours = theirs = recipe.build()
    options = _made(options or {})
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
MORE_LAYOUTS = {
    "no nulls, sliced": ("none", ((13, 67),)),
    "no nulls, chunked": ("none", ((3, 20), (0, 0), (65, 40), (0, 1))),
    "no nulls, a bitmap": ("none, with a bitmap", ((0, 67),)),
    "no nulls, a bitmap, sliced": ("none, with a bitmap", ((8, 67),)),
    "all null": ("all", ((0, 67),)),
    "all null, chunked": ("all", ((1, 9), (2, 40))),
    "every second, chunked": ("every second", ((1, 64), (64, 64), (7, 1))),
    "one null": ("one", ((1, 130),)),
    "one null in each chunk": ("one", ((1, 130), (0, 64), (5, 3))),
    "runs": ("runs", ((0, 200),)),
    "runs, sliced": ("runs", ((65, 200), (63, 70))),
    "one row": ("none", ((3, 1),)),
    "one row, null": ("all", ((3, 1),)),
    "no chunks": ("none", ()),
    "no rows": ("none", ((0, 0),)),
    "no rows, sliced": ("some", ((9, 0), (0, 0))),
}


OPTIONS_THAT_MATTER = [(name, kind) for name in OPTIONS for kind in KINDS if matters(OPTIONS[name], kind)]


@pytest.mark.parametrize(("options", "kind"), OPTIONS_THAT_MATTER)
def test_each_kind_with_each_option(options, kind):
    alone = "zero_copy_only" in options or "split_blocks" in options
    for layout, (nulls, chunks) in LAYOUTS.items():
        if layout in ("no nulls", "chunked"):
            assert_like_pyarrow(Kept(two_of(kind, nulls, chunks), options), OPTIONS[options], layout)
        if alone or layout in ("nulls", "sliced"):
            assert_like_pyarrow(Kept(one_of(kind, nulls, chunks), options), OPTIONS[options], f"{layout}, alone")


@pytest.mark.parametrize("kind", KINDS)
def test_options_of_other_kinds(kind):
    for name, options in OPTIONS.items():
        if not matters(options, kind):
            assert_like_pyarrow(Kept(two_of(kind, *LAYOUTS["chunked"]), name), options, name)


@pytest.mark.parametrize("kind", KINDS)
def test_each_layout(kind):
    for layout, (nulls, chunks) in MORE_LAYOUTS.items():
        assert_like_pyarrow(two_of(kind, nulls, chunks), {}, layout)
        few = "row" in layout or "all null" in layout or not chunks
        options = {"categories": ["x"]} if few else {"split_blocks": True, "date_as_object": False}
        assert_like_pyarrow(one_of(kind, nulls, chunks), options, f"{layout}, alone")


@pytest.mark.parametrize("kind", KINDS)
def test_each_length(kind):
    for i, rows in enumerate(LENGTHS if kind in FLAT else LENGTHS[:10]):
        if i % 2:
            assert_like_pyarrow(one_of(kind, "none", ((OFFSETS[i % 7], rows),)), {}, f"{rows} rows")
        assert_like_pyarrow(one_of(kind, "some", ((OFFSETS[i % 5], rows),)), {}, f"{rows} rows, some null")


@pytest.mark.parametrize(
    "kind", ["bool", "int8", "int64", "double", "float", "timestamp[ns]", "string", "dictionary<int8, string>"]
)
def test_each_offset(kind):
    """Bitmaps that begin in any bit of a byte and end in any."""
    for offset in range(18):
        for rows in (1, 6, 7, 8, 9, 15, 17, 64, 127):
            assert_like_pyarrow(one_of(kind, "some", ((offset, rows), (rows % 9, offset))), {}, f"{rows} from {offset}")


# ---- Any table ------------------------------------------------------------------------------------------------------------------


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


@given(data=st.data())
@examples(900)
@pytest.mark.slow
def test_any_table(data):
    kinds = data.draw(st.sampled_from([readable(), readable(), readable(), tuple(sorted(KINDS))]), label="kinds")
    recipe = data.draw(recipes(kinds), label="recipe")
    assert_like_pyarrow(recipe, data.draw(options(recipe.names), label="options"))


PLAIN = tuple(kind for kind in FLAT if "," not in kind and kind != "time64[ns]")


@given(recipe=recipes(PLAIN, max_columns=12), split=st.booleans())
@examples(300)
def test_blocks_of_many_columns(recipe, split):
    assert_like_pyarrow(recipe, {"split_blocks": split})


def _block_order(df):
    return [(str(block.dtype), list(block.mgr_locs)) for block in df._mgr.blocks]


@pytest.mark.parametrize("names", ["aNc", "Nac", "ofibs", "sbifo", "isiNoz", "zsNdfsN", "bzofiNds"])
def test_the_order_of_the_blocks(names):
    """PyArrow's own test_convert_to_extension_array looks at blocks by their number."""
    kinds = {"a": [1, 2], "c": [4, 5], "f": [0.5, 1.5], "i": pa.array([1, 2], pa.int8()), "b": [True, False], "s": ["x", "y"], "o": [[1], []],
             "z": pa.array([1, 2], pa.timestamp("us", "UTC")), "d": pa.array(["x", "x"]).dictionary_encode(), "N": pd.array([1, 2], "Int64")}  # fmt: skip
    table = pa.Table.from_pandas(pd.DataFrame({i: kinds[name] for i, name in enumerate(names) if name == "N"}))
    columns = {str(i): kinds[name] for i, name in enumerate(names)}
    table = pa.table(columns, metadata=table.schema.metadata)
    for options in ({}, {"split_blocks": True}, {"types_mapper": NUMBERS.get}, {"strings_to_categorical": True}):
        assert _block_order(cn.to_pandas(table, **options)) == _block_order(table.to_pandas(**options)), options


# ---- Tables that were frames ----------------------------------------------------------------------------------------------------


def _with_pandas_metadata(table, change):
    """The table after a change to its ``pandas`` metadata."""
    metadata = json.loads(table.schema.metadata[b"pandas"])
    change(metadata)
    return table.replace_schema_metadata({**table.schema.metadata, b"pandas": json.dumps(metadata).encode()})


def _each_column(metadata, change):
    for column in metadata["columns"]:
        change(column)


def _encoded(table):
    """The first column as a dictionary."""
    return table.set_column(0, table.field(0).name, table.column(0).dictionary_encode())


CHANGES_OF_METADATA = {
    "no attributes": lambda table: _with_pandas_metadata(table, lambda metadata: metadata.pop("attributes", None)),
    "no column indexes": lambda table: _with_pandas_metadata(table, lambda metadata: metadata.pop("column_indexes", None)),
    "no index": lambda table: _with_pandas_metadata(table, lambda metadata: metadata.update(index_columns=[])),
    "no field names": lambda table: _with_pandas_metadata(table, lambda metadata: _each_column(metadata, lambda column: column.pop("field_name", None))),
    "all object": lambda table: _with_pandas_metadata(table, lambda metadata: _each_column(metadata, lambda column: column.update(numpy_type="object"))),
    "all Int64": lambda table: _with_pandas_metadata(table, lambda metadata: _each_column(metadata, lambda column: column.update(numpy_type="Int64"))),
    "all zoned": lambda table: _with_pandas_metadata(table, lambda metadata: _each_column(metadata, lambda column: column.update(pandas_type="datetimetz", metadata={"timezone": "Asia/Tokyo"}))),
}  # fmt: skip
CHANGES = {
    "no first column": lambda table: table.remove_column(0),
    "no last column": lambda table: table.remove_column(table.num_columns - 1),  # of the index, if it has any
    "no columns": lambda table: table.select([]),
    "reversed": lambda table: table.select(range(table.num_columns)[::-1]),
    "first and last": lambda table: table.select([0, table.num_columns - 1]) if table.num_columns > 1 else table,
    "other names": lambda table: table.rename_columns([f"{name}?" for name in table.column_names]),
    "one more": lambda table: table.append_column("added", pa.array(range(table.num_rows))),
    "fewer rows": lambda table: table.slice(1),
    "no rows": lambda table: table.slice(0, 0),
    "twice": lambda table: pa.concat_tables([table, table]),
    "in chunks": lambda table: pa.concat_tables([table.slice(0, 3), table.slice(3)]),
    "dictionary": _encoded,
    "no metadata": lambda table: table.replace_schema_metadata(None),
    **CHANGES_OF_METADATA,
}  # fmt: skip


class Built:
    """A table that a test made itself."""

    def __init__(self, table):
        self._table = table

    def build(self):
        return self._table.slice(0)  # self_destruct takes apart only this


def changed(table, changes):
    for change in changes:
        if table.num_columns and (table.schema.metadata or change not in CHANGES_OF_METADATA):
            table = CHANGES[change](table)
    return table


@given(data=st.data())
@examples(400)
def test_tables_that_were_frames(data):
    df = data.draw(frames())
    preserve = data.draw(st.sampled_from([None, None, True, False]), label="preserve_index")
    outcome_of_making = outcome(pa.Table.from_pandas, df, preserve_index=preserve)
    assume(outcome_of_making.error is None)  # PyArrow has no words for this frame
    changes = data.draw(st.lists(st.sampled_from(sorted(CHANGES)), max_size=2), label="changes")
    change = outcome(changed, outcome_of_making.value, changes)
    assume(change.error is None)
    assert_like_pyarrow(Built(change.value), data.draw(options(change.value.column_names), label="options"))


FRAMES = {
    "numbers": lambda: pd.DataFrame({"a": [1, 2, 3], "b": [0.5, None, 1.5], "c": [True, False, True]}),
    "named range": lambda: pd.DataFrame({"a": range(3)}, index=pd.RangeIndex(5, -1, -2, name="r")),
    "two levels": lambda: pd.DataFrame({"a": range(3)}, index=pd.MultiIndex.from_tuples([("x", 1), ("x", 2), ("y", 1)], names=["k", None])),
    "index of its own name": lambda: pd.DataFrame({"a": range(3)}, index=pd.Index(["x", "y", None], name="a")),
    "zoned index": lambda: pd.DataFrame({"a": range(3)}, index=pd.date_range("2020", periods=3, tz="Europe/Paris", name="t")),
    "two levels of columns": lambda: pd.DataFrame([[1, 2.5]] * 3, columns=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["l", None])),
    "numbered columns": lambda: pd.DataFrame(np.ones((3, 4))),
    "columns of dates": lambda: pd.DataFrame(np.ones((3, 2)), columns=pd.date_range("2020", periods=2, tz="UTC", name="d")),
    "columns of bytes": lambda: pd.DataFrame([[1, 2]] * 3, columns=[b"x", b"y"]),
    "columns of None": lambda: pd.DataFrame([[1, 2]] * 3, columns=["x", None]),
    "extension dtypes": lambda: pd.DataFrame({"i": pd.array([1, None, 3], "Int16"), "s": pd.array(["x", None, "y"], "string"), "b": pd.array([True, None, False], "boolean"),
                                              "p": pd.period_range("2020", periods=3, freq="M"), "v": pd.interval_range(0, 3), "a": pd.array([1, None, 2], "int8[pyarrow]")}),
    "categories": lambda: pd.DataFrame({"c": pd.Categorical(["x", None, "y"], ["y", "x", "z"], ordered=True), "n": pd.Categorical([3, 1, 3])}),
    "strings": lambda: pd.DataFrame({"s": ["x", None, "y"], "o": pd.Series(["x", None, "y"], dtype=object)}),
    "attributes": lambda: pd.DataFrame({"a": range(3)}).pipe(lambda df: (df.attrs.update(unit="m", n=[1, None]), df)[1]),
    "no columns": lambda: pd.DataFrame(index=range(3)),
    "no rows": lambda: pd.DataFrame({"a": np.array([], "int8"), "s": pd.array([], "str")}),
}  # fmt: skip


@pytest.mark.parametrize("frame", FRAMES)
def test_each_change_to_a_table_that_was_a_frame(frame):
    for preserve in (None, True):
        table = pa.Table.from_pandas(FRAMES[frame](), preserve_index=preserve)
        for changes in ([], *([change] for change in CHANGES)):
            done = outcome(changed, table, changes)
            if done.error is None:
                categories = {"strings_to_categorical": True, "categories": done.value.column_names[:1]}
                for options in ({}, {"types_mapper": "masked", "split_blocks": True}, categories):
                    assert_like_pyarrow(Built(done.value), options, f"{changes}, preserve_index={preserve}")


@pytest.mark.parametrize("metadata", [
    b"", b"{}", b"no JSON", b"null", b"[]", b'{"columns": []}', b'{"columns": [], "index_columns": ["nowhere"]}', b'{"columns": [], "index_columns": ["x"]}',
    b'{"columns": [{"name": "x"}], "index_columns": []}', b'{"columns": [], "index_columns": [{"kind": "unknown"}]}',
    b'{"columns": [], "index_columns": [{"kind": "range", "name": "r", "start": 1, "stop": 7, "step": 2}]}',
    b'{"columns": [], "index_columns": [{"kind": "range", "name": "r", "start": 1, "stop": 9, "step": 2}]}',
    b'{"columns": [{"name": "x", "field_name": "x", "pandas_type": "int64", "numpy_type": "no dtype", "metadata": null}], "index_columns": []}',
    b'{"columns": [{"name": null, "field_name": "x", "pandas_type": "int64", "numpy_type": "int64", "metadata": null}], "index_columns": ["x"]}',
    b'{"columns": [{"name": null, "pandas_type": "int64", "numpy_type": "int64", "metadata": null}], "index_columns": []}',
    b'{"columns": [{"name": "label", "field_name": "x", "pandas_type": "int64", "numpy_type": "int64", "metadata": null}], "index_columns": ["x", "x"]}',
    b'{"columns": [{"name": "x", "pandas_type": "unicode", "numpy_type": "category", "metadata": {"num_categories": 1}}], "index_columns": []}',
])  # fmt: skip
def test_metadata_of_other_writers(metadata):
    table = pa.table({"x": [1, 2, None], "y": ["a", "b", None]}, metadata={b"pandas": metadata, b"other": b"kept"})
    for options in ({}, {"ignore_metadata": True}, {"types_mapper": "masked"}):
        assert_like_pyarrow(Built(table), options, metadata.decode())


# ---- Sources --------------------------------------------------------------------------------------------------------------------


def _batch(table):
    return pa.record_batch([column.combine_chunks() for column in table.columns], schema=table.schema)


def _reader(table):
    return pa.RecordBatchReader.from_batches(table.schema, iter(table.to_batches(max_chunksize=2)))


class _Stream:
    """An object that has ``__arrow_c_stream__`` only."""

    def __init__(self, table):
        self.__arrow_c_stream__ = table.__arrow_c_stream__


class _Array:
    """An object that has ``__arrow_c_array__`` only."""

    def __init__(self, table):
        self.__arrow_c_array__ = _batch(table).__arrow_c_array__


# What is given, and the table that PyArrow makes of it.
SOURCES = {
    "table": (lambda table: table, lambda table: table),
    "batch": (_batch, lambda table: table),
    "reader": (_reader, lambda table: _reader(table).read_all()),
    "stream": (_Stream, lambda table: pa.table(_Stream(table))),
    "array": (_Array, lambda table: table),
    "Polars": (pl.from_arrow, lambda table: pa.table(pl.from_arrow(table))),
    "Polars, lazy": (lambda table: pl.from_arrow(table).lazy(), lambda table: pa.table(pl.from_arrow(table))),
    "DuckDB": (duckdb.from_arrow, lambda table: pa.table(duckdb.from_arrow(table))),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_whatever_gives_arrow(source, rows):
    df = pd.DataFrame({"i": pd.array([1, None, 3, 4, 5, 6], "Int32"), "f": [0.5, None, 1.5, 2.5, -0.0, 0.0], "s": ["a", None, "", "b", "c", "d"],
                       "t": pd.to_datetime(["2020", None, "2021", "2022", "1999", "1970"]), "b": [True, False, True, True, False, None],
                       "c": pd.Categorical(list("xyxyxz"))})  # fmt: skip
    table = pa.Table.from_pandas(df.set_index("f")).slice(1, rows)
    give, read = SOURCES[source]
    for options in (
        {},
        {"split_blocks": True},
        {"types_mapper": pd.ArrowDtype},
        {"ignore_metadata": True},
        {"self_destruct": True},
    ):
        result = outcome(cn.to_pandas, give(table.slice(0)), **options)
        expected = outcome(read(table.slice(0)).to_pandas, **options)
        assert expected.error is None
        assert_same_outcome(result, expected, assert_same_frame, f"{source} {options}")


def test_metadata_of_any_source():
    table = pa.table({"x": [1, None], "s": ["a", "b"]}, metadata={b"other": b"kept"})
    for give, _ in SOURCES.values():
        assert cn.to_pandas(give(table)).columns.tolist() == ["x", "s"]


# ---- Memory ---------------------------------------------------------------------------------------------------------------------


def _arrays(df):
    """The NumPy arrays that the columns of a frame are made of, and those in its cells."""
    for block in df._mgr.blocks:
        values = block.values
        for part in ("_ndarray", "_codes", "_data", "_mask"):
            if isinstance(getattr(values, part, None), np.ndarray):
                yield getattr(values, part)
        if isinstance(values, np.ndarray):
            yield values
            if values.dtype == object:
                yield from (cell for cell in values.ravel() if isinstance(cell, np.ndarray))


def _overwrite(array):
    if array.flags.writeable:
        array[...] = None if array.dtype == object else ~array if array.dtype == bool else np.zeros(1, array.dtype)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_writing_to_the_frame_leaves_the_table_as_it_was(kind):
    for layout in ("no nulls", "nulls", "chunked"):
        for recipe in (one_of(kind, *LAYOUTS[layout]), two_of(kind, *LAYOUTS[layout])):
            table = recipe.build()
            for options in ({}, {"split_blocks": True}, {"types_mapper": NUMBERS.get}):
                if bugs_that_hit(table, options):
                    continue
                converted = outcome(cn.to_pandas, table, **options)
                if converted.error is None:
                    for array in _arrays(converted.value):
                        _overwrite(array)
            assert_same_table(table, recipe.build(), layout)


@pytest.mark.parametrize("kind", KINDS)
def test_the_frame_outlives_the_table(kind):
    for options in ({}, {"split_blocks": True}, {"split_blocks": True, "self_destruct": True}):
        recipe = one_of(kind, "none", ((0, 513),))
        if bugs_that_hit(recipe.build(), options):
            continue
        expected = outcome(recipe.build().to_pandas, **options)
        table = recipe.build()
        result = outcome(cn.to_pandas, table, **options)
        del table
        others = [np.full(513 * size, 0x5A, "u1") for size in (1, 2, 4, 8, 16)]  # whoever else takes the memory
        assert_same_outcome(result, expected, assert_same_frame, f"{options}")
        del others


def test_frames_hold_their_memory_no_longer_than_they_live():
    gc.collect()
    recipe = one_of_each((3, 500))
    before = pa.total_allocated_bytes()
    for options in ({}, {"split_blocks": True}, {"types_mapper": pd.ArrowDtype}, {"self_destruct": True}):
        cn.to_pandas(recipe.build(), **options)
        gc.collect()
        assert pa.total_allocated_bytes() <= before


@pytest.mark.parametrize("kind", ["string", "binary", "large_string", "string_view", "fixed_size_binary", "date32, near", "date64, near", "time32[s]", "time64[us]",
                                  "decimal128", "timestamp[us]", "timestamp[ms, UTC]", "duration[s]", "int64", "list<string>", "struct<int64, string>"])  # fmt: skip
def test_equal_cells_are_as_few_objects_as_with_pyarrow(kind):
    column = Column(kind, "some", ((3, 600), (0, 600)))
    table = Recipe((column,), ("x",)).build().replace_schema_metadata(None)
    for options in ({}, {"deduplicate_objects": False}, {"timestamp_as_object": True, "integer_object_nulls": True}):
        ours, theirs = cn.to_pandas(table, **options)["x"], table.to_pandas(**options)["x"]
        if theirs.dtype == object:
            assert len({id(cell) for cell in ours.to_numpy()}) <= len({id(cell) for cell in theirs.to_numpy()})


# ---- Size -----------------------------------------------------------------------------------------------------------------------

MANY = ["int8", "uint16", "int32", "int64", "uint64", "half", "float", "double", "bool", "date32, near", "timestamp[us]", "timestamp[ns, Europe/Paris]", "duration[ms]",
        "string, all different", "dictionary, one for all", "dictionary<int8, int64>"]  # fmt: skip


@pytest.mark.parametrize("threads", [True, False])
@pytest.mark.parametrize("kind", MANY)
def test_many_rows(kind, threads):
    rows = 200_003
    whole = Column(kind, "none", ((0, rows),))
    columns = (Column(kind, "some", ((5, 70_001), (0, rows - 70_001))), whole, Column(kind, "runs", ((64, rows),)))
    assert_like_pyarrow(Kept(Recipe(columns, ("x", "y", "z")), ""), {"use_threads": threads})
    assert_like_pyarrow(Kept(Recipe((whole,), ("y",)), ""), {"use_threads": threads})


def test_many_columns():
    names = [kind for kind in FLAT if kind in readable()]
    columns = tuple(Column(names[i * 7 % len(names)], ("none", "some")[i % 2], ((i % 9, 10),), i) for i in range(1500))
    recipe = Recipe(columns, tuple(f"c{i}" for i in range(1500)))
    assert_like_pyarrow(recipe)
    assert_like_pyarrow(recipe, {"split_blocks": True, "date_as_object": False})


def test_many_chunks():
    chunks = tuple((i % 11, i % 4) for i in range(1000))
    for kind in (
        "int64",
        "bool",
        "double",
        "string",
        "dictionary<int8, string>",
        "timestamp[ns, Europe/Paris]",
        "list<int64>",
    ):
        assert_like_pyarrow(two_of(kind, "some", chunks))


def test_several_threads_convert_one_table():
    table = one_of_each((3, 40), (1, 60)).build()
    expected = table.to_pandas()
    with ThreadPoolExecutor(8) as pool:
        for frame in pool.map(lambda _: cn.to_pandas(table), range(8)):
            assert_same_frame(frame, expected)


# ---- Arguments ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [
    {"maps_as_pydicts": "other"}, {"maps_as_pydicts": 1}, {"types_mapper": {pa.int64(): pd.Int64Dtype()}}, {"categories": "x"}, {"categories": [1]},
    {"categories": 5}, {"categories": ("x",)}, {"categories": {"x"}}, {"categories": pd.Index(["x"])}, {"memory_pool": "pool"}, {"unknown": 1}, {"use_threads": 0}, {"split_blocks": 1}, {"safe": None},
    {"split_blocks": np.bool_(True)}, {"split_blocks": "yes"}, {"split_blocks": []}, {"use_threads": np.array([1, 2])}, {"types_mapper": lambda type_: "Int64"}, {"types_mapper": lambda: None},
    {"types_mapper": None, "categories": None, "memory_pool": None, "maps_as_pydicts": None},
])  # fmt: skip
def test_odd_arguments(options):
    maps = pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int8()))
    table = pa.table({"x": ["a", "b", None], "y": [1, None, 3], "m": maps})
    result, expected = outcome(cn.to_pandas, table, **options), outcome(table.to_pandas, **options)
    assert_same_outcome(result, expected, assert_same_frame, str(options))


SETTINGS = [
    ("future.infer_string", False),
    ("future.infer_string", True),
    ("mode.string_storage", "python"),
    ("mode.string_storage", "pyarrow"),
]


@pytest.mark.parametrize(("setting", "value"), SETTINGS)
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")
def test_settings_of_pandas(setting, value):
    with pd.option_context(setting, value):
        for kind in KINDS:
            if inside(type_of(kind), _is_text):
                for options in ({}, {"types_mapper": "none"}, {"strings_to_categorical": True}):
                    assert_like_pyarrow(Kept(two_of(kind, *LAYOUTS["chunked"]), ""), options, kind)
        for frame in ("strings", "two levels", "index of its own name", "categories", "extension dtypes"):
            assert_like_pyarrow(Built(pa.Table.from_pandas(FRAMES[frame]())), {}, frame)


def test_time_zones_that_the_environment_says_to_ignore(monkeypatch):
    monkeypatch.setenv("PYARROW_IGNORE_TIMEZONE", "1")
    for kind in KINDS:
        if inside(type_of(kind), lambda type_: getattr(type_, "tz", None) is not None):
            for options in ({}, {"timestamp_as_object": True}, {"split_blocks": True}, {"types_mapper": "ArrowDtype"}):
                assert_like_pyarrow(Kept(two_of(kind, *LAYOUTS["chunked"]), ""), options, kind)


def test_no_columns():
    was_a_frame = pa.Table.from_pandas(pd.DataFrame(index=range(3)))
    for table in (pa.table({}), pa.table({"x": range(5)}).select([]), pa.table({"x": []}).select([]), was_a_frame):
        for options in ({}, {"split_blocks": True}, {"ignore_metadata": True}):
            assert_same_frame(cn.to_pandas(table, **options), table.to_pandas(**options))
