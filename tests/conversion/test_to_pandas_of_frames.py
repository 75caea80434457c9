"""Tables that were frames, and then changed, become what PyArrow makes of them; so do those with metadata of other writers."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from support.arrow_tables import KINDS, type_of
from support.likeness import outcome
from support.pyarrow_bugs import inside
from support.quick_lane import examples
from support.strategies import frames
from support.to_pandas_comparison import LAYOUTS, Built, Kept, assert_like_pyarrow, two_of
from support.to_pandas_options import any_options, is_text


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
    assert_like_pyarrow(Built(change.value), data.draw(any_options(change.value.column_names), label="options"))


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
            result = outcome(changed, table, changes)
            if result.error is None:
                categories = {"strings_to_categorical": True, "categories": result.value.column_names[:1]}
                for options in ({}, {"types_mapper": "masked", "split_blocks": True}, categories):
                    assert_like_pyarrow(Built(result.value), options, f"{changes}, preserve_index={preserve}")


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
            if inside(type_of(kind), is_text):
                for options in ({}, {"types_mapper": "none"}, {"strings_to_categorical": True}):
                    assert_like_pyarrow(Kept(two_of(kind, *LAYOUTS["chunked"]), ""), options, kind)
        for frame in ("strings", "two levels", "index of its own name", "categories", "extension dtypes"):
            assert_like_pyarrow(Built(pa.Table.from_pandas(FRAMES[frame]())), {}, frame)
