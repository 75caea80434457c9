"""Measure a fetch from another host against Flight itself: ``python -m benchmarks.hosts``.

The ways are taken in turn, in one run; a figure is a ratio of medians. Both hosts are this machine, over loopback: no
network card, no latency. Does not depend on: engines.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from pyarrow import flight

import colonnade as cn
from benchmarks.measure import fresh_folder

ROUNDS = int(os.environ.get("ROUNDS", "5"))
_TLS: dict[str, bytes] = {}
_TOKEN = "a-token-of-a-benchmark"  # noqa: S105 -- of this run


def frame(nbytes: int) -> pd.DataFrame:
    """A frame of float64 columns."""
    rows = nbytes // 8 // 64
    return pd.DataFrame(np.random.default_rng(1).random((rows, 64)))


class Served:
    """A process that serves a store; over TLS if it is given a certificate and its key."""

    def __init__(self, store: Path, *options: str | Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "colonnade", "--store", store, "serve", *options],
            env={**os.environ, "COLONNADE_TOKEN": _TOKEN},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split()[-1]

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


def do_get(address: str, *, keep: bool) -> None:
    """Flight's own way: the table, kept as a pyarrow.Table or its batches dropped."""
    options = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {_TOKEN}".encode())])
    client = flight.FlightClient(address, **_TLS)
    info = client.get_flight_info(flight.FlightDescriptor.for_path("table"), options)
    reader = client.do_get(info.endpoints[0].ticket, options)
    if keep:
        reader.read_all()
    else:
        for _ in reader:
            pass
    client.close()


def private_bytes() -> int:
    """The private memory of this process."""
    text = Path("/proc/self/status").read_text()
    match = re.search(r"RssAnon:\s+(\d+)", text)
    return int(match[1]) << 10 if match else 0


class Peak:
    """The peak of this process' private memory in a block, above its beginning."""

    def __enter__(self) -> Peak:
        self.begin = private_bytes()
        self.most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._ended.wait(0.002):
            self.most = max(self.most, private_bytes() - self.begin)

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def certificates(folder: Path) -> tuple[str | Path, ...]:
    """Make an authority, trust it, and give the options with which a host serves over TLS."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # certificates, as the tests make them
    from support.hosts import Authority  # type: ignore[import-not-found]  # mypy does not look into tests

    authority = Authority(folder / "ca")
    cert, key = authority.issue("host")
    _TLS["tls_root_certs"] = authority.ca.read_bytes()
    return "--cert", cert, "--key", key


def main(nbytes: int, *, tls: bool) -> None:
    """Measure, and print a table."""
    os.environ["COLONNADE_TOKEN"] = _TOKEN
    with fresh_folder("hosts") as folder:
        origin, receiver = cn.Store(folder / "origin"), cn.Store(folder / "receiver")
        origin.put("table", frame(nbytes)).close()
        with Served(origin.path, *(certificates(folder) if tls else ())) as served:
            url = f"{served.address}/table"
            if tls:
                os.environ["COLONNADE_CA"] = str(folder / "ca" / "ca.pem")

            def fetch() -> None:
                receiver.open(url).close()

            ways: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
                "fresh": (lambda: collect(receiver), fetch),
                "spare": (lambda: make_spare(receiver), fetch),
                "dropped": (lambda: None, lambda: do_get(served.address, keep=False)),
                "table": (lambda: None, lambda: do_get(served.address, keep=True)),
            }
            times: dict[str, list[float]] = {name: [] for name in ways}
            peaks = []
            for number in range(ROUNDS + 1):
                for name, (prepare, way) in ways.items():
                    prepare()
                    began = time.perf_counter()
                    with Peak() as peak:
                        way()
                    if number:
                        times[name].append(time.perf_counter() - began)
                        if name in ("fresh", "spare"):
                            peaks.append(peak.most)
            receiver.open(url).close()
            opening = []
            for _ in range(20):
                began = time.perf_counter()
                receiver.open(url).close()
                opening.append(time.perf_counter() - began)
    medians = {name: median(values) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:10}{value * 1e3:8.0f} ms   {nbytes / value / (1 << 30):6.2f} GiB/s")
    for text, value, target in (
        ("into a spare, as a share of Flight with its batches dropped", medians["dropped"] / medians["spare"], "0.9"),
        ("into fresh memory, as a share of Flight into a table", medians["table"] / medians["fresh"], "0.9"),
        ("private memory of a fetch at its peak, MiB", max(peaks) / (1 << 20), "64"),
        ("opening what is here by its address, ms", median(opening) * 1e3, "1"),
    ):
        print(f"{text:62}{value:8.2f}   target {target}")


def collect(store: cn.Store) -> None:
    """Free copies and spares."""
    store.gc()


def make_spare(store: cn.Store) -> None:
    """Leave a spare of the table's size in a store, and no copy."""
    segments = store.path / ".segments"
    for copy in segments.glob("copy-*"):
        for spare in segments.glob("spare-*"):
            spare.unlink()
        copy.rename(segments / f"spare-{os.urandom(8).hex()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    main(options.mib << 20, tls=options.tls)
