"""Two and three hosts with a network between them: fetches, bounded links, partitions, hosts that die. No engine.

`support.network` makes the hosts: namespaces of this machine. A store has the same path on all of them.
"""

import pytest

from support.hosts import run

from .conftest import wanted
from .machines import STORE, arrived, finish, link

pytestmark = [pytest.mark.privileged("networks"), pytest.mark.slow]
wanted()
ROWS = 2 << 20  # of one column: 16 MiB
RATE = 20 << 20
OPEN = """
import os, time, colonnade as cn
began = time.monotonic()
try:
    with cn.open({url!r}) as snapshot:
        print(int(snapshot.to_pandas()["n"].sum()), snapshot.version, time.monotonic() - began)
except cn.ColonnadeError as error:
    print(type(error).__name__, time.monotonic() - began, error)
folder = {store!r} + "/.segments"
print(sorted(name.split("-")[0] for name in os.listdir(folder)) if os.path.isdir(folder) else [])
"""
SUM = ROWS * (ROWS - 1) // 2


def put(machine, name="t", factor=1, rows=ROWS):
    code = f"import numpy as np, pandas as pd, colonnade as cn; cn.put({name!r}, pd.DataFrame({{'n': np.arange({rows}) * {factor}}}))"
    finish(run(code, STORE, prefix=machine.prefix))


def begin(machine, url):
    """Begin to open a table in a new process of a host."""
    return run(OPEN.format(url=url, store=STORE), STORE, prefix=machine.prefix)


def opened(machine, url):
    return finish(begin(machine, url))


def test_hosts_are_apart(hosts):
    """Each has its own shared memory, its own name, and no way to another's loopback."""
    put(hosts[0], rows=10)
    code = f"import os, socket; print(socket.gethostname(), os.path.exists({STORE!r}))"
    assert finish(run(code, STORE, prefix=hosts[0].prefix)) == [["host-0", "True"]]
    assert finish(run(code, STORE, prefix=hosts[1].prefix)) == [["host-1", "False"]]


def test_one_transfer_for_each_host(hosts):
    a, b, c = hosts
    put(a)
    before = link(a)[1]
    with a.serve(STORE) as served:
        url = f"{served.address}/t"
        assert url.startswith(f"grpc://{a.address}:")
        for output in map(finish, [begin(machine, url) for machine in (b, c, b, c)]):
            assert output[0][:2] == [str(SUM), "1"]
            assert output[1] == ["['copy']"]
    nbytes = link(a)[1] - before
    assert 2 * ROWS * 8 < nbytes < 2.2 * ROWS * 8


def test_a_bounded_link(hosts):
    """The limit of a link works; other tests rely on it."""
    a, b, _ = hosts
    put(a)
    a.limit(RATE)
    with a.serve(STORE) as served:
        seconds = float(opened(b, f"{served.address}/t")[0][2])
    least = ROWS * 8 / RATE
    assert seconds > 0.9 * least


def test_a_partition_in_the_middle(hosts):
    """The receiver says so within 15 seconds and keeps nothing; when the link is up again, the next fetch works."""
    a, b, _ = hosts
    put(a)
    a.limit(RATE)
    with a.serve(STORE) as served:
        with arrived(b, 4 << 20):
            fetching = begin(b, f"{served.address}/t")
        a.unplug()
        output = finish(fetching)
        assert output[0][0] == "RemoteError", output
        assert float(output[0][1]) < 15
        assert a.address in " ".join(output[0])
        assert output[1] == ["[]"]
        a.plug_in()
        assert opened(b, f"{served.address}/t")[0][0] == str(SUM)


def test_a_host_that_cannot_be_reached(hosts):
    a, b, _ = hosts
    a.unplug()
    output = opened(b, f"grpc://{a.address}:8815/t")
    assert output[0][0] == "RemoteError"
    assert float(output[0][1]) < 15
    assert output[1] == ["[]"]


def test_superseding_in_the_middle_with_two_receivers(hosts):
    a, *others = hosts
    put(a)
    a.limit(2 * RATE)
    with a.serve(STORE) as served:
        with arrived(others[0], 1 << 20):
            fetching = [begin(machine, f"{served.address}/t") for machine in others]
        put(a, factor=2)
        put(a, factor=3)
        first = finish(fetching[0])
        assert first[0][:2] == [str(SUM), "1"]
        second = finish(fetching[1])
        assert second[0][0] == str(SUM * int(second[0][1]))  # whichever version: whole
        assert opened(others[0], f"{served.address}/t")[0][:2] == [str(3 * SUM), "3"]
