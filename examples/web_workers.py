"""Several web workers serve look-ups from one shared frame, and go over to each newly put version without a restart.

    python examples/web_workers.py                       # with 1 and with 8 workers; prints what memory they take
    uvicorn web_workers:app --workers 8                  # the server alone, from this folder

Each worker has the table at hand with `colonnade.latest`: one `stat` a request, and one copy of the table in the
machine's memory, whatever the number of workers. Needs uvicorn.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import colonnade as cn

NAME = "shop/prices"
PATIENCE = 60.0

# -- the server --------------------------------------------------------------------------------------------------------

prices = cn.latest(NAME)


async def app(scope: dict[str, Any], _receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Answer ``/<id>`` with the price of that id, ``/scan`` with the sum of all; and say who answered, from what."""
    if scope["type"] != "http":
        return
    frame = prices.frame  # the newest version; this request uses it until its end
    answer: dict[str, Any] = {"worker": os.getpid(), "version": int(frame.attrs["version"])}
    try:
        if scope["path"] == "/scan":
            answer["sum"] = float(frame.sum().sum())
        else:
            number = int(scope["path"].strip("/"))
            # A binary search in shared memory, because the ids are sorted. With .loc each worker builds a hash table.
            place = int(frame["id"].searchsorted(number))
            is_there = place < len(frame) and frame["id"].iat[place] == number
            answer["price"] = float(frame["price"].iat[place]) if is_there else None
    except ValueError:
        answer["error"] = "ask for /<a number>"
    body = json.dumps(answer).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


# -- the producer ------------------------------------------------------------------------------------------------------


def put(version: int, rows: int) -> int:
    """Put the prices of a day; gives the bytes of the table."""
    ids = np.arange(rows, dtype="int64") * 10
    frame = pd.DataFrame({"id": ids, "price": ids * 0.25 + version})
    frame.attrs["version"] = version
    with cn.put(NAME, frame) as snapshot:
        return snapshot.nbytes


# -- seen from outside -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def server(workers: int) -> Iterator[int]:
    """Run uvicorn on a free port; gives the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", f"{Path(__file__).stem}:app", "--port", str(port)]
    options = ["--workers", str(workers), "--log-level", "error"]
    process = subprocess.Popen([*command, *options], cwd=Path(__file__).parent)
    try:
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def ask(port: int, path: str) -> dict[str, Any]:
    """Ask one of the workers, whichever takes the connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def ask_all(port: int, path: str, workers: int) -> dict[int, dict[str, Any]]:
    """Ask until every worker has answered; gives the last answer of each."""
    answers: dict[int, dict[str, Any]] = {}
    until = time.monotonic() + PATIENCE
    while len(answers) < workers:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(answers)} of {workers} workers answered within {PATIENCE} seconds")
        try:
            answer = ask(port, path)
            answers[answer["worker"]] = answer
        except ConnectionRefusedError:
            time.sleep(0.05)  # it is not up yet
    return answers


def memory(process: int, store: Path) -> tuple[int, int]:
    """What a process has to itself, and its share of the store's pages (each page divided by how many have it)."""
    private = shared = 0
    in_store = False
    for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
        label, *rest = line.split()
        if not label.endswith(":"):
            in_store = str(store) in line
        elif label.startswith("Private_") and not in_store:
            private += int(rest[0]) << 10
        elif label == "Pss:" and in_store:
            shared += int(rest[0]) << 10
    return private, shared


def measure(workers: int, rows: int) -> dict[str, Any]:
    """Serve with so many workers, put a new version meanwhile, and have every worker read all of both."""
    nbytes = put(1, rows)
    with server(workers) as port:
        before = ask_all(port, "/scan", workers)
        put(2, rows)
        first = ask(port, "/20")  # the very next answer is from the new version
        after = ask_all(port, "/scan", workers)
        figures = [memory(process, cn.Store().path) for process in after]
    assert {answer["version"] for answer in before.values()} == {1}
    assert {answer["version"] for answer in after.values()} == {2}
    assert before.keys() == after.keys(), "no worker was started again"
    assert (first["version"], first["price"]) == (2, 7.0)
    return {
        "workers": workers,
        "table": nbytes,
        "shared": sum(shared for _, shared in figures),
        "private": max(private for private, _ in figures),
    }


def main() -> int:
    """Measure with each number of workers, in a store of its own; prints a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rows", type=int, default=10_000_000)
    arguments = parser.parse_args()
    os.environ["COLONNADE_STORE"] = folder = tempfile.mkdtemp(prefix="colonnade-web-", dir=cn.Store().path.parent)
    try:
        for workers in arguments.workers:
            figures = measure(workers, arguments.rows)
            print(
                f"{figures['workers']} workers: the table has {figures['table'] / 1e6:.1f} MB; "
                f"its pages in all workers {figures['shared'] / 1e6:.1f} MB; "
                f"private memory of a worker {figures['private'] / 1e6:.1f} MB"
            )
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
