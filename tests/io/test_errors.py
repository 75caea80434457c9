"""Errors about files and URLs are one sentence, without terminal escapes and without passwords."""

import os
import socket
import traceback

import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.io.secrets import without_secrets

SOURCES = {
    "": (ValueError, "the path is empty"),
    "folder.csv": (cn.UnreadableFileError, "is a folder without files"),
    "broken.parquet": (cn.UnreadableFileError, "cannot be read as parquet"),
    "empty.arrow": (cn.UnreadableFileError, "cannot be read as arrow"),
    "latin.csv": (cn.UnreadableFileError, "not UTF-8"),
    "caf\udce9.csv": (cn.UnreadableFileError, "not UTF-8"),
    "names": (cn.UnreadableFileError, "not UTF-8"),
    "socket.csv": (cn.UnreadableFileError, "No such device or address"),
    "x" * 300 + ".csv": (cn.UnreadableFileError, "File name too long"),
    "a\0b.csv": (cn.UnreadableFileError, "NUL"),
    "broken.parquet/x.csv": (FileNotFoundError, "No such file"),
    "nope.csv": (FileNotFoundError, "No such file"),
    "https://127.0.0.1/x.csv": (FileNotFoundError, "No such file"),
    "://": (ValueError, "load a copy of the file"),
    "notes.txt": (ValueError, "say with format"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_that_cannot_be_loaded(source, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("folder.csv", "names"):
        (tmp_path / folder).mkdir()
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no PAR1")
    (tmp_path / "empty.arrow").write_bytes(b"")
    (tmp_path / "notes.txt").write_bytes(b"")
    for name in ("latin.csv", "caf\udce9.csv", "names/caf\udce9.csv"):
        (tmp_path / name).write_bytes("é\n1\n".encode("latin-1"))
    kind, words = SOURCES[source]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.csv")
        with pytest.raises(kind, match=words) as excinfo:
            store.load("t", source)
    assert type(excinfo.value) is kind
    assert not store.exists("t")


def test_a_home_folder_is_expanded(store, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "t.csv").write_text("x\n1\n")
    store.load("t", "~/t.csv").close()
    store.dump("t", "~/u.csv")
    assert (tmp_path / "u.csv").read_text() == '"x"\n1\n'


TARGETS = {
    "folder.csv": (ValueError, "is a folder; name a file in it"),
    "nope/x.csv": (FileNotFoundError, r"'nope/x\.csv'$"),
    "x" * 300 + ".csv": (OSError, "File name too long"),
    "a\0b.csv": (ValueError, "not the name of a file"),
    "x.orc": (ValueError, "ends in none of"),
    "esc\x1b[31m.zzz": (ValueError, r"^esc\\x1b\[31m.zzz ends in none of"),
    "s3://me:secret@bucket/x.parquet": (ValueError, r"^s3://\*\*\*@bucket/x.parquet is a URL"),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_that_cannot_be_written(target, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    store.put("t", pd.DataFrame({"x": [1]})).close()
    kind, words = TARGETS[target]
    with pytest.raises(kind, match=words):
        store.dump("t", target)
    assert os.listdir(tmp_path) == ["folder.csv"]
    assert os.listdir("folder.csv") == []


# -- what names from files do to a terminal ----------------------------------------------------------------------------

ESCAPE = "\x1b]0;owned\x07\x1b[31m\u202e"


def test_messages_move_no_cursor(store, tmp_path):
    (tmp_path / f"{ESCAPE}.csv").write_bytes(b"")
    with pytest.raises(cn.UnreadableFileError) as excinfo:
        store.load("t", tmp_path / f"{ESCAPE}.csv")
    assert str(excinfo.value).isprintable()
    assert "\x1b" not in "".join(traceback.format_exception_only(excinfo.value))
    for error in (
        cn.StoreFullError(28, f"{ESCAPE}: full"),
        cn.NotFoundError(ESCAPE),
        cn.CorruptSnapshotError(f"{ESCAPE}\ntwo"),
        cn.UnsupportedTypeError(ESCAPE),
    ):
        assert all(line.isprintable() for line in str(error).split("\n"))
    assert str(cn.NotFoundError("one\ntwo")) == "one\ntwo"
    assert cn.StoreFullError(28, "no room").errno == 28


def test_reprs_move_no_cursor(folder):
    store = cn.Store(folder / f"s{ESCAPE}")
    with store.put("t", pa.table({ESCAPE: [1], "x": pa.array([1], pa.timestamp("s", ESCAPE))})) as snapshot:
        visible = [snapshot.explain(), store.usage(), store, snapshot, store.ls()]
        assert all(line.isprintable() for each in visible for line in repr(each).split("\n"))
        assert repr(ESCAPE)[1:-1] in repr(snapshot.explain())


# -- passwords ---------------------------------------------------------------------------------------------------------

SECRETS = [
    "postgresql://me:hunter2@127.0.0.1:1/db", "postgresql://me:hun/hunter2@127.0.0.1:1/db", "postgresql://me:hun@hunter2@127.0.0.1:1/db",
    "postgresql://127.0.0.1:1/db?user=me&password=hunter2", "postgresql:///?host=127.0.0.1&port=1&password=hunter2&user=me",
    "postgres://:hunter2@127.0.0.1:1/db", "mysql://me:hunter2@h/db", "mysql+pymysql://me:hunter2@h:3306/db?ssl=1", "mssql://sa:hunter2@h/db?driver=x",
    "snowflake://me:hunter2@account/db", "https://me:hunter2@h/x.csv", "https://h/x.csv?token=hunter2", "https://h/x.csv?X-Amz-Signature=1&sig=hunter2",
    "ftp://me:hunter2@h/x.csv", "s3fs://key:hunter2@bucket/x.parquet", "file://me:hunter2@/nope.csv", "sqlite:///nope.db?password=hunter2",
    "host=127.0.0.1 port=1 user=me password=hunter2", "host=h password = 'hunter2' dbname=x", "Server=h;Database=d;Uid=me;Pwd=hunter2;",
    "DRIVER={x};PWD=hunter2", "AccountName=a;AccountKey=hunter2==;", "hunter2://me:hunter2@h/x",
]  # fmt: skip


@pytest.mark.parametrize("query", [None, "select 1"])
@pytest.mark.parametrize("url", SECRETS)
def test_no_error_has_a_password(url, query, store):
    with pytest.raises((cn.ColonnadeError, ValueError, OSError, ModuleNotFoundError)) as excinfo:
        store.load("t", url, query=query)
    text = "".join(traceback.format_exception(excinfo.value, chain=True))
    text = "\n".join(line for line in text.split("\n") if "store.load" not in line and not line.startswith("    "))
    assert "hunter2" not in text.replace("hunter2://", "")


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/a@b.parquet",
        "postgresql://host:5432/db",
        "/data/user@host/t.csv",
        "sqlite:///x.db?mode=ro",
        "no secrets: a=b",
    ],
)
def test_other_texts_stay_as_they_are(text):
    assert without_secrets(text) == text
