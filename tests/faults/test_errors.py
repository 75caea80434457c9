"""Bad input: each case its own error class, a message that says what to do, and a store that is as it was."""

import errno
import os
import stat
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from support import unnamed


@pytest.fixture
def filled(store):
    store.put("kept", pd.DataFrame({"x": [1, 2, 3]}))
    listing = sorted(path.name for path in store.path.rglob("*"))
    yield store
    assert store.get("kept")["x"].tolist() == [1, 2, 3]
    assert sorted(path.name for path in store.path.rglob("*")) == listing


def test_unknown_name(filled):
    for ask in (filled.get, filled.open, filled.delete):
        with pytest.raises(cn.NotFoundError, match=r"no table 'nope' in .*there are: 'kept'") as excinfo:
            ask("nope")
        assert isinstance(excinfo.value, KeyError)
    with pytest.raises(cn.NotFoundError, match="no table 'kept/below'"):
        filled.get("kept/below")
    assert not filled.exists("nope")


def test_unknown_store(folder):
    with pytest.raises(cn.NotFoundError, match="the store is empty"):
        cn.Store(folder / "none").get("t")
    with pytest.raises(cn.NotFoundError):
        cn.Store(folder / "none").delete("t")
    assert cn.Store(folder / "none").ls() == cn.Store(folder / "none").check() == []
    assert not (folder / "none").exists()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".hidden",
        "a/../b",
        "..",
        "a b",
        "ä",
        "a\n",
        "a@1",
        "x" * 256,
        7,
        None,
        b"a",
        "a\0b",
    ],
)
def test_bad_name(filled, name):
    for ask in (filled.get, filled.open, filled.delete, filled.exists, lambda n: filled.put(n, pd.DataFrame())):
        with pytest.raises(cn.InvalidNameError, match="name") as excinfo:
            ask(name)
        assert isinstance(excinfo.value, ValueError)


def test_wrong_version(filled):
    for version in (0, 2, -2):
        with pytest.raises(cn.NotFoundError, match=f"no version {version} of 'kept'"):
            filled.open("kept", version=version)


def test_unknown_column(filled):
    with pytest.raises(cn.NotFoundError, match=r"no column 'y'; there are: 'x'"):
        filled.get("kept", columns=["y"])


def test_unsupported_columns_are_all_named_with_what_they_hold(filled):
    df = pd.DataFrame({"ok": [1, 2], "sets": [object(), 1], "pair": [{1}, 1], "complex": [1j, 2j],
                       "sparse": pd.arrays.SparseArray([0, 1]), "swapped": np.array([1, 2], dtype=">i4")})  # fmt: skip
    with pytest.raises(cn.UnsupportedTypeError) as excinfo:
        filled.put("kept", df)
    output = str(excinfo.value)
    assert isinstance(excinfo.value, TypeError)
    for words in ("column 'sets': it holds objects of type object", "column 'pair': it holds objects of type set", "column 'complex': Arrow has no type for complex128",
                  "column 'sparse': its dtype is Sparse[int64, 0]", "column 'swapped': its byte order is not this machine's", "nothing was"):  # fmt: skip
        assert words in output
    assert "'ok'" not in output


@pytest.mark.parametrize(("make", "words"), [
    (lambda: pd.DataFrame({"x": [1]}, index=pd.Index([object()])), "index level 0"),
    (lambda: pd.DataFrame({"x": [1]}, index=pd.Index([1], name=frozenset())), "the name of an index"),
    (lambda: pd.DataFrame([[1]], columns=pd.Index([object()])), "the column labels cannot be stored"),
], ids=["index", "name", "label"])  # fmt: skip
def test_unsupported_index_and_labels(filled, make, words):
    with pytest.raises(cn.UnsupportedTypeError, match=words):
        filled.put("kept", make())


def test_attrs_that_json_would_change(filled):
    df = pd.DataFrame({"x": [1]})
    df.attrs["t"] = (1, 2)
    with pytest.raises(cn.UnsupportedTypeError, match=r"df.attrs\['t'\] is \(1, 2\)"):
        filled.put("kept", df)


def test_a_frequency_that_text_cannot_hold(filled):
    index = pd.date_range("2020", periods=3, freq=pd.offsets.CustomBusinessDay(holidays=["2020-01-02"]))
    with pytest.raises(cn.UnsupportedTypeError, match=r"freq = None"):
        filled.put("kept", pd.DataFrame({"x": range(3)}, index=index))


@pytest.mark.parametrize(
    "data",
    [{"x": 1}, [1, 2], "text", None, 5, pa.array([1]), pa.chunked_array([[1]])],
    ids=lambda d: type(d).__name__,
)
def test_not_a_table(filled, data):
    with pytest.raises(cn.NotATableError, match=r"table"):
        filled.put("kept", data)


@pytest.mark.parametrize("error", [RuntimeError, pa.ArrowInvalid])
def test_a_stream_that_breaks_off(filled, error):
    def batches():
        yield pa.record_batch({"x": [1]})
        raise error("the query was cancelled")

    reader = pa.RecordBatchReader.from_batches(pa.schema([("x", pa.int64())]), batches())
    with pytest.raises(Exception, match="the query was cancelled") as excinfo:
        filled.put("kept", reader)
    assert not isinstance(excinfo.value, cn.ColonnadeError)


def test_store_that_is_a_file(folder):
    path = folder / "file"
    path.write_text("")
    for place in (path, path / "below"):
        with pytest.raises(cn.StoreAccessError, match="cannot be a store") as excinfo:
            cn.Store(place).put("t", pd.DataFrame({"x": [1]}))
        assert isinstance(excinfo.value, OSError)
    with pytest.raises(cn.StoreAccessError, match="cannot be read as a store: Not a directory"):
        cn.Store(path).ls()
    assert [problem.what for problem in cn.Store(path).check()] == ["the store is a file"]


def _as_nobody(program, folder):
    folder.chmod(0o755)
    return subprocess.run([sys.executable, "-c", "import os; import colonnade as cn, pandas as pd; os.setgid(65534); os.setuid(65534)\n" + program],
                          capture_output=True, text=True, check=False)  # fmt: skip


@pytest.mark.privileged("users")
def test_store_that_is_not_ours(store, folder):
    store.put("t", pd.DataFrame({"x": [1]}))
    ask = f"store = cn.Store({str(store.path)!r})\ntry: {{}}\nexcept cn.StoreAccessError as error: print(error)"
    assert "Permission denied" in _as_nobody(ask.format("store.get('t')"), folder).stdout
    assert "may not write to the store" in _as_nobody(ask.format("store.put('t', pd.DataFrame())"), folder).stdout


DAMAGE = {
    "empty": lambda data: b"",
    "cut short": lambda data: data[: len(data) // 2],
    "without its last byte": lambda data: data[:-1],
    "garbage": lambda data: os.urandom(4096),
    "zeros": lambda data: bytes(len(data)),
    "footer length": lambda data: data[:-10] + b"\xff\xff\xff\x7f" + data[-6:],
    "negative footer length": lambda data: data[:-10] + b"\xff\xff\xff\xff" + data[-6:],
    "metadata": lambda data: data.replace(b'"blocks":[{', b'"blocks":[[{'),
    "offset past the end": lambda data: data.replace(b'"int64","at":0', b'"int64","at":9'),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_file(folder, damage):
    store = cn.Store(folder / "s")
    path = store.put("t", pd.DataFrame({"x": [1, 2, 3], "y": [0.5, 1.5, 2.5]})).path
    data = DAMAGE[damage](path.read_bytes())
    path.write_bytes(data)
    with pytest.raises(cn.CorruptSnapshotError, match=r"'t' cannot be opened: .*delete it"):
        store.get("t")
    assert [problem.path for problem in store.check()] == [path]
    assert store.put("t", pd.DataFrame({"x": [1]})).version >= 1
    assert store.check() == []


def test_another_programs_arrow_file(folder):
    store = cn.Store(folder / "s")
    path = store.put("t", pd.DataFrame({"x": [1]})).path
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, pa.schema([("x", pa.int64())])) as writer:
        writer.write_batch(pa.record_batch({"x": [1]}))
    with pytest.raises(cn.NotASnapshotError, match=r"Arrow file that Colonnade did not write.*read it with pyarrow"):
        store.get("t")
    assert store.ls() == []
    assert len(store.check()) == 1
    store.delete("t")
    assert store.check() == []


def test_things_in_the_store_that_are_not_files(folder):
    store = cn.Store(folder / "s")
    store.put("t", pd.DataFrame({"x": [1]}))
    (folder / "secret").write_text("secret")
    (store.path / "link.arrow").symlink_to(folder / "secret")
    (store.path / "out").symlink_to(folder)
    os.mkfifo(store.path / "pipe.arrow")
    (store.path / "notes.txt").write_text("")
    (store.path / f"{'x' * 240}.arrow").write_text("")  # longer than a name's
    for name in ("link", "pipe"):
        with pytest.raises((cn.StoreAccessError, cn.CorruptSnapshotError)):
            store.get(name)
    with pytest.raises(cn.StoreAccessError, match="leads out of the store"):
        store.put("out/t", pd.DataFrame({"x": [1]}))
    assert {problem.path.name for problem in store.check()} == {
        "link.arrow",
        "out",
        "pipe.arrow",
        "notes.txt",
        f"{'x' * 240}.arrow",
    }
    with pytest.warns(UserWarning, match="'link'"):
        assert [info.name for info in store.ls()] == ["t"]
    store.put("link", pd.DataFrame({"x": [1]}))
    assert (folder / "secret").read_text() == "secret"
    assert stat.S_ISREG((store.path / "link.arrow").lstat().st_mode)


def test_a_name_that_is_a_folder_of_names(store):
    store.put("a.arrow/b", pd.DataFrame({"x": [1]}))
    with pytest.raises(cn.InvalidNameError, match="folder of other tables"):
        store.put("a", pd.DataFrame({"x": [1]}))
    store.put("c", pd.DataFrame({"x": [1]}))
    with pytest.raises(cn.InvalidNameError, match="the file of another table"):
        store.put("c.arrow/d", pd.DataFrame({"x": [1]}))
    assert [info.name for info in store.ls()] == ["a.arrow/b", "c"]


def test_full_file_system(small):
    store = cn.Store(small / "s")
    store.put("kept", pd.DataFrame({"x": [1, 2, 3]}))
    free = os.statvfs(small).f_bavail
    with pytest.raises(
        cn.StoreFullError, match=r"bytes free and the table needs 80,\d+,\d+; nothing was stored"
    ) as excinfo:
        store.put("big", pd.DataFrame({"x": np.arange(10_000_000)}))
    assert (excinfo.value.errno, isinstance(excinfo.value, OSError)) == (errno.ENOSPC, True)
    assert os.statvfs(small).f_bavail == free
    assert [info.name for info in store.ls()] == ["kept"]
    assert store.check() == []


def test_file_system_that_fills_up_while_writing(small, monkeypatch):
    """The check beforehand can be overtaken by another writer; then the kernel says ENOSPC, and never SIGBUS."""
    monkeypatch.setattr("colonnade.storage.capacity.free_bytes", lambda *_: 1 << 40)
    store = cn.Store(small / "s")
    store.put("kept", pd.DataFrame({"x": [1, 2, 3]}))
    free = os.statvfs(small).f_bavail
    for frame in (
        pd.DataFrame({"x": np.random.default_rng(0).random(10_000_000)}),
        pd.DataFrame({"s": ["x" * 100] * 1_000_000}),
    ):
        with pytest.raises(cn.StoreFullError, match="no room in"):
            store.put("kept", frame)
    assert os.statvfs(small).f_bavail == free
    assert store.get("kept")["x"].tolist() == [1, 2, 3]
    assert store.check() == []


def test_without_unnamed_files(store, monkeypatch):
    """Some file systems have no O_TMPFILE: a file with a temporary name serves, and nothing of it is left."""
    unnamed.refuse(monkeypatch)
    store.put("t", pd.DataFrame({"x": [1]}))
    store.put("t", pd.DataFrame({"x": [2]}))
    with pytest.raises(cn.ConflictError):
        store.put("t", pd.DataFrame({"x": [2]}), expect_version=7)
    assert store.get("t")["x"].tolist() == [2]
    assert sorted(os.listdir(store.path)) == [".segments", "t.arrow"]
    assert os.listdir(store.path / ".segments") == []


def test_polars_is_not_installed(filled, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    monkeypatch.delitem(sys.modules, "colonnade.interop.polars", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'colonnade\[polars\]'"):
        filled.open("kept").to_polars()
