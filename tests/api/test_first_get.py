"""What `import colonnade` and the first `get` of a process load: every process that opens a table waits for it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import colonnade as cn

# What `import colonnade` loads, beside the files of `_verbs`. Who adds one measures what it takes.
IMPORTED = """
_attach _attached _core _frame_like _mappings _names _reference _verbs arguments default_store displayed dtype_kinds errors log sizes snapshot
store suggestions
core core.alignment
format format.bounds format.flatbuffer format.ipc format.ndarray_layout format.record format.schema format.seal
format.read format.read.file format.read.json_text format.read.ndarray format.read.values
interop interop.process_end interop.pyarrow_calls
storage storage.catalog storage.directory storage.folders storage.opening storage.os_errors storage.paths storage.segment storage.settings
storage.users
"""
# What makes frames. It imports pandas, so `import colonnade` loads it only if pandas is there already.
FRAMES = """
format.dtypes format.labels format.read.array_frame format.read.blocks format.read.column format.read.index format.read.projection format.read.table format.zones
interop.pandas interop.versions
"""
VERBS = {f"_verbs.{path.stem}" for path in Path(cn.__file__).parent.joinpath("_verbs").glob("[!_]*.py")}

PROGRAM = """if True:
    import sys
    if sys.argv[1] == "pandas first":
        import pandas
    before = set(sys.modules)
    import colonnade as cn
    imported = set(sys.modules) - before
    if sys.argv[1] != "pandas first":
        assert cn.open("a").to_numpy().sum() == 3
        assert "pandas" not in sys.modules, "an array was opened, and pandas was imported"
    import pandas
    before = set(sys.modules)
    frame = cn.get("t") if sys.argv[2] == "default store" else cn.Store(sys.argv[2]).get("t")
    print(*(name for name in imported if name.partition(".")[0] == "colonnade"))
    print(*(set(sys.modules) - before))
    assert frame["s"].isna().tolist() == [False, False, True] and frame["c"].cat.codes.tolist() == [0, 1, -1], frame
"""


def modules(names):
    return {f"colonnade.{name}" for name in names}


def loaded(order, store):
    """The modules of this package that the import loads, and all modules that the first get loads then."""
    program = [sys.executable, "-c", PROGRAM, order, store]
    process = subprocess.run(program, capture_output=True, text=True, check=True)
    imported, opened = process.stdout.split("\n")[:2]
    return set(imported.split()), set(opened.split())


def test_import_and_first_get_load_few_modules(folder, monkeypatch):
    monkeypatch.setenv("COLONNADE_STORE", str(folder / "s"))
    frame = pd.DataFrame({
        "i": [1, 2, 3], "f": [0.5, None, 1.5], "b": [True, False, True], "s": ["a", "b", None],
        "t": pd.to_datetime(["2026-01-01", None, "2026-01-03"]), "c": pd.Categorical(["x", "y", None]),
    })  # fmt: skip
    cn.put("t", frame)
    cn.put("a", np.ones(3))
    reader = modules({*IMPORTED.split(), *VERBS}) | {"colonnade"}
    frames = modules(FRAMES.split())
    assert loaded("pandas first", str(folder / "s")) == (reader | frames, set())
    imported, opened = loaded("colonnade first", "default store")
    assert imported == reader
    # The last one registers pandas' periods and intervals as Arrow's types. pandas 3.0 does not import its `api` itself.
    assert opened - {"pandas.api.internals"} == frames | {"pandas.core.arrays.arrow.extension_types"}
