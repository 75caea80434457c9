"""Growing tables whose store was removed, or whose first append fails."""

import resource
import shutil

import pandas as pd
import pytest

import colonnade as cn
from colonnade import _append


@pytest.mark.parametrize("shared", [False, True])
def test_a_store_that_was_removed_by_other_means_is_noticed(store, shared, monkeypatch):
    monkeypatch.setattr(_append, "_BETWEEN_LOOKS", 0.0)
    log = store.appender("t", {"x": "float64"}, shared=shared)
    log.append({"x": [1.0]})
    with store.follow("t", start="first", timeout=5) as follow:
        next(follow)
        shutil.rmtree(store.path)
        log.row(x=2.0)  # the one that notices it
        with pytest.raises(cn.NotFoundError, match="was deleted"):
            log.row(x=3.0)
        next(follow)
        with pytest.raises(cn.NotFoundError, match="was deleted"):
            next(follow)
    log.close()
    assert not store.path.exists()


def test_a_first_append_that_fails_makes_no_table(store):
    store.put("other", pd.DataFrame({"x": [1.0]})).close()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # larger than a head, smaller than a segment
    try:
        with pytest.raises(cn.StoreAccessError, match="ulimit -f"):
            store.append("folder/t", pd.DataFrame({"x": [1.0]}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [table.name for table in store.ls()] == ["other"]
    assert not (store.path / "folder").exists()
    assert store.append("folder/t", pd.DataFrame({"x": [1.0]})) == 1
