"""A Dask cluster whose hosts and links fail: namespaces with a network between them (`support.network`).

Host a has the scheduler and the client; b and c have a worker each. A store has the same path on all of them.
"""

import contextlib
import os
import sys

import pytest

from support.hosts import TOKEN, kill, run, started

from .conftest import engine, wanted
from .machines import STORE, arrived, files, finish

pytestmark = [pytest.mark.privileged("networks"), pytest.mark.slow]
wanted()
engine("distributed")

PORT = 8786
ROWS = 2 << 20  # of one column: 16 MiB
SUM = ROWS * (ROWS - 1) // 2
RATE = 4 << 20
CLIENT = """
import os, signal, sys, time, warnings
import numpy as np, pandas as pd
from distributed import Client, wait
import colonnade as cn
from colonnade.dask import Colonnade, prefetch, put, to_dask
warnings.simplefilter("ignore")

def make(rows):
    return cn.put("made", pd.DataFrame({{"n": np.arange(rows)}}))

def total(snapshot, *_):
    return int(snapshot.to_pandas()["n"].sum())

def where(snapshot):
    return str(snapshot.path)

client = Client("tcp://{scheduler}:{port}", timeout=60)
client.register_plugin(Colonnade(token={token!r}))
client.wait_for_workers({workers}, timeout=60)
addresses = {{info["name"]: address for address, info in client.scheduler_info()["workers"].items()}}
"""
CODE = "import sys; from distributed.cli.dask_{what} import main; sys.argv[0] = 'dask'; main()"


class Cluster:
    """A scheduler on the first host, and workers where they are started."""

    def __init__(self, hosts, stack):
        self.hosts, self._stack = hosts, stack
        self.scheduler = self._start(hosts[0], "scheduler", "--host", hosts[0].address, "--port", PORT)

    def _start(self, machine, what, *options):
        command = [sys.executable, "-W", "ignore", "-c", CODE.format(what=what), *map(str, options), "--no-dashboard"]
        return self._stack.enter_context(started([*machine.prefix, *command], COLONNADE_STORE=STORE))

    def worker(self, machine, name, *options):
        """Start a worker of one thread."""
        where = ["--host", machine.address, "--name", name, "--nthreads", 1, "--local-directory", "/dev/shm"]
        return self._start(machine, "worker", f"tcp://{self.hosts[0].address}:{PORT}", *where, *options)

    def again(self):
        """Start another scheduler at the same address."""
        self.scheduler = self._start(self.hosts[0], "scheduler", "--host", self.hosts[0].address, "--port", PORT)

    def client(self, code, *, workers=2):
        """Start a client of the cluster on the first host."""
        prelude = CLIENT.format(scheduler=self.hosts[0].address, port=PORT, token=TOKEN, workers=workers)
        return run(prelude + code, STORE, prefix=self.hosts[0].prefix)


@pytest.fixture
def cluster(hosts):
    with contextlib.ExitStack() as stack:
        yield Cluster(hosts, stack)


def test_the_worker_that_holds_the_only_copy_is_retired(cluster):
    """The table goes where Dask moves the result, before its host ends."""
    _, b, c = cluster.hosts
    cluster.worker(b, "b")
    cluster.worker(c, "c")
    b.limit(2 * RATE)  # the transfer takes longer than Dask's own end of a worker
    process = cluster.client(f"""
made = client.submit(make, {ROWS}, workers=["b"], allow_other_workers=True)
wait(made)
retired = client.retire_workers([addresses["b"]])
print(len(retired), list(client.scheduler_info()["workers"]) == [addresses["c"]])
print(client.submit(total, made, pure=False).result(timeout=60))
print(client.submit(where, made, pure=False).result(timeout=60))
""")
    output = finish(process)
    assert output[:2] == [["1", "True"], [str(SUM)]]
    assert "copy-" in output[2][0]


def test_workers_that_come_and_go(cluster):
    """A worker is killed in the middle of its tasks and another one comes, twice. Each host fetches once."""
    a, b, c = cluster.hosts
    cluster.worker(b, "b")
    cluster.worker(c, "c")
    process = cluster.client(f"""
server = cn.serve({a.address!r}, token={TOKEN!r}, insecure=True)
snapshot = cn.put("t", pd.DataFrame({{"n": np.arange({ROWS})}}))

def work(number, table):
    time.sleep(0.05)
    return total(table)

async def end():
    os.kill(os.getpid(), signal.SIGKILL)

for number in range(2):
    futures = client.map(work, range(40), table=snapshot, retries=10, pure=False)
    wait(futures[:10], return_when="FIRST_COMPLETED")
    client.run(end, workers=[next(w for w in client.scheduler_info()["workers"] if {c.address!r} in w)], on_error="ignore")
    print(set(client.gather(futures)), len(futures))
    client.wait_for_workers(2, timeout=100)  # the nanny has started another one
print(set(client.gather(client.map(work, range(40), table=snapshot, pure=False))))
""")
    output = finish(process)
    assert output == [[f"{{{SUM}}}", "40"]] * 2 + [[f"{{{SUM}}}"]]
    assert [files(machine) for machine in (b, c)] == [["copy"]] * 2


def test_a_host_dies_during_a_transfer(cluster):
    """The task that needs its table says so within 15 seconds; the host that received has nothing half, and goes on."""
    _, b, c = cluster.hosts
    cluster.worker(b, "b")
    cluster.worker(c, "c")
    b.limit(RATE)
    process = cluster.client(f"""
made = client.submit(make, {ROWS}, workers=["b"])
wait(made)
began = time.monotonic()
print("begun", flush=True)
try:
    client.submit(total, made, workers=["c"]).result(timeout=60)
except cn.RemoteError as error:
    print("RemoteError", time.monotonic() - began, error)
print(client.submit(lambda: total(cn.put("other", pd.DataFrame({{"n": [1, 2]}}))), workers=["c"]).result(timeout=30))
os._exit(0)  # the client would wait for the host that is gone
""")
    with arrived(c, 2 << 20):
        began(process)
    b.unplug()
    output = finish(process)
    assert output[0][0] == "RemoteError", output
    assert float(output[0][1]) < 15 + 2
    assert b.address in " ".join(output[0])
    assert output[1] == ["3"]
    assert "draft" not in files(c)
    assert "copy" not in files(c)


def test_a_worker_dies_during_a_transfer(cluster):
    """The table is lost with its only worker: an error at once. The task that makes it can be submitted again."""
    _, b, c = cluster.hosts
    worker = cluster.worker(b, "b", "--no-nanny")
    cluster.worker(c, "c")
    b.limit(RATE)
    process = cluster.client(f"""
made = client.submit(make, {ROWS}, workers=["b"])
wait(made)
print("begun", flush=True)
try:
    client.submit(total, made, workers=["c"]).result(timeout=60)
except cn.RemoteError as error:
    print("RemoteError", error)
print(client.submit(total, client.submit(make, {ROWS}, pure=False), pure=False).result(timeout=60))
""")
    with arrived(c, 2 << 20):
        began(process)
    kill(worker)
    output = finish(process)
    assert output[0][0] == "RemoteError", output
    assert b.address in " ".join(output[0])
    assert output[1:] == [[str(SUM)]]


def test_the_scheduler_is_lost_during_a_transfer(cluster):
    """The workers end, and leave no half of a table in their stores. Workers of the next scheduler use these stores."""
    _, b, c = cluster.hosts
    workers = [cluster.worker(b, "b", "--no-nanny"), cluster.worker(c, "c", "--no-nanny")]
    b.limit(RATE)
    code = f"""
made = client.submit(make, {ROWS}, workers=["b"])
wait(made)
print("begun", flush=True)
print(client.submit(total, made, workers=["c"]).result(timeout=60))
"""
    process = cluster.client(code)
    with arrived(c, 2 << 20):
        began(process)
    kill(cluster.scheduler)
    process.kill()
    process.communicate()
    for worker in workers:
        worker.wait(60)
    assert set(files(c)) <= {"copy"}
    assert not os.path.exists(f"/proc/{c.pid}/root{STORE}/.serving")
    cluster.again()
    cluster.worker(b, "b")
    cluster.worker(c, "c")
    assert finish(cluster.client(code))[-1] == [str(SUM)]


def began(process):
    """Wait until a client says that it has begun, without taking more of what it says."""
    for byte in b"begun\n":
        assert os.read(process.stdout.fileno(), 1) == bytes([byte])
