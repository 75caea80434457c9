"""Snapshots in a Ray cluster of two nodes, of which one is another host."""

import gc
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

import colonnade as cn

from .conftest import another_host, engine

# A local cluster leaves a token in the home directory, which later clusters ask for.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# A machine that is busy is not dead.
os.environ.setdefault("RAY_health_check_failure_threshold", "60")

engine("ray")

import ray  # noqa: E402 -- only where the engine is installed

import colonnade.ray  # noqa: E402 -- only where the engine is installed
from colonnade.ray import hosts  # noqa: E402 -- only where the engine is installed
from colonnade.storage.copies import file_of  # noqa: E402 -- only where the engine is installed

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
AWAY = {"away": 0.01}


@pytest.fixture(scope="module")
def cluster(store_of_module, tmp_path_factory):
    """Two nodes, each with a store of its own at the same path."""
    from ray.cluster_utils import Cluster

    home = os.environ.get("HOME")
    os.environ["HOME"] = str(tmp_path_factory.mktemp("home"))
    ray_cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False},
    )
    folder = os.path.dirname(sys.executable)
    command = [
        "ray",
        "start",
        "--address",
        ray_cluster.address,
        "--num-cpus",
        "2",
        "--resources",
        '{"away": 1}',
        "--block",
    ]
    with another_host(
        sys.executable, "-m", "ray.scripts.scripts", *command[1:], "--object-store-memory", str(100 << 20),
        PATH=f"{folder}:{os.environ['PATH']}",
    ):  # fmt: skip
        ray.init(address=ray_cluster.address, log_to_driver=False)
        end = time.monotonic() + 60
        while "away" not in ray.cluster_resources():
            assert time.monotonic() < end, "the second node did not come"
            time.sleep(0.2)
        with colonnade.ray.serve() as hosts:
            yield hosts
        ray.shutdown()
    ray_cluster.shutdown()
    if home is not None:
        os.environ["HOME"] = home


@pytest.fixture(scope="module")
def mixed():
    rows = 100_000
    return pd.DataFrame(
        {
            "x": np.arange(rows) / 7,
            "s": [f"row {row}" for row in range(rows)],
            "c": pd.Categorical(["a", "b"] * (rows // 2)),
        }
    )


@ray.remote(num_cpus=0.1)
def look(snapshot):
    frame = snapshot.to_pandas()
    frame.iloc[0, 0] = -1.0  # it is writable, and nobody else sees it
    return str(snapshot.path), float(frame["x"].sum()), frame["s"].iloc[-1], os.stat(snapshot.fileno()).st_ino


def test_both_nodes_serve(cluster):
    assert len(cluster.addresses) == 2
    again = colonnade.ray.serve()
    assert again.addresses == cluster.addresses
    # Nodes that have joined meanwhile would get this one.
    assert hosts._token_of_cluster(None) in ray.get([actor.token.remote() for actor in cluster._actors.values()])
    with pytest.raises(ValueError, match="with another token"):
        colonnade.ray.serve(token="another-token-than-theirs")  # noqa: S106 -- a wrong one


def test_another_node_fetches_once(cluster, mixed):
    snapshot = cn.put("mixed", mixed)
    here = ray.get(look.options(resources={f"node:{ray.util.get_node_ip_address()}": 0.0}).remote(snapshot))
    away = ray.get([look.options(resources=AWAY).remote(snapshot) for _ in range(4)])
    assert {result[1:3] for result in away} == {(float(mixed["x"].sum()) - 1.0, "row 99999")}
    assert {result[0] for result in away} == {
        f"{os.environ['COLONNADE_STORE']}/.segments/{file_of('mixed', snapshot.identity)}"
    }
    assert len({result[3] for result in away}) == 1
    assert here[1] == away[0][1]


def test_put_results_and_state(cluster, mixed):
    snapshot = cn.put("mixed", mixed)
    reference = ray.put(snapshot)
    assert ray.get(look.options(resources=AWAY).remote(reference))[2] == "row 99999"

    @ray.remote(num_cpus=0.1, resources=AWAY)
    def make():
        return cn.put("made", pd.DataFrame({"n": range(9)}))

    assert ray.get(make.remote()).to_pandas()["n"].sum() == 36

    @ray.remote(num_cpus=0.1, resources=AWAY)
    class Keeper:
        def __init__(self, snapshot):
            self.frame = snapshot.to_pandas()

        def last(self):
            return self.frame["s"].iloc[-1]

    keeper = Keeper.remote(snapshot)
    assert ray.get(keeper.last.remote()) == "row 99999"
    ray.kill(keeper)


def test_a_table_that_is_gone_is_an_error_of_the_task(cluster):
    snapshot = cn.put("short", pd.DataFrame({"x": [1.0], "s": ["a"]}))
    cn.delete("short")
    cn.gc()
    snapshot.close()
    with pytest.raises(cn.NotFoundError, match="short"):
        ray.get(look.options(resources=AWAY).remote(snapshot))


def test_a_node_that_serves_again_has_its_port(cluster, mixed):
    snapshot = cn.put("again", mixed)
    import pickle

    reference = pickle.dumps(snapshot)
    address = (cn.Store().path / ".serving").read_text()
    assert address in cluster.addresses.values()
    actor = next(each for node, each in cluster._actors.items() if cluster.addresses[node] == address)
    ray.kill(actor, no_restart=False)
    end = time.monotonic() + 60
    while True:  # until it is started again, nobody serves there
        try:
            path, *_ = ray.get(look.options(resources=AWAY).remote(pickle.loads(reference)))
            break
        except cn.RemoteError:
            assert time.monotonic() < end
            time.sleep(0.2)
    assert "copy-" in path
    assert ray.get(actor.address.remote()) == address


def test_ray_data(cluster, mixed):
    snapshot = cn.put("mixed", mixed)

    def add(batch, table):
        frame = table.to_pandas()
        batch["looked_up"] = frame["x"].to_numpy()[batch["item"]]
        return batch

    rows = ray.data.from_items([1, 2, 3]).map_batches(add, fn_kwargs={"table": snapshot}).take_all()
    assert sorted(row["looked_up"] for row in rows) == [1 / 7, 2 / 7, 3 / 7]


colonnade.ray.register_transport()  # before a class names it


@ray.remote(num_cpus=0.1)
class Source:
    @ray.method(tensor_transport="COLONNADE")
    def frame(self, rows):
        return pd.DataFrame({"n": range(rows), "s": [f"row {row}" for row in range(rows)]})

    def shared(self):
        folder = cn.Store().path / ".segments"
        return [name for name in os.listdir(folder) if name.startswith("shared-")]


@ray.remote(num_cpus=0.1)
class Sink:
    def take(self, frame):
        frame.iloc[0, 0] = 7  # it is writable
        return int(frame["n"].sum()), frame["s"].iloc[-1]


def test_plain_frames_between_actors(cluster):
    """Ray Direct Transport: the same node and another one; the table is closed when Ray says so."""
    colonnade.ray.register_transport()  # again: nothing happens
    source = Source.remote()
    sinks = [Sink.remote(), Sink.options(resources=AWAY).remote()]
    before = ray.get(source.shared.remote())
    result = source.frame.remote(1000)
    assert ray.get([sink.take.remote(result) for sink in sinks]) == [(499507, "row 999")] * 2
    assert len(ray.get(source.shared.remote())) == len(before) + 1
    del result
    end = time.monotonic() + 30
    while len(ray.get(source.shared.remote())) > len(before):
        assert time.monotonic() < end, "the table was not closed"
        time.sleep(0.1)
    for actor in (source, *sinks):
        ray.kill(actor)


def test_nodes_serve_on_though_nobody_keeps_the_result(cluster):
    cluster.close()
    time.sleep(1)  # until Ray has forgotten the names
    addresses = colonnade.ray.serve().addresses
    colonnade.ray.serve()
    gc.collect()
    time.sleep(1)
    actors = [ray.get_actor(f"colonnade-{node}", "colonnade") for node in addresses]
    assert ray.get([actor.address.remote() for actor in actors]) == list(addresses.values())
    colonnade.ray.serve().close()


def test_the_module_names_its_extra():
    code = "import sys; sys.modules['ray'] = None\ntry:\n    import colonnade.ray\nexcept ModuleNotFoundError as e:\n    print(e)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ray" in process.stdout
