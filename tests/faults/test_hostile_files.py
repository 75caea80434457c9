"""Files whose bytes nobody vouches for: an error each time, and never a crash of the interpreter.

Two promises are held here. Whatever a file holds, opening it checks every place, count and length. And ``validate="full"``
checks every value, before anybody has the snapshot. The program that looks for files that break them is tests/fuzz.
"""

import contextlib
import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from fuzz.anatomy import SEAL_FIELDS, Anatomy, rehashed

FUZZ = Path(__file__).parent.parent / "fuzz"


def _put(folder, table):
    store = cn.Store(folder / "s")
    return store, store.put("t", table).path


def _with_bytes(file, at, value, dtype):
    new = np.array(value, dtype).tobytes()
    return rehashed(file.data[:at] + new + file.data[at + len(new) :])


def _in_arrow(file, field, buffer, dictionary=False):
    """Where a buffer of Arrow's reading stands in the file."""
    memory = pa.py_buffer(file.data)
    column = pa.ipc.open_file(memory).get_batch(0).column(field)
    return (column.dictionary if dictionary else column).buffers()[buffer].address - memory.address


def _in_view(file, place):
    return file.body_start()[0] + place


def _layout_metadata(change):
    """A mutation of the layout metadata: ``change`` is given the JSON."""

    def edit(file):
        form = copy.deepcopy(file.layout)
        change(form)
        return file.with_layout(form)

    return edit


def _block(form, dtype):
    return next(block for block in form["blocks"] if block["dtype"] == dtype)


def _of_kind(form, kind):
    return next(column for _, column in form["columns"] if column["kind"] == kind)


def _nested(edit):
    """A mutation of the first nested table."""

    def edit_file(file):
        form = copy.deepcopy(file.layout)
        at, size = form["labels"]["at"], form["labels"]["size"]
        (body,) = file.body_start()
        result, place = file.with_child(edit(Anatomy(file.data[body + at : body + at + size])))
        form["labels"] = place
        return result.with_layout(form)

    return edit_file


def _interval(low, high):
    return pd.arrays.IntervalArray.from_arrays(pd.array([0, low], "int64"), pd.array([1, high], "int64"))


MIXED = pd.DataFrame(
    {
        "i": np.arange(5),
        "f": [0.5, None, 1.5, 2.5, 3.5],
        "b": [True, False, True, False, True],
        "s": ["a", "bc", None, "def", ""],
        "m": pd.array([1, None, 3, 4, 5], "Int64"),
        "n": pd.array([True, None, False, True, True], "boolean"),
        "c": pd.Categorical(["x", None, "y", "x", "y"]),
        "d": pd.Categorical(["x", "y", "y", "x", "y"]),
        "v": _interval(2, 3).take([0, 1, 0, 1, 0]),
        "o": pd.Series([b"x", b"", None, b"yz", b"w"], dtype=object),
    }
)
(_I, _F, _B, _S, _M, _N, _C, _D, _V, _O) = range(10)
DATES = pd.DataFrame({"x": range(4)}, index=pd.date_range("2020", periods=4, freq="D"))
PLAIN = pd.DataFrame({"x": [1, 2]})
SMALL = pd.DataFrame({"x": pd.array([None, 0, 0], "UInt8")})
ZONED_DATES = DATES.tz_localize("Europe/Paris")
MULTI = MIXED.iloc[:, :1].set_axis(pd.MultiIndex.from_arrays([list("aabba"), [1, 2, 1, 2, 3]]))
NESTED = pd.DataFrame([[1.0, 2.0, 3.0]], columns=pd.Index(["a", None, "cd"], dtype="str"))
ZONED = pd.DataFrame(
    {"z": pd.to_datetime(["2020-01-01", None]).tz_localize("UTC"), "p": pd.array(["2020-01", None], "period[M]")}
)
FROM_ARROW = pa.table({"i": [1, None, 3], "t": pa.array([[1], [], [2, 3]])})

# Nothing of it can be seen from places and lengths; only a look at each value tells.
VALUES = {
    "a dictionary index past the end": (MIXED, lambda f: _with_bytes(f, _in_arrow(f, _D, 1), 99, "int8")),
    "a negative dictionary index": (MIXED, lambda f: _with_bytes(f, _in_arrow(f, _D, 1), -3, "int8")),
    "a string offset past the end": (MIXED, lambda f: _with_bytes(f, _in_arrow(f, _S, 1) + 8, 2**40, "int64")),
    "string offsets that decrease": (MIXED, lambda f: _with_bytes(f, _in_arrow(f, _S, 1) + 8, [3, 1], "int64")),
    "a negative string offset": (MIXED, lambda f: _with_bytes(f, _in_arrow(f, _S, 1) + 8, -1, "int64")),
    "text that is not UTF-8": (MIXED, lambda f: _with_bytes(f, _in_arrow(f, _S, 2), 0xFF, "uint8")),
    "an offset of a category's text": (MIXED, lambda f: _with_bytes(f, _in_arrow(f, _C, 1, dictionary=True) + 8, 2**40, "int64")),
    "an offset of a list": (FROM_ARROW, lambda f: _with_bytes(f, _in_arrow(f, 1, 1) + 4, 2**30, "int32")),
    "a code past the end": (MIXED, lambda f: _with_bytes(f, _in_view(f, _of_kind(f.layout, "categorical")["codes"]), 99, "int8")),
    "a code below -1": (MIXED, lambda f: _with_bytes(f, _in_view(f, _of_kind(f.layout, "categorical")["codes"]), -2, "int8")),
    "a code that is another than Arrow's": (MIXED, lambda f: _with_bytes(f, _in_view(f, _of_kind(f.layout, "categorical")["codes"]), 1, "int8")),
    "categories that repeat": (MIXED, lambda f: _with_bytes(f, _in_arrow(f, _C, 2, dictionary=True), [120, 120], "uint8")),
    "a code of a MultiIndex past the end": (MULTI, lambda f: _with_bytes(f, _in_view(f, f.layout["index"]["codes"][0]["at"]), 2, "int8")),
    "a code of a MultiIndex below -1": (MULTI, lambda f: _with_bytes(f, _in_view(f, f.layout["index"]["codes"][1]["at"]), -2, "int8")),
    "a mask that is not 0 or 1": (MIXED, lambda f: _with_bytes(f, _in_view(f, _of_kind(f.layout, "masked")["mask"]), 2, "uint8")),
    "a mask that is not Arrow's": (MIXED, lambda f: _with_bytes(f, _in_view(f, _of_kind(f.layout, "masked")["mask"]), 1, "uint8")),
    "a boolean that is not 0 or 1": (MIXED, lambda f: _with_bytes(f, _in_view(f, _block(f.layout, "bool")["at"]), 255, "uint8")),
    "a boolean that is not Arrow's": (MIXED, lambda f: _with_bytes(f, _in_view(f, _block(f.layout, "bool")["at"]), 0, "uint8")),
    "a boolean under a mask that is not 0 or 1": (MIXED, lambda f: _with_bytes(f, _in_view(f, f.layout["columns"][2][1]["values"]) + 1, 255, "uint8")),
    "a null that pandas does not see": (MIXED, lambda f: _with_bytes(f, _in_arrow(f, _F, 1) + 8, 7.5, "float64")),
    "a float for an integer with nulls that is another": (FROM_ARROW, lambda f: _with_bytes(f, _in_view(f, _block(f.layout, "float64")["at"]), 7.5, "float64")),
    "a date where there is none": (ZONED, lambda f: _with_bytes(f, _in_arrow(f, 0, 1) + 8, 0, "int64")),
    "a period where there is none": (ZONED, lambda f: _with_bytes(f, _in_arrow(f, 1, 1) + 8, 0, "int64")),
    "an interval that ends before it starts": (MIXED, lambda f: _with_bytes(f, _in_view(f, _of_kind(f.layout, "interval")["left"]), 9, "int64")),
    "dates that do not have their frequency": (DATES, lambda f: _with_bytes(f, _in_arrow(f, 1, 1) + 8, 5, "int64")),
    "dates outside of the calendar": (ZONED_DATES, lambda f: _with_bytes(f, _in_arrow(f, 1, 1) + 8, 405 * 10**15, "int64")),
    "a level of the index that is left out": (MULTI, _layout_metadata(lambda form: [form["index"][key].pop() for key in ("levels", "codes", "names")])),
    "a null count": (MIXED, lambda f: _with_bytes(f, _number(f, "batch node nulls", _F), 3, "int64")),
    "columns in the seal": (MIXED, lambda f: _with_bytes(f, f.seal_at + SEAL_FIELDS["columns"], 3, "uint64")),
    "text of labels in a nested table": (NESTED, _nested(lambda f: _with_bytes(f, _in_arrow(f, 0, 1) + 8, 2**40, "int64"))),
    "a field that is another column's": (MIXED, _layout_metadata(lambda form: _of_kind(form, "categorical").update(field=_D))),
    "a block over another": (MIXED, _layout_metadata(lambda form: _block(form, "int64").update(at=_block(form, "float64")["at"]))),
    "a block over a string's offsets": (MIXED, lambda f: _layout_metadata(lambda form: _block(form, "int64").update(at=_in_arrow(f, _S, 1) - f.body_start()[0]))(f)),
    "a mask over values": (MIXED, _layout_metadata(lambda form: (m := _of_kind(form, "masked")).update(mask=m["values"]))),
    "a mask that is the values themselves": (SMALL, lambda f: _layout_metadata(lambda form: (m := _of_kind(form, "masked")).update(mask=m["values"]))(Anatomy(_with_bytes(f, _in_arrow(f, 0, 1), [1, 0, 0], "uint8")))),
    "Arrow's buffers over each other": (FROM_ARROW, lambda f: _with_bytes(f, _number(f, "batch buffer offset", 1), _read(f, "batch buffer offset", 5), "int64")),
}  # fmt: skip


def _number(file, what, which):
    return [number for number in file.numbers if number.what == what][which].at


def _read(file, what, which):
    return [number for number in file.numbers if number.what == what][which].read(file.data)


@pytest.mark.parametrize("what", VALUES)
def test_hostile_values(folder, what):
    table, edit = VALUES[what]
    store, path = _put(folder, table)
    store.open("t", validate="full").close()
    path.write_bytes(edit(Anatomy(path.read_bytes())))
    store.open("t").close()  # trusted, it opens: no value is looked at
    for ask in (store.open, store.get):
        with pytest.raises(cn.CorruptSnapshotError, match=r"'t' cannot be opened: .*delete it, or put the table again"):
            ask("t", validate="full")
    assert [problem.path for problem in store.check()] == [path]


# What follows values, and so must look at them first.
FOLLOWS = {
    "to_polars full": lambda store, folder: store.open("t").to_polars(validate="full"),
    "to_numpy": lambda store, folder: store.open("t").to_numpy(),
    "to_arrow full": lambda store, folder: store.open("t").to_arrow(validate="full"),
    "dump": lambda store, folder: store.dump("t", folder / "t.arrow"),
    "dump to Parquet": lambda store, folder: store.dump("t", folder / "t.parquet"),
    "sql": lambda store, folder: store.sql("select * from t").fetchall(),
    "show": lambda store, folder: _shown(store),
    "put again": lambda store, folder: store.put("again", store.open("t")),
}
# Damage that Arrow notices. The rest is in memory that only pandas' views read.
ARROW_SEES = [what for what in VALUES if what.split()[-1] != "another" and any(word in what for word in ("string offset", "dictionary index", "UTF-8", "category's text", "of a list"))]  # fmt: skip


def _shown(store):
    out = subprocess.run([sys.executable, "-m", "colonnade", "--store", store.path, "show", "t"], capture_output=True, text=True, check=False)  # fmt: skip
    if out.returncode == 1 and "damaged" in out.stderr:
        raise cn.CorruptSnapshotError(out.stderr)
    assert out.returncode == 0, out.stderr


@pytest.mark.parametrize("way", FOLLOWS)
@pytest.mark.parametrize("what", ARROW_SEES)
def test_what_follows_values_looks_at_them_first(folder, what, way):
    table, edit = VALUES[what]
    store, path = _put(folder, table)
    path.write_bytes(edit(Anatomy(path.read_bytes())))
    if way == "put again":  # the numbers of a column are copied as they are, and its offsets only where they end
        try:
            store.put("again", store.open("t"))
        except (cn.InvalidDataError, cn.CorruptSnapshotError):
            assert not store.exists("again")
        return
    with pytest.raises(cn.CorruptSnapshotError, match="damaged"):
        FOLLOWS[way](store, folder)
    assert not list(folder.glob("t.*"))


@pytest.mark.parametrize("what", VALUES)
def test_what_follows_values_never_ends_the_process(folder, what):
    table, edit = VALUES[what]
    store, path = _put(folder, table)
    path.write_bytes(edit(Anatomy(path.read_bytes())))
    for way in FOLLOWS.keys() - {"show"}:
        with contextlib.suppress(cn.ColonnadeError):
            FOLLOWS[way](store, folder)


def test_values_are_looked_at_once(folder, monkeypatch):
    from colonnade.format.read import values

    store, _ = _put(folder, MIXED.drop(columns=["o", "v"]))
    calls = []
    monkeypatch.setattr(values, "check_array", calls.append)
    for _ in range(3):
        store.open("t").to_polars(validate="full")
        store.sql("select s from t").fetchall()
    assert len(calls) == MIXED.shape[1] - 2
    store.put("t", MIXED.iloc[:, :4])
    store.open("t").to_polars(validate="full")
    assert len(calls) == MIXED.shape[1] + 2


def _with_child_of_its_own(file):
    result, place = file.with_child(file.data)
    # The first bytes of the body are the first offset of the strings, which is 0.
    return result.with_layout({**result.layout, "index": {"kind": "multi", "levels": [place], "codes": [{"dtype": "int8", "at": 0}], "names": [None]}})  # fmt: skip


# Places, counts and lengths: checked whenever a table is opened as pandas.
PLACES = {
    "a place past the end": (MIXED, _layout_metadata(lambda form: _block(form, "int64").update(at=2**40))),
    "a negative place": (MIXED, _layout_metadata(lambda form: _block(form, "int64").update(at=-64))),
    "a place that is not a multiple of 8": (MIXED, _layout_metadata(lambda form: _of_kind(form, "masked").update(values=4))),
    "a negative stride": (MIXED, _layout_metadata(lambda form: _block(form, "int64").update(stride=-40))),
    "a stride that is not a multiple of 8": (MIXED, _layout_metadata(lambda form: _block(form, "bool").update(stride=5))),
    "a mask past the end": (MIXED, _layout_metadata(lambda form: _of_kind(form, "masked").update(mask=2**62))),
    "a place that is not a number": (MIXED, _layout_metadata(lambda form: _of_kind(form, "masked").update(mask="0"))),
    "more rows than there are": (MIXED, _layout_metadata(lambda form: form.update(rows=2**40))),
    "rows beyond all numbers": (MIXED, _layout_metadata(lambda form: form.update(rows=2**63))),
    "an index of another length": (MIXED, _layout_metadata(lambda form: form["index"].update(start=0, stop=2**40, step=1))),
    "an index of another length, and no column": (pd.DataFrame(index=range(5)), _layout_metadata(lambda form: form["index"].update(start=0, stop=7, step=1))),
    "an index beyond all numbers": (MIXED, _layout_metadata(lambda form: form["index"].update(start=2**70, stop=2**70 + 5, step=1))),
    "more labels than there are bytes": (MIXED, _layout_metadata(lambda form: form.update(labels={"kind": "range", "start": 0, "stop": 2**40, "step": 1, "name": None}, blocks=[{"dtype": "bool", "at": 0, "stride": 0, "columns": {"first": 0, "count": 2**40}}]))),
    "codes that are floats": (MULTI, _layout_metadata(lambda form: form["index"]["codes"][0].update(dtype="float64"))),
    "codes of another width": (MIXED, _layout_metadata(lambda form: _of_kind(form, "categorical").update(dtype="int16"))),
    "codes of labels past the end": (MIXED.iloc[:, :2].set_axis(pd.MultiIndex.from_tuples([("a", 1), ("b", 1)]), axis=1), _layout_metadata(lambda form: form["labels"]["codes"].__setitem__(0, [0, 2]))),
    "a block of objects": (MIXED, _layout_metadata(lambda form: _block(form, "int64").update(dtype="object"))),
    "a block of numbers in the other byte order": (MIXED, _layout_metadata(lambda form: _block(form, "int64").update(dtype=">i8"))),
    "an interval of no dtype of intervals": (MIXED, _layout_metadata(lambda form: _of_kind(form, "interval").update(dtype="float64"))),
    "an interval of strings": (MIXED, _layout_metadata(lambda form: _of_kind(form, "interval")["dtype"].update(subtype="str"))),
    "a frequency of no dates": (MIXED.set_index("c"), _layout_metadata(lambda form: form["index"].update(freq="D"))),
    "a nested table in a nested table": (NESTED, _nested(_with_child_of_its_own)),
    "a nested table past the end": (NESTED, _layout_metadata(lambda form: form["labels"].update(at=0, size=2**40))),
    "other rows in the seal": (MIXED, lambda f: _with_bytes(f, f.seal_at + SEAL_FIELDS["rows"], 4, "uint64")),
    "a body at no multiple of 64": (PLAIN, lambda f: _with_bytes(f, _number(f, "batch block metadata", 0), _read(f, "batch block metadata", 0) - 8, "int32")),
    "JSON of many brackets": (MIXED, lambda f: f.with_text(b"[" * 100_000)),
}  # fmt: skip


@pytest.mark.parametrize("what", PLACES)
def test_hostile_places(folder, what):
    table, edit = PLACES[what]
    store, path = _put(folder, table)
    store.get("t")
    path.write_bytes(edit(Anatomy(path.read_bytes())))
    for validate in (None, "full"):
        with pytest.raises(cn.CorruptSnapshotError, match=r"'t' cannot be opened: .*delete it, or put the table again"):
            store.get("t", validate=validate)
    assert [problem.path for problem in store.check()] == [path]


SEALS = {
    "version": [0, 2**63, 2**64 - 1],
    "rows": [2**63, 2**64 - 1],
    "columns": [2**32, 2**64 - 1],
    "size": [0, 2**64 - 1],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in SEALS for value in SEALS[field]])
def test_hostile_seals(folder, field, value):
    store, path = _put(folder, MIXED)
    file = Anatomy(path.read_bytes())
    path.write_bytes(_with_bytes(file, file.seal_at + SEAL_FIELDS[field], value, "uint64"))
    with pytest.raises(cn.CorruptSnapshotError, match="seal"):
        store.open("t")
    assert store.ls() == []
    assert store.put("t", MIXED).version == 1  # a file that is not a snapshot does not count as a version


def test_columns_that_are_converted_are_looked_at_before(folder):
    """They are read whole when the table is opened, so a hostile value would be met then."""
    store, path = _put(folder, MIXED)
    file = Anatomy(path.read_bytes())
    path.write_bytes(_with_bytes(file, _in_arrow(file, _O, 1) + 4, 2**30, "int32"))
    with pytest.raises(cn.CorruptSnapshotError, match="column 'o' is damaged"):
        store.get("t")
    assert store.get("t", columns=["i"])["i"].tolist() == [0, 1, 2, 3, 4]


def test_labels_that_are_searched_are_looked_at_before(folder):
    store, path = _put(folder, NESTED)
    edit = _nested(lambda f: _with_bytes(f, _in_arrow(f, 0, 1) + 8, 2**40, "int64"))
    path.write_bytes(edit(Anatomy(path.read_bytes())))
    for ask in (lambda: store.get("t", columns=["a"]), lambda: store.open("t").explain()):
        with pytest.raises(cn.CorruptSnapshotError):
            ask()


def test_one_column_that_pandas_has_no_form_for_hides_no_other(folder):
    nulls = pa.DictionaryArray.from_arrays(pa.array([0]), pa.array(["x", None]))
    table = pa.table({"n": nulls, "b": [True]})
    store, path = _put(folder, table)
    file = Anatomy(path.read_bytes())
    path.write_bytes(_with_bytes(file, _in_view(file, _block(file.layout, "bool")["at"]), 7, "uint8"))
    with pytest.raises(cn.UnsupportedTypeError):
        store.get("t")
    with pytest.raises(cn.CorruptSnapshotError, match="neither 0 nor 1"):
        store.open("t", validate="full")


def test_validate_is_full_or_nothing(store):
    store.put("t", MIXED)
    for ask in (store.open, store.get):
        for wrong in ("fully", True, "", 1):
            with pytest.raises(ValueError, match="validate must be 'full' or None"):
                ask("t", validate=wrong)
    assert store.get("t", validate="full").equals(store.get("t"))


def test_validate_of_the_default_store(default_store):
    path = cn.put("t", MIXED).path
    assert cn.get("t", validate="full").equals(MIXED)
    file = Anatomy(path.read_bytes())
    path.write_bytes(_with_bytes(file, _in_arrow(file, _S, 1) + 8, -1, "int64"))
    for ask in (cn.open, cn.get):
        with pytest.raises(cn.CorruptSnapshotError):
            ask("t", validate="full")


def test_what_was_found():
    """Files that once ended an interpreter, or raised an error that is not one of ours."""
    seeds = sorted((FUZZ / "seeds").glob("*.arrow"))
    process = subprocess.run(
        [sys.executable, FUZZ / "mutate.py", "--replay", *seeds], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.count(".arrow\n") + process.stdout.count(".arrow ") >= len(seeds) > 0


def test_the_core_of_the_sanitizers_is_the_one_that_looks(folder):
    """The same program with another build of the core, as `make fuzz-sanitized` runs it; a copy of this one stands in for that."""
    seed = next((FUZZ / "seeds").glob("*.arrow"))
    core = Path(shutil.copy(cn._core.__file__, folder))
    command = [sys.executable, FUZZ / "mutate.py", "--replay", seed]
    environment = {**os.environ, "COLONNADE_FUZZ_CORE": str(core)}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr

    core.write_bytes(b"not a library")
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode != 0
    assert core.name in process.stderr


@pytest.mark.slow
def test_two_thousand_broken_files(folder):
    command = [
        sys.executable,
        FUZZ / "mutate.py",
        "--files",
        "2000",
        "--seed",
        "0",
        "--processes",
        "1",
        "--findings",
        folder / "findings",
    ]
    process = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.startswith("2,000 files in ")
    assert not (folder / "findings").exists()
