"""A plan is decided once: its classes are frozen, and laying out and writing change nothing of it."""

import ast
import dataclasses
import importlib
import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade
import colonnade as cn
from colonnade.conversion.array_columns import plan_array
from colonnade.conversion.plans import prepare
from colonnade.core.jobs import Batches
from colonnade.format.write.batched import BatchedSource
from colonnade.format.write.draft import plan_draft
from colonnade.format.write.plan import plan
from colonnade.format.write.table import lay_out
from colonnade.interop.pandas_options import PandasOptions

SOURCE = Path(colonnade.__file__).parent
FOLDERS = ("core", "format/write")
WITH_CLASSES = (*FOLDERS, "conversion")


def modules_of(folders):
    return sorted(path for folder in folders for path in (SOURCE / folder).glob("*.py") if path.stem != "__init__")


MODULES = modules_of(FOLDERS)

# Classes of these folders that are not a part of a plan. Each does one piece of work, and is dropped after it.
WORKERS = {
    "Dictionary": "collects the categories of one column of a growing segment",
    "FrameColumns": "keeps the names of the last frame's columns",
    "RowWriter": "writes rows into one growing segment",
    "FrameParts": "collects the columns of a frame while it is planned",
    "Batches": "releases the memory of a source: see `test_only_batches_change`",
    "Cut": "counts the nulls of a job that runs part by part",
    "ColumnStream": "counts the rows and nulls of a job whose source comes array by array",
    "Outputs": "collects the arrays of one conversion",
    "KeyIndex": "reads an index over memory",
    "Memory": "watches which pages of a mapping were written to",
    "_Dtype": "stands for a Series before PyArrow's metadata writer",
    "ArrayMover": "moves the columns of one frame",
    "BlockMaker": "makes the blocks of one frame",
    "Categories": "remembers the categories of a plan's columns",
    "Layout": "collects columns in its constructor, and serves many tables: see `test_the_jobs_of_a_layout_are_read_only`",
    "ColumnsByType": "groups the columns of one table",
    "FrameHead": "remembers the schema of the last frame with its labels",
    "Plan": "remembers the layouts of one schema",
}


def classes_of(path):
    module = importlib.import_module(".".join(("colonnade", *path.relative_to(SOURCE).with_suffix("").parts)))
    return [kind for kind in vars(module).values() if inspect.isclass(kind) and kind.__module__ == module.__name__]


def is_frozen(kind):
    parameters = getattr(kind, "__dataclass_params__", None)
    if parameters is not None:
        return parameters.frozen
    return issubclass(kind, (tuple, int))  # NamedTuple, IntEnum


def list_fields(kind):
    """Fields whose declared type can be changed: lists, dicts, sets, bytearrays."""
    hints = getattr(kind, "__annotations__", {})
    return [name for name, hint in hints.items() if str(hint).split("[")[0] in ("list", "dict", "set", "bytearray")]


@pytest.mark.parametrize("path", modules_of(WITH_CLASSES), ids=lambda path: str(path.relative_to(SOURCE)))
def test_classes_are_frozen(path):
    kinds = [kind for kind in classes_of(path) if kind.__name__ not in WORKERS]
    assert [kind.__name__ for kind in kinds if not is_frozen(kind)] == []
    assert [
        (kind.__name__, fields) for kind in kinds if (fields := list_fields(kind)) and kind.__name__ != "DraftPlan"
    ] == []


def test_the_test_of_classes_can_fail():
    @dataclasses.dataclass
    class Open:
        size: int

    class Plain:
        pass

    @dataclasses.dataclass(frozen=True)
    class WithList:
        items: "list[int]"

    assert not is_frozen(Open)
    assert not is_frozen(Plain)
    assert list_fields(WithList) == ["items"]
    assert {kind.__name__ for path in modules_of(WITH_CLASSES) for kind in classes_of(path)} >= set(WORKERS)


# -- no function writes into its arguments -----------------------------------------------------------------------------

CHANGES = {
    "append",
    "extend",
    "insert",
    "pop",
    "remove",
    "clear",
    "update",
    "setdefault",
    "add",
    "discard",
    "sort",
    "fill",
}
# Functions whose work it is to fill what they are given: memory of the store.
FILLS = {
    ("core/key_index.py", "build_index", "region"),
    ("format/write/table.py", "write_to_memory", "memory"),
}


def root_of(node):
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def written_parts(target):
    """What an assignment writes to: each item of a tuple; of ``a[b]`` it is ``a``, and ``b`` is only read."""
    if isinstance(target, (ast.Tuple, ast.List)):
        return [part for item in target.elts for part in written_parts(item)]
    return written_parts(target.value) if isinstance(target, ast.Starred) else [target]


def writes_into_arguments(text, file):
    """(file, function, argument) of each assignment to, or change of, what an argument refers to."""
    result = set()
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, (ast.FunctionDef, ast.Lambda)):
            continue
        every = function.args
        names = {a.arg for a in (*every.posonlyargs, *every.args, *every.kwonlyargs)} - {"self", "cls"}
        name = getattr(function, "name", "lambda")
        for node in ast.walk(function):
            targets = []
            if isinstance(node, (ast.Assign, ast.Delete)):
                targets = node.targets
            elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
                targets = [node.target]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
                targets = [node.func]
            parts = [part for target in targets for part in written_parts(target)]
            result |= {
                (file, name, root_of(part))
                for part in parts
                if isinstance(part, (ast.Attribute, ast.Subscript)) and root_of(part) in names
            }
    return result


def test_no_function_writes_into_its_arguments():
    result = set()
    for path in MODULES:
        result |= writes_into_arguments(path.read_text(), str(path.relative_to(SOURCE)))
    assert result - FILLS == set()


@pytest.mark.parametrize(
    "broken",
    [
        "def arrange(region): region.at = 5",
        "def run(jobs):\n for job in jobs: pass\n jobs[0].nulls = 1",
        "def scan(job): job.pieces[0] = None",
        "def lay_out(plan): plan.nested_tables.append(1)",
        "def count(job): job.nulls += 1",
        "def unpack(node): node.a, node.b = 1, 2",
    ],
)
def test_the_test_of_arguments_can_fail(broken):
    assert writes_into_arguments(broken, "x.py")


# -- and the plans themselves ------------------------------------------------------------------------------------------

ROWS = 4000


def tables():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({
        "f": np.where(rng.random(ROWS) < 0.1, np.nan, rng.random(ROWS)),
        "b": rng.random(ROWS) < 0.5,
        "c": pd.Categorical(rng.choice(["a", "b", None], ROWS)),
        "i": pd.array(rng.choice([1, 2, None], ROWS), "Int64"),
        "s": [None if i % 7 == 0 else f"text {i}" for i in range(ROWS)],
        "o": [[i, None] if i % 3 else None for i in range(ROWS)],
    })  # fmt: skip
    half = pa.Table.from_pandas(frame.iloc[: ROWS // 2], preserve_index=False)
    return {
        "frame": frame,
        "labels": pd.DataFrame(rng.random((5, 3)), columns=pd.date_range("2026", periods=3)),
        "levels": frame.set_index(["i", "c"]),
        "chunks": pa.concat_tables([half, half]),
        "array": rng.random((50, 20)),
        "times": np.array(["2026", "NaT"] * 10, "M8[s]"),
    }


def state(value, seen):
    """Everything that a plan refers to, as plain values. Objects that are not a part of it are represented by their identity."""
    if isinstance(value, (int, float, str, bytes, type(None))):
        return value
    if id(value) in seen:
        return f"again {seen[id(value)]}"
    seen[id(value)] = len(seen)
    if dataclasses.is_dataclass(value):
        fields = {field.name: state(getattr(value, field.name), seen) for field in dataclasses.fields(value)}
        return (type(value).__name__, id(value), fields)
    if isinstance(value, (tuple, list)):
        return (type(value).__name__, [state(item, seen) for item in value])
    if isinstance(value, dict):
        return {id(key) if dataclasses.is_dataclass(key) else key: state(item, seen) for key, item in value.items()}
    if isinstance(value, Batches):
        return ("Batches", len(value))
    if inspect.isfunction(value):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return ("function", id(value), [state(cell, seen) for cell in cells])
    return id(value)


@pytest.mark.parametrize("name", tables())
def test_laying_out_and_writing_change_nothing(name, folder):
    table_plan = plan(tables()[name])
    before = state(table_plan, {})
    placement = lay_out(table_plan)
    assert state(table_plan, {}) == before
    placement_before = state(placement, {})
    one, other = (np.zeros(placement.size, np.uint8) for _ in range(2))
    placement.write_to_memory(one)
    assert (state(table_plan, {}), state(placement, {})) == (before, placement_before)
    placement.write_to_memory(other)  # so a plan can be written twice
    assert one.tobytes() == other.tobytes()
    assert list(lay_out(table_plan).places.values()) == list(placement.places.values())


def test_only_batches_change(folder):
    """A plan that is written batch by batch keeps its jobs and releases the memory that they have read."""
    table = tables()["chunks"]
    table_plan = plan(table)
    before = state(table_plan, {})
    placement = lay_out(table_plan)
    with (folder / "file").open("w+b") as file:
        file.truncate(placement.size)

        def write(at, data):
            file.seek(at)
            file.write(data)
            file.flush()

        released = []
        placement.write_batched(
            file.fileno(),
            write,
            lambda _first, _end: None,
            BatchedSource([ROWS // 2, ROWS // 2], lambda: released.append(True)),
        )
        batched = Path(file.name).read_bytes()
    assert released
    assert state(table_plan, {}) == before
    memory = np.zeros(placement.size, np.uint8)
    lay_out(plan(table)).write_to_memory(memory)
    assert memory.tobytes() == batched


def test_a_draft_is_scanned_by_jobs_of_its_own():
    draft_plan = plan_draft({"x": "float64", "b": "bool"}, 10, nulls=True)
    before = state(draft_plan.table, {})
    for column in draft_plan.columns_to_fill.values():
        own = column.column.job
        scan = column.scan(10, 4096)
        assert scan is not own
        assert column.column.job is own
    assert state(draft_plan.table, {}) == before


def test_the_jobs_of_a_layout_are_read_only():
    """Chunks with dictionaries of their own need other jobs: the conversion changes a copy of the layout's."""
    chunks = [pa.array(values).dictionary_encode() for values in (["a", "b"], ["c", "a"])]
    table = pa.table({"c": pa.chunked_array(chunks), "i": pa.chunked_array([[1, None], [3, 4]])})
    options = PandasOptions()
    plan_of_table, rest, _ = prepare(table, options)
    layout = plan_of_table.layout(rest, b"\0\1", options)
    before = layout.jobs.copy()
    pd.testing.assert_frame_equal(cn.to_pandas(table), table.to_pandas())
    assert prepare(table, options)[0].layout(rest, b"\0\1", options) is layout
    assert (layout.jobs == before).all()
    with pytest.raises(ValueError, match="read-only"):
        layout.jobs["width"] = 1


def test_the_jobs_of_an_array_are_shared_and_read_only():
    one, other = (plan_array(np.arange(n), None, safe=True, copy=True) for n in (3, 4))
    assert one.job is other.job
    with pytest.raises(ValueError, match="read-only"):
        one.job[0] = 1
