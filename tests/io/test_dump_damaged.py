"""A damaged table is not dumped or shown: it is refused before a damaged offset is followed."""

import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn


@pytest.fixture
def damaged(folder):
    """A store with a table of strings; the offsets of its last rows point far behind its text."""
    store = cn.Store(folder / "damaged")
    path = store.put("t", pd.DataFrame({"s": [f"text {i}" for i in range(1000)]})).path
    column = store.open("t").to_arrow().column("s").chunk(0)
    offsets = column.buffers()[1].to_pybytes()[: 8 * 1001]
    data = bytearray(path.read_bytes())
    at = data.index(offsets)
    data[at + 8 * 5 : at + 8 * 8] = (1 << 50).to_bytes(8, "little") * 3
    path.write_bytes(data)
    with pytest.raises(pa.ArrowInvalid):
        store.open("t").to_arrow().validate(full=True)
    return store


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".feather", ".arrow"])
def test_dump(suffix, damaged, tmp_path):
    with pytest.raises(cn.CorruptSnapshotError, match="column 's' is damaged"):
        damaged.dump("t", tmp_path / f"t{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("args", [["show", "t"], ["show", "t", "--json"], ["dump", "t", "-"]])
def test_commands(args, damaged):
    command = [sys.executable, "-m", "colonnade", "--store", damaged.path, *args]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout) == (1, "")
    assert "damaged" in process.stderr
    assert process.stderr.count("\n") == 1
