"""Workers that end while they send and receive by reference. They must end with their own status and leave no files.

A worker of a pool, or of a loader of batches, has a feeder thread that pickles what was put into its queue. The worker may end at any
instant of that: by the pool's end, by its own return, or by an exception.
"""

import subprocess
import sys

import pytest

BEGIN = """
import multiprocessing, os, sys, threading, time
import concurrent.futures
import numpy as np, pandas as pd
import colonnade as cn

FRAME = pd.DataFrame({f"c{i}": np.arange(200_000, dtype=float) + i for i in range(2)})


def give(_):
    return FRAME


def produce(queue, until):
    # As a worker of a DataLoader: the feeder thread of the queue sends what this thread has put.
    end = time.monotonic() + until
    while time.monotonic() < end:
        queue.put(FRAME)
        time.sleep(0.002)
    if sys.argv[3] == "cancel":
        queue.cancel_join_thread()


def main(kind, delay):
    context = multiprocessing.get_context(sys.argv[4])
    with cn.by_reference():
        if kind == "executor":
            pool = concurrent.futures.ProcessPoolExecutor(2, mp_context=context)
            futures = [pool.submit(give, number) for number in range(16)]
            futures[0].result()
            time.sleep(delay)
            pool.shutdown(wait=sys.argv[3] != "cancel", cancel_futures=True)
        elif kind == "pool":
            pool = context.Pool(2)
            results = pool.imap_unordered(give, range(16))
            next(results)
            time.sleep(delay)
            pool.terminate() if sys.argv[3] == "cancel" else pool.close()
            pool.join()
        else:
            queue = context.Queue()
            workers = [context.Process(target=produce, args=(queue, 0.2 + delay)) for _ in range(2)]
            for worker in workers:
                worker.start()
            # A worker that ends without its feeder may leave half a message: nobody can read the queue then.
            while sys.argv[3] == "wait" and any(worker.is_alive() for worker in workers):
                try:
                    queue.get(timeout=0.05)
                except Exception as error:
                    if type(error).__name__ not in ("Empty", "NotFoundError", "EOFError"):
                        raise
            for worker in workers:
                worker.join()
            print([worker.exitcode for worker in workers], flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("end", ["wait", "cancel"])
@pytest.mark.parametrize("kind", ["executor", "pool", "loader"])
def test_workers_end_while_they_send(kind, end, method, tmp_path, default_store):
    program = tmp_path / "program.py"
    program.write_text(BEGIN)
    for number in range(6 if method == "fork" and end == "cancel" else 1):
        command = [sys.executable, str(program), kind, str(0.004 * number), end, method]
        process = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
        assert (process.returncode, process.stderr) == (0, ""), number
        assert process.stdout.strip() == ("[0, 0]" if kind == "loader" else "")
    default_store.gc()
    segments = default_store.path / ".segments"
    assert (
        not segments.exists() or [path.name for path in segments.iterdir() if not path.name.startswith("group-")] == []
    )
