"""What the first `get` of a process loads: every process that opens a table waits for it."""

import subprocess
import sys
from pathlib import Path

import pandas as pd

import colonnade as cn

# Beside these, the package's `__init__`, those of its parts, and the files of verbs. Who adds one measures what it takes.
NAMES = """
_attach _attached _core _frame_like _mappings _names _reference arguments default_store displayed dtype_kinds errors log sizes snapshot store
core.alignment
format.bounds format.dtypes format.flatbuffer format.ipc format.json_text format.labels format.record format.schema format.seal format.zones
format.read.blocks format.read.column format.read.file format.read.index format.read.projection format.read.table
interop.pandas interop.process_end interop.pyarrow_calls interop.versions
storage.catalog storage.directory storage.folders storage.opening storage.os_errors storage.paths storage.segment storage.settings storage.users
"""
LOADED = set(NAMES.split())
PARTS = {"_verbs", "core", "format", "format.read", "interop", "storage"}
# Of other packages: what registers pandas' periods and intervals as Arrow's types; pandas 3.1 loads its `api` itself.
OTHERS = {"lazy_loader", "pandas.core.arrays.arrow.extension_types", "pandas.api.internals"}

PROGRAM = """if True:
    import sys
    import pandas, pyarrow
    before = set(sys.modules)
    import colonnade as cn
    frame = cn.Store(sys.argv[1]).get("t") if sys.argv[2] == "store" else cn.get("t")
    print(*sorted(set(sys.modules) - before))
    assert frame["s"].isna().tolist() == [False, False, True] and frame["c"].cat.codes.tolist() == [0, 1, -1], frame
"""


def test_first_get_loads_few_modules(folder, monkeypatch):
    monkeypatch.setenv("COLONNADE_STORE", str(folder / "s"))
    frame = pd.DataFrame({
        "i": [1, 2, 3], "f": [0.5, None, 1.5], "b": [True, False, True], "s": ["a", "b", None],
        "t": pd.to_datetime(["2026-01-01", None, "2026-01-03"]), "c": pd.Categorical(["x", "y", None]),
    })  # fmt: skip
    cn.put("t", frame)
    verbs = {path.stem for path in Path(cn.__file__).parent.joinpath("_verbs").glob("*.py")}
    expected = (
        {f"colonnade._verbs.{name}" for name in verbs}
        | {"colonnade"}
        | {f"colonnade.{name}" for name in LOADED | PARTS}
        | OTHERS
    )
    for way in ("store", "default"):
        program = [sys.executable, "-c", PROGRAM, str(folder / "s"), way]
        process = subprocess.run(program, capture_output=True, text=True, check=True)
        assert set(process.stdout.split()) <= expected, f"{way}: {sorted(set(process.stdout.split()) - expected)}"
