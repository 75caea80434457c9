"""cn.to_pandas gives what PyArrow's to_pandas gives, for every type and layout, with every option."""

from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import colonnade as cn
from support.arrow_flat import FLAT, LENGTHS, OFFSETS
from support.arrow_tables import KINDS, Column, Recipe, recipes, type_of
from support.likeness import assert_same_frame
from support.pyarrow_bugs import inside
from support.quick_lane import examples
from support.to_pandas_comparison import LAYOUTS, Kept, assert_like_pyarrow, one_of, one_of_each, readable, two_of
from support.to_pandas_options import NUMBERS, OPTIONS, any_options, matters

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


@given(data=st.data())
@examples(900)
@pytest.mark.slow
def test_any_table(data):
    kinds = data.draw(st.sampled_from([readable(), readable(), readable(), tuple(sorted(KINDS))]), label="kinds")
    recipe = data.draw(recipes(kinds), label="recipe")
    assert_like_pyarrow(recipe, data.draw(any_options(recipe.names), label="options"))


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
