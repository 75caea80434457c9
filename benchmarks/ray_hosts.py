"""Frames that a Ray actor takes, on the same node and another one, against Ray: ``python -m benchmarks.ray_hosts``.

Both nodes are this machine: one sees another shared memory (a mount namespace, so root is needed), and they talk over
loopback. Each way is timed in the actor: from a reference to a frame of which a column was read. The first time in a
new cluster, memory comes from the kernel. From then on Ray receives into memory of its store, and we into that of an
older version's copy. A fetch takes that a minute after its last use; here it may do so at once.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

import colonnade as cn
from benchmarks.engine_frames import mixed, numeric, run_of

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the other node, as the tests make it
from support.hosts import on_another_host  # type: ignore[import-not-found]  # mypy does not look into tests

os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a local cluster would leave a token in the home directory
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
_WAIT = 60.0


class Reader:
    """What takes the frames."""

    def of_ray(self, references: list[Any]) -> float:
        """The seconds until it has a frame of Ray's store."""
        import ray

        began = time.perf_counter()
        frame = ray.get(references[0])
        float(frame.iloc[:, 0].sum())
        return time.perf_counter() - began

    def of_store(self, snapshot: cn.Snapshot) -> float:
        """The seconds until it has a writable frame of a snapshot."""
        began = time.perf_counter()
        frame = snapshot.to_pandas()
        float(frame.iloc[:, 0].sum())
        seconds = time.perf_counter() - began
        frame.iloc[0, 0] = 1.0
        return seconds

    def retire(self) -> None:
        """Make spares of copies, as a fetch does with those that were not used for a minute."""
        segments = cn.Store().path / ".segments"
        for number, copy in enumerate(segments.glob("copy-*")):
            copy.rename(segments / f"spare-{os.getpid():08x}{number:08x}")


def main() -> None:
    """Measure, and print a table."""
    with run_of("ray", __doc__, 5) as options, tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home
        print("| frame | of | first: ours, ms | Ray, ms | ratio | again: ours, ms | Ray, ms | ratio | target |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for name, make in (("numbers", numeric), ("mixed", mixed)):
            measure(name, make(options.mib << 20), options.rounds)


_TARGETS = {"the same node": {"mixed": "3"}, "another node": {"mixed": "1.5", "numbers": "0.9"}}


def measure(name: str, frame: pd.DataFrame, rounds: int) -> None:
    """Start a cluster of two nodes, and measure a frame."""
    import ray
    from ray.cluster_utils import Cluster

    import colonnade.ray

    memory = 4 * int(frame.memory_usage(deep=True).sum()) + (256 << 20)
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": memory, "include_dashboard": False},
    )
    command = ["-m", "ray.scripts.scripts", "start", "--address", cluster.address, "--num-cpus", "1", "--block"]
    command += ["--resources", '{"away": 1}', "--object-store-memory", str(memory)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with on_another_host(sys.executable, *command, size="14g", PATH=path):
        ray.init(address=cluster.address, log_to_driver=False)
        end = time.monotonic() + _WAIT
        while "away" not in ray.cluster_resources():
            if time.monotonic() > end:
                raise TimeoutError("the second node did not come")
            time.sleep(0.2)
        reader = ray.remote(num_cpus=0.1)(Reader)
        here = f"node:{ray.util.get_node_ip_address()}"
        actors = {
            "the same node": reader.options(resources={here: 0.001}).remote(),
            "another node": reader.options(resources={"away": 0.01}).remote(),
        }
        with colonnade.ray.serve():
            for place, actor in actors.items():
                with cn.put("small", frame[:10]) as small:  # what the actor imports, and its connections
                    ray.get([actor.of_store.remote(small), actor.of_ray.remote([ray.put(frame[:10])])])

                def ours(actor: Any = actor) -> float:
                    with cn.put("table", frame) as snapshot:
                        seconds: float = ray.get(actor.of_store.remote(snapshot))
                    ray.get(actor.retire.remote())
                    return seconds

                def of_ray(actor: Any = actor) -> float:
                    seconds: float = ray.get(actor.of_ray.remote([ray.put(frame)]))
                    return seconds

                row = [name, place]
                first, again = first_and_again({"ours": ours, "Ray": of_ray}, rounds)
                for times in (first, again):
                    row += [f"{times['ours'] * 1e3:.1f}", f"{times['Ray'] * 1e3:.1f}"]
                    row.append(f"{times['Ray'] / times['ours']:.2f}")
                row.append(_TARGETS[place].get(name, ""))
                print(f"| {' | '.join(row)} |", flush=True)
        ray.shutdown()
    cluster.shutdown()


def first_and_again(ways: dict[str, Callable[[], float]], rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """The seconds of each way the first time, and the median of more rounds, in turn."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            times[name].append(way())
    first = {name: values[0] for name, values in times.items()}
    return first, {name: median(values[1:]) for name, values in times.items()}


if __name__ == "__main__":
    main()
