"""The table of conversions, compared with what happens: some column matches each row, and the row is true for it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.interop.pandas_options import PandasOptions
from colonnade.rules import RULES, TARGETS, Reading, rule_for, target_for
from support.arrow_types import TYPES
from support.strategies import EXACT

ROOT = Path(__file__).parents[2]


def columns():
    """(name, data) of every kind, from pandas and from Arrow, with and without nulls."""
    rng = np.random.default_rng(4)
    for kind, make in EXACT.items():
        yield kind, pd.DataFrame({"x": make(rng, 50)})
    for kind, (type_, values) in TYPES.items():
        yield f"{kind}, no nulls", pa.table({"x": pa.array(values, type_)})
        yield f"{kind}, nulls", pa.table({"x": pa.array([*values, None], type_)})


COLUMNS = dict(columns())


def rule_of(snap):
    (report,) = snap.explain()
    dtype = snap.to_pandas()["x"].dtype
    return rule_for(snap.schema.field(0).type, dtype, report.nulls > 0), report


# Python objects cannot be stored, be they many or few.
CONVERTED = (Reading.CONVERTED, Reading.REPEATED)


@pytest.mark.parametrize("kind", COLUMNS)
def test_the_table_says_what_explain_says(store, kind):
    rule, report = rule_of(store.put("t", COLUMNS[kind]))
    assert report.zero_copy == (rule.reading not in CONVERTED), (rule, report)
    assert bool(report.why) != report.zero_copy


def addresses(array):
    """The addresses of a pandas array's memory: of its parts, or of the Arrow buffers that it wraps."""
    if isinstance(array, np.ndarray):
        return [array.__array_interface__["data"][0]] if array.size else []
    if hasattr(array, "_pa_array"):
        return [buffer.address for chunk in array._pa_array.chunks for buffer in chunk.buffers() if buffer is not None]
    parts = {"IntervalArray": ("_left", "_right"), "Categorical": ("_codes",)}
    masked = ("_data", "_mask") if hasattr(array, "_mask") else ("_ndarray",)
    return [address for name in parts.get(type(array).__name__, masked) for address in addresses(getattr(array, name))]


@pytest.mark.parametrize("kind", COLUMNS)
def test_zero_copy_means_memory_of_the_mapping(store, kind):
    snap = store.put("t", COLUMNS[kind])
    values = snap.to_pandas()["x"].array
    lines = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(store.path) in line]
    mapped = [[int(end, 16) for end in line.split()[0].split("-")] for line in lines]
    inside = [any(first <= address < last for first, last in mapped) for address in addresses(values)]
    (report,) = snap.explain()
    # A column of nulls has no memory at all.
    assert all(inside) == report.zero_copy or not inside


def test_every_row_is_met(store):
    rows = {id(rule_of(store.put("t", data))[0]) for data in COLUMNS.values()}
    # What a stored table never needs: its strings are wide, and its times have pandas' units.
    never_stored = [rule for rule in RULES if rule.reading is Reading.SCALED or rule.arrow == "string"]
    assert [rule for rule in RULES if id(rule) not in rows] == never_stored


OPTIONS = [
    {},
    {"split_blocks": True},
    {"date_as_object": False},
    {"timestamp_as_object": True, "integer_object_nulls": True},
    {"coerce_temporal_nanoseconds": True, "date_as_object": False},
    {"types_mapper": {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get},
]
TABLES = {name: data for name, data in COLUMNS.items() if isinstance(data, pa.Table)}
TABLES["wide strings"] = pa.table({"x": pa.array(["a", None], pa.large_string())})
TABLES["codes in place"] = pa.table(
    {"x": pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array([5, 6]))}
)


def held(table):
    """The addresses of an Arrow table's memory: (first, last) of each buffer."""
    buffers = [b for column in table.columns for chunk in column.chunks for b in chunk.buffers() if b is not None]
    return [(buffer.address, buffer.address + buffer.size) for buffer in buffers]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options) or "none")
@pytest.mark.parametrize("kind", TABLES)
def test_what_is_explained_is_what_to_pandas_does(kind, options):
    table = TABLES[kind]
    try:
        values = cn.to_pandas(table, **options)["x"].array
    except (pa.ArrowException, ValueError):
        return  # a type that pandas does not have
    (report,) = cn.explain(table, **options)
    assert report.dtype == str(values.dtype)
    assert report.nulls == table["x"].null_count
    array = getattr(values, "_ndarray", values)
    inside = [any(first <= place < last for first, last in held(table)) for place in addresses(array)]
    if report.zero_copy:
        assert all(inside)
    elif not report.why.startswith("categories"):  # which are made; the codes may stay where they are
        assert not all(inside), report


def test_every_target_is_met():
    targets = set()
    for table in TABLES.values():
        column = table["x"]
        for options in OPTIONS:
            flags = PandasOptions(**options).flags()
            targets |= {target for target in TARGETS if target is target_for(column.type, column.null_count > 0, flags)}
    assert [target for target in TARGETS if target not in targets] == []


def test_the_page_is_printed_from_the_table():
    page = ROOT / "docs" / "conversions.md"
    program = ROOT / "docs" / "print_conversions.py"
    printed = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True).stdout
    assert page.read_text() == printed


def test_index_levels_are_explained_too():
    df = pd.DataFrame({"x": [1.0, 2.0]}, index=pd.Index([3, 4], name="key"))
    reports = cn.explain(pa.Table.from_pandas(df))
    assert [(report.column, report.role) for report in reports] == [("x", "column"), ("key", "index")]
    assert "key" in repr(reports)
    assert "<table" in reports._repr_html_()
    assert reports.to_pandas()["copied"].tolist() == [16, 16]
