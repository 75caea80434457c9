"""Snapshots in a Dask cluster: real workers and nannies, and workers of another host."""

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import colonnade as cn

from .conftest import PYTHON, another_host, engine

engine("distributed")

from dask.base import tokenize  # noqa: E402 -- only where the engine is installed
from dask.delayed import delayed  # noqa: E402 -- only where the engine is installed
from dask.sizeof import sizeof  # noqa: E402 -- only where the engine is installed
from distributed import Client, KilledWorker, LocalCluster, Security  # noqa: E402 -- only where the engine is installed

import colonnade.dask as cd  # noqa: E402 -- only where the engine is installed
from colonnade import _core  # noqa: E402 -- only where the engine is installed
from colonnade.dask import memory  # noqa: E402 -- only where the engine is installed
from colonnade.storage.copies import file_of  # noqa: E402 -- only where the engine is installed

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
LIMIT = "500MiB"


@pytest.fixture(scope="module")
def client(store_of_module):
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, memory_limit=LIMIT, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(cd.Colonnade())
        yield client


@pytest.fixture(scope="module")
def remote(client):
    """Two workers of another host, whose store has the same path but is another one."""
    code = (
        "import sys; from distributed.cli.dask_worker import main; "
        "sys.argv = ['dask-worker', sys.argv[1], '--nworkers', '2', '--nthreads', '1', '--resources', 'away=1', '--no-dashboard', "
        f"'--memory-limit', '{LIMIT}', '--host', '127.0.0.1']; main()"
    )
    with another_host(PYTHON, "-c", code, client.scheduler.address):
        client.wait_for_workers(4, timeout=100)
        yield {"away": 1}
    end = time.monotonic() + 30
    while len(client.scheduler_info()["workers"]) > 2 and time.monotonic() < end:
        time.sleep(0.1)


@pytest.fixture(scope="module")
def wide():
    return pd.DataFrame(np.arange(20_000_000.0).reshape(-1, 20))


def look(number, snapshot):
    frame = snapshot.to_pandas()
    status = os.stat(snapshot.fileno())
    return os.getpid(), float(frame.iloc[:, 0].sum()), str(snapshot.path), (status.st_dev, status.st_ino)


def make(name, rows):
    return cn.put(name, pd.DataFrame({"n": range(rows)}))


def total(snapshot):
    return int(snapshot.to_pandas()["n"].sum())


# One host.


def test_arguments_results_scattered_and_graphs(client):
    frame = pd.DataFrame({"n": range(1000)})
    snapshot = cn.put("numbers", frame)
    expected = frame["n"].sum()
    assert set(client.gather(client.map(total, [snapshot] * 8, pure=False))) == {expected}
    # Both have one key: Dask drops the second where it is just letting go of the first.
    scattered = client.scatter(snapshot)
    assert client.submit(total, scattered, pure=False).result() == expected
    everywhere = client.scatter(snapshot, broadcast=True)
    assert client.submit(total, everywhere, pure=False).result() == expected
    assert delayed(total)(snapshot).compute() == expected
    result = client.submit(make, "made", 7)
    assert client.submit(total, result).result() == 21  # from worker to worker it is a reference
    assert result.result().to_pandas()["n"].tolist() == list(range(7))


def test_a_table_that_is_gone_is_an_error_of_the_task(client):
    snapshot = cn.put("short", pd.DataFrame({"n": [1]}))
    cn.delete("short")
    cn.gc()
    workers = set(client.scheduler_info()["workers"])
    with pytest.raises(cn.NotFoundError, match="short"):
        client.submit(total, snapshot).result()
    assert client.submit(lambda: 1).result() == 1
    assert set(client.scheduler_info()["workers"]) == workers


def test_references_are_small(client):
    snapshot = cn.put("numbers", pd.DataFrame({"n": range(100_000)}))
    assert sizeof(snapshot) <= 1024
    assert tokenize(snapshot) == tokenize(cn.open("numbers"))
    before = tokenize(snapshot)
    assert tokenize(cn.put("numbers", pd.DataFrame({"n": [1]}))) != before


def occupy(snapshot):
    from distributed import get_worker

    frame = snapshot.to_pandas()
    assert frame.to_numpy().sum() == frame.size
    time.sleep(1.0)  # the nanny looks each 100 ms
    worker = get_worker()
    return worker.monitor.get_process_memory(), worker.monitor.proc.memory_info().rss


def test_shared_pages_do_not_count(client):
    """Each worker reads a table as large as its memory limit. None may be paused or ended."""
    table = np.ones((500 << 20) // 8 // 16 * 16).reshape(-1, 16)
    snapshot = cn.put("large", pd.DataFrame(table))
    while _core.collapsing():  # pages that become huge leave the page tables of readers until they are read again
        time.sleep(0.01)
    workers = list(client.scheduler_info()["workers"])
    futures = [client.submit(occupy, snapshot, workers=[each], pure=False) for each in workers]
    for private, resident in client.gather(futures):
        assert resident > 500 << 20
        assert private < 250 << 20
    assert set(client.scheduler_info()["workers"]) == set(workers)
    snapshot.close()
    cn.delete("large")


def hog(nbytes):
    block = np.ones(nbytes // 8)
    time.sleep(20)
    return block[0]


def test_private_memory_counts(client):
    with pytest.raises(KilledWorker):
        client.submit(hog, 700 << 20, retries=0, pure=False).result(timeout=100)
    client.wait_for_workers(2)


def test_another_version_of_dask_is_an_error():
    with pytest.raises(cn.ColonnadeError, match=r"distributed \d.*get_process_memory"):
        memory.count_private_memory(SimpleNamespace(monitor=SimpleNamespace()))
    for nanny in (
        SimpleNamespace(),
        SimpleNamespace(periodic_callbacks={}, memory_manager=None),
        SimpleNamespace(periodic_callbacks={}, memory_manager=SimpleNamespace()),
    ):
        with pytest.raises(cn.ColonnadeError, match=r"distributed \d.*Nanny"):
            memory.count_private_memory_of_worker(nanny)


def test_to_dask(client):
    frame = pd.DataFrame({"a": range(1000), "s": [f"k{row % 3}" for row in range(1000)]})
    snapshot = cn.put("table", frame)
    lazy = cd.to_dask(snapshot, npartitions=4)
    assert lazy.npartitions == 4
    pd.testing.assert_frame_equal(lazy.compute(), frame)
    assert lazy["a"].sum().compute() == frame["a"].sum()
    assert "columns=['a']" in lazy[["a"]].optimize(fuse=False).expr.tree_repr()  # no other is opened
    assert lazy[[]].compute().shape == (1000, 0)
    assert lazy.groupby("s")["a"].sum().compute().to_dict() == frame.groupby("s")["a"].sum().to_dict()
    assert cd.to_dask(cn.put("empty", frame[:0]), npartitions=3).compute().shape == (0, 2)
    with pytest.raises(ValueError, match="npartitions"):
        cd.to_dask(snapshot, npartitions=0)


def test_put(client):
    frame = pd.DataFrame(
        {"a": range(1000), "s": [f"k{row % 3}" for row in range(1000)], "c": pd.Categorical(["x", None] * 500)},
        index=pd.date_range("2026-01-01", periods=1000, freq="s", name="t"),
    )
    lazy = cd.to_dask(cn.put("source", frame), npartitions=3)
    with cd.put("result", lazy, keep=2) as snapshot:
        pd.testing.assert_frame_equal(snapshot.to_pandas(), frame, check_freq=False)
    assert cd.put("result", lazy).version == 2
    plain = cd.put("plain", cd.to_dask(cn.put("source", frame.reset_index()), npartitions=2))
    assert plain.to_pandas().index.tolist() == list(range(1000))


def of_parts(*frames):
    import dask.dataframe as dd

    return dd.from_delayed([delayed(frame) for frame in frames], meta=frames[0], verify_meta=False)


@pytest.mark.parametrize(
    "frames",
    [
        [{"a": [1, 2]}, {"a": [1.5]}],
        [{"a": [None]}, {"a": ["x", "y"]}],
        [{"a": [1], "b": [2]}, {"b": [3], "a": [4]}],
        [{"a": pd.Categorical(["x", "y"])}, {"a": pd.Categorical([f"k{row}" for row in range(300)])}],
        [{"a": pd.to_datetime(["2026-01-01"]).as_unit("s")}, {"a": pd.to_datetime(["2026-01-01"]).as_unit("ns")}],
        [{"a": pd.Series([], dtype=object)}, {"a": [1]}],
        [{"a": pd.Series([], dtype=bool)}, {"a": pd.to_datetime(["2026-01-01"])}],
        [{"a": [1]}, {"b": pd.Series([], dtype=float)}],
    ],
    ids=["numbers", "no values", "order", "categories", "units", "no rows", "no rows, no cast", "no rows, no column"],
)
def test_put_of_partitions_that_differ(client, frames):
    frames = [pd.DataFrame(each) for each in frames]
    with cd.put("differ", of_parts(*frames)) as snapshot:
        expected = pd.concat(frames)[["a", *frames[0].columns[1:]]]
        assert plain(snapshot.to_pandas()) == plain(expected)


@pytest.mark.parametrize("ordered", [(True, False), (False, True), (True, True)])
def test_categories_are_ordered_if_those_of_all_partitions_are(client, ordered):
    frames = [pd.DataFrame({"a": pd.Categorical(["x", "y"], ordered=each)}) for each in ordered]
    with cd.put("ordered", of_parts(*frames)) as snapshot:
        assert snapshot.to_pandas()["a"].cat.ordered == all(ordered)


def plain(frame):
    return frame.astype(object).where(frame.notna(), None).to_numpy().tolist()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([np.array([2**60 + 1]), [1.5]], "'a' as int64 .*double"),
        ([[-1], np.array([2**63], "uint64")], "'a' as uint64 .*int64"),
        ([np.array(["3000-01-01"], "M8[us]"), np.array(["2026-01-01"], "M8[ns]")], r"'a' as timestamp\[us\]"),
    ],
    ids=["floats", "unsigned", "units"],
)
def test_values_that_no_type_of_the_partitions_holds(client, values, message):
    with pytest.raises(cn.UnsupportedTypeError, match=message):
        cd.put("refused", of_parts(*(pd.DataFrame({"a": each}) for each in values)))
    assert "refused" not in [entry.name for entry in cn.ls()]


def test_what_put_and_to_dask_refuse(client):
    frame = pd.DataFrame({"a": [1]})
    with pytest.raises(cn.UnsupportedTypeError, match=r"a partition has the columns \['b'"):
        cd.put("refused", of_parts(frame, pd.DataFrame({"b": [1]})))
    with pytest.raises(cn.UnsupportedTypeError, match="'a' as int64, large_string"):
        cd.put("refused", of_parts(frame, pd.DataFrame({"a": ["x"]})))
    for data in (frame, None, of_parts(frame).index):
        with pytest.raises(TypeError, match="put takes a Dask DataFrame"):
            cd.put("refused", data)
    never = of_parts(frame).map_partitions(lambda _: 1 / 0, meta=frame)
    with pytest.raises(cn.InvalidNameError):
        cd.put("a b", never)
    with pytest.raises(TypeError, match="nope"):
        cd.put("refused", never, nope=1)
    with pytest.raises(TypeError, match="to_dask takes a Snapshot"):
        cd.to_dask("table")
    with pytest.raises(TypeError, match="npartitions"):
        cd.to_dask(cn.put("table", frame), "4")


# Two hosts.


def test_another_host_fetches_once(client, remote, wide):
    snapshot = cn.put("wide", wide)
    futures = client.map(look, range(8), snapshot=snapshot, resources=remote, pure=False)
    results = client.gather(futures)
    assert {value for _, value, _, _ in results} == {float(wide.iloc[:, 0].sum())}
    assert len({process for process, *_ in results}) == 2
    assert {path for *_, path, _ in results} == {
        f"{os.environ['COLONNADE_STORE']}/.segments/{file_of('wide', snapshot.identity)}"
    }
    assert len({inode for *_, inode in results}) == 1  # one copy for both workers


def test_a_table_that_another_host_made(client, remote):
    result = client.submit(make, "made-away", 9, resources=remote).result()
    assert result.to_pandas()["n"].tolist() == list(range(9))
    assert "copy-" in str(result.path)
    assert client.submit(total, result, resources=remote).result() == 36


def test_prefetch(client, remote, wide):
    snapshot = cn.put("prefetched", wide)
    cd.prefetch(client, snapshot)
    future = client.submit(look, 0, snapshot, resources=remote).result()
    assert "copy-" in future[2]


def test_to_dask_and_put_over_hosts(client, remote):
    frame = pd.DataFrame({"a": range(1000)}, index=pd.Index(range(1000)))
    lazy = cd.to_dask(cn.put("over", frame), npartitions=8)
    assert lazy["a"].sum().compute() == frame["a"].sum()
    with cd.put("gathered", lazy.map_partitions(lambda part: part * 2)) as snapshot:
        assert snapshot.to_pandas()["a"].tolist() == (frame["a"] * 2).tolist()


def test_the_worker_that_serves_is_killed(client, remote):
    snapshot = cn.put("survivor", pd.DataFrame({"n": range(50)}))
    import pickle

    reference = pickle.dumps(snapshot)  # with the address of the one that serves now
    serving = next(
        pid for pid, holds in client.run(_serves, nanny=False).values() if holds and os.path.exists(f"/proc/{pid}")
    )
    os.kill(serving, signal.SIGKILL)
    time.sleep(3)
    assert client.submit(_total_of, reference, resources=remote, pure=False, retries=3).result(timeout=60) == 1225


def _serves():
    from colonnade import _serve

    return os.getpid(), any(server.is_serving for server in _serve._servers)


def _total_of(reference):
    import pickle

    return total(pickle.loads(reference))


# TLS.


def test_the_certificates_of_the_cluster_are_used(folder, monkeypatch):
    pytest.importorskip("cryptography")
    monkeypatch.setenv("COLONNADE_STORE", str(folder / "secret"))
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None, security=Security.temporary()
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(cd.Colonnade())
        snapshot = cn.put("secret", pd.DataFrame({"n": [1, 2]}))
        address = Path(folder, "secret", ".serving").read_text()
        assert address.startswith("grpc+tls://")
        assert client.submit(_fetch_as_another, address).result() == "2"
        assert client.submit(total, snapshot).result() == 3


def _fetch_as_another(address):
    """Fetch into another store, with the credentials of this worker."""
    import tempfile

    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, cn.Store(folder).open(f"{address}/secret") as snapshot:
        return str(snapshot.num_rows)
