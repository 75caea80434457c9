"""One table to all workers of a Dask cluster on two hosts, against Dask's scatter: ``python -m benchmarks.dask_hosts``.

Both hosts are this machine: two workers see another shared memory (a mount namespace, so root is needed), and all talk
over loopback. A round begins with a frame in the client, and ends when a task on each worker has read a column of it.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
from distributed import Client, LocalCluster, wait

import colonnade as cn
from benchmarks.engine_frames import in_turn, mixed, numeric, private_mib, run_of
from colonnade.dask import Colonnade

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the other host, as the tests make it
from support.hosts import on_another_host  # type: ignore[import-not-found]  # mypy does not look into tests

_WORKER = (
    "import sys; from distributed.cli.dask_worker import main; sys.argv = ['dask-worker', sys.argv[1], "
    "'--nworkers', '2', '--nthreads', '1', '--no-dashboard', '--memory-limit', '0', '--host', '127.0.0.1']; main()"
)


def _read(_: int, table: Any) -> tuple[float, float]:
    frame = table if isinstance(table, pd.DataFrame) else table.to_pandas()
    return float(frame.iloc[:, 0].sum()), private_mib()


def measure(client: Any, frame: pd.DataFrame, rounds: int) -> tuple[dict[str, float], float]:
    """The seconds of each way, and the private memory of a worker that reads the table, in MiB above an idle one."""
    workers = list(client.scheduler_info(n_workers=-1)["workers"])
    expected = float(frame.iloc[:, 0].sum())
    idle = max(client.run(private_mib).values())
    private = []

    def read(table: Any) -> None:
        futures = [
            client.submit(_read, number, table, workers=[worker], pure=False) for number, worker in enumerate(workers)
        ]
        for value, mib in client.gather(futures):
            assert math.isclose(value, expected)  # the layout of a frame, and so the order of a sum, may differ
            if not isinstance(table, pd.DataFrame) and isinstance(table, cn.Snapshot):
                private.append(mib)

    def ours() -> float:
        began = time.perf_counter()
        with cn.put("table", frame) as snapshot:
            read(snapshot)
            seconds = time.perf_counter() - began
        client.run(cn.gc)  # as Dask frees its copies: after the round, and not in its time
        return seconds

    def scatter() -> None:
        future = client.scatter(frame, broadcast=True, hash=False)
        wait(future)
        read(future)

    times = in_turn({"put": ours, "scatter": scatter}, rounds)
    # Of the first round: later on a worker also has memory that Dask's copies have left in its allocator.
    return times, max(private[: len(workers)]) - idle


def main() -> None:
    """Measure, and print a table."""
    with (
        run_of("dask", __doc__, 3) as options,
        LocalCluster(n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address=None) as cluster,
        Client(cluster) as client,
        on_another_host(sys.executable, "-c", _WORKER, client.scheduler.address, size="8g"),
    ):
        client.wait_for_workers(4, timeout=100)
        client.register_plugin(Colonnade())
        print("| 4 workers on 2 hosts | put, s | scatter, s | ratio (target 3) | MiB of a worker (target 64) |")
        print("| --- | --- | --- | --- | --- |")
        for name, make in (("numbers", numeric), ("mixed", mixed)):
            times, private = measure(client, make(options.mib << 20), options.rounds)
            ratio = times["scatter"] / times["put"]
            print(f"| {name} | {times['put']:.2f} | {times['scatter']:.2f} | {ratio:.1f} | {private:.0f} |", flush=True)


if __name__ == "__main__":
    main()
