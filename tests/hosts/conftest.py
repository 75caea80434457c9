"""Another host: a mount namespace with a shared memory of its own. `make hosts` runs these; elsewhere those whose engine is there.

The network is this machine's: a store is on another host for all who cannot open its files.
"""

import contextlib
import os
import shutil
import sys

import pytest

from support.hosts import on_another_host
from support.network import Network

from .machines import STORE

WANTED = os.environ.get("COLONNADE_HOSTS") == "wanted"


def wanted():
    """Skip the tests of a file that take long, unless they are wanted."""
    if not WANTED:
        pytest.skip("these start many processes: make hosts", allow_module_level=True)


def engine(name):
    """Skip the tests of a file whose engine is not installed, unless they are wanted."""
    try:
        __import__(name)
    except ModuleNotFoundError:
        if WANTED:
            raise
        pytest.skip(f"{name} is not installed: make hosts", allow_module_level=True)


@contextlib.contextmanager
def another_host(*command, **variables):
    """Run a program on another host, until the block ends."""
    if os.geteuid() != 0:
        pytest.skip(f"another host is a mount namespace, and user {os.geteuid()} is not root")
    with on_another_host(*command, **variables) as process:
        yield process


@pytest.fixture(scope="module")
def store_of_module(tmp_path_factory):
    """The default store of this process and its children, in shared memory."""
    path = f"/dev/shm/colonnade-test-hosts-{os.getpid()}"
    before = os.environ.get("COLONNADE_STORE")
    os.environ["COLONNADE_STORE"] = path
    yield path
    if before is None:
        del os.environ["COLONNADE_STORE"]
    else:
        os.environ["COLONNADE_STORE"] = before
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def network():
    with Network(3) as machines:
        yield machines


@pytest.fixture
def hosts(network):
    """Three hosts with empty stores and whole, unbounded links."""
    yield network
    for machine in network:
        with contextlib.suppress(Exception):
            machine.plug_in()
        machine.do(f"tc qdisc del dev eth0 root || true; rm -rf {STORE}")


PYTHON = sys.executable
