"""How long one table takes to all hosts of a cluster, by their number: ``python -m benchmarks.broadcast``.

Hosts are network namespaces of this machine, each with an uplink that is bounded by a token bucket; what a host
receives is not bounded. One host has the table, and all others open it at the same instant. Ideally copies double with
each transfer, so n hosts take log2(n) times one; a single uplink for all would take n - 1 times. Needs root and
iproute2.

Does not depend on: engines.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import os
import signal
import sys
import time
from pathlib import Path
from statistics import median
from typing import TextIO

import numpy as np
import pandas as pd
import pyarrow as pa

import colonnade as cn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the hosts, as the tests make them
from support.network import Machine, Network  # type: ignore[import-not-found]  # mypy does not look into tests

_TOKEN = "a-token-of-a-benchmark"  # noqa: S105 -- of this run
_STORE = "/dev/shm/colonnade-broadcast"  # noqa: S108 -- of a host of its own
_NET, _MOUNT = 0x40000000, 0x00020000
_HOSTS = (2, 4, 8, 16, 32, 64)


class Member:
    """A process of one host: it serves that host's store, and opens the table when it is told to.

    It is forked by this process, which has never loaded Flight: 64 new interpreters would take half a minute.
    """

    def __init__(self, machine: Machine, *, rows: int = 0) -> None:
        come, self._say = os.pipe()
        self._answers, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._say)
            _member(machine, rows, os.fdopen(come), os.fdopen(answer, "w"))
        os.close(come)
        os.close(answer)
        self._lines = os.fdopen(self._answers)
        self.address = str(self.answer())

    def say(self, text: str) -> None:
        """Give it an order."""
        os.write(self._say, f"{text}\n".encode())

    def answer(self) -> object:
        """Wait for its answer."""
        line = self._lines.readline()
        if not line:
            raise RuntimeError("a host's process ended")
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._say)
        self._lines.close()


def _member(machine: Machine, rows: int, orders: TextIO, answers: TextIO) -> None:
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        for kind, name in ((_NET, "net"), (_MOUNT, "mnt")):
            fd = os.open(f"/proc/{machine.pid}/ns/{name}", os.O_RDONLY)
            if libc.setns(fd, kind):
                raise OSError(ctypes.get_errno(), "setns")
            os.close(fd)
        pa.set_cpu_count(1)
        store = cn.Store(_STORE)
        if rows:
            store.put("table", pd.DataFrame({"x": np.random.default_rng(1).random(rows)})).close()
        server = store.serve(machine.address, token=_TOKEN, insecure=True)
        print(json.dumps(server.address), file=answers, flush=True)
        for order in orders:
            began = time.monotonic()
            store.open(order.strip()).close()
            print(json.dumps(time.monotonic() - began), file=answers, flush=True)
        os._exit(0)
    except BaseException as error:
        print(f"{machine.name}: {error!r}", file=sys.stderr, flush=True)
        os._exit(1)


def measure(hosts: int, nbytes: int, rate: float, rounds: int) -> list[float]:
    """Seconds until the last of so many hosts has the table, once for each round."""
    times = []
    for _ in range(rounds):  # a new cluster for each: no host knows what another one had
        with Network(hosts, rate=rate, size="64m") as machines:
            members = [Member(machine, rows=0 if number else nbytes // 8) for number, machine in enumerate(machines)]
            try:
                began = time.monotonic()
                for member in members[1:]:
                    member.say(f"{members[0].address}/table")
                for member in members[1:]:
                    member.answer()
                times.append(time.monotonic() - began)
            finally:
                for member in members:
                    member.close()
    return times


def plot(path: Path, times: dict[int, float]) -> None:
    """Draw how the time grows."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    one = times[2]
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(list(times), [value / one for value in times.values()], "o-", label="measured")
    axes.plot(list(times), [math.log2(hosts) for hosts in times], "--", label="log2(hosts)", color="gray")
    axes.plot(list(times), [hosts - 1 for hosts in times], ":", label="one uplink for all", color="gray")
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(times), [str(hosts) for hosts in times])
    axes.set_ylim(0, math.log2(max(times)) + 2)
    axes.set_xlabel("hosts, of which one has the table")
    axes.set_ylabel("times one transfer")
    axes.legend(loc="lower right")
    FigureCanvasSVG(figure).print_svg(path, metadata={"Date": None})  # type: ignore[no-untyped-call]  # Matplotlib's


def main() -> None:
    """Measure, print a table, and draw it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hosts", type=int, nargs="+", default=_HOSTS)
    parser.add_argument("--mib", type=float, default=8.0, help="of the table")
    parser.add_argument("--seconds", type=float, default=4.0, help="one transfer takes so long by a host's uplink")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    os.environ["COLONNADE_TOKEN"] = _TOKEN
    nbytes = int(options.mib * (1 << 20))
    times = {}
    print(
        "| hosts | seconds | times one transfer | log2(hosts) | one uplink for all |\n| --- | --- | --- | --- | --- |"
    )
    for hosts in options.hosts:
        times[hosts] = median(measure(hosts, nbytes, nbytes / options.seconds, options.rounds))
        ratio = times[hosts] / times[options.hosts[0]]
        print(f"| {hosts} | {times[hosts]:.1f} | {ratio:.1f} | {math.log2(hosts):g} | {hosts - 1} |", flush=True)
    if options.plot:
        plot(options.plot, times)


if __name__ == "__main__":
    main()
