"""What several hosts do wrong: one clear error each, and nothing is left behind on either side.

No Flight in this PyArrow, a port that is taken and certificates that are wrong or expired: `test_fetch` and `test_tls`.
An engine's version that is not supported: `tests/hosts`.
"""

import os

import pandas as pd
import pytest

import colonnade as cn
from colonnade._rows_so_far import RowsSoFar
from colonnade.flight import messages
from colonnade.storage import paths
from support.hosts import run


def files(store):
    folder = store.path / paths.SEGMENTS
    return [name for name in os.listdir(folder) if not name.startswith("spare-")] if folder.exists() else []


@pytest.fixture
def other_version(origin, token):
    """A host whose package speaks another version of the protocol."""
    from colonnade.flight import service
    from colonnade.storage.opening import open_catalog

    class Other(service.Service):
        def get_flight_info(self, context, descriptor):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(messages, "_MARK", b"colonnade-%d:" % (messages.PROTOCOL + 1))
                return super().get_flight_info(context, descriptor)

    catalog = open_catalog(origin.path)
    started = Other(catalog, RowsSoFar(catalog), token, "grpc://127.0.0.1:0")
    yield f"grpc://127.0.0.1:{started.port}"
    started.shutdown()


def test_another_version_of_the_package_on_the_other_host(origin, store, other_version):
    origin.put("x", pd.DataFrame({"x": [1]})).close()
    with pytest.raises(cn.RemoteError, match=r"another version.*Install the same version of colonnade on all hosts"):
        store.open(f"{other_version}/x")
    assert not store.path.exists()
    assert origin.check() == []


def test_a_seal_of_another_version_of_the_package(origin, store, host, monkeypatch):
    from colonnade.errors import CorruptSnapshotError
    from colonnade.flight import fetch

    def unpack(_):
        raise CorruptSnapshotError("format 99, and this version knows 3")

    origin.put("x", pd.DataFrame({"x": [1]})).close()
    monkeypatch.setattr(fetch.Seal, "unpack", staticmethod(unpack))
    with pytest.raises(cn.RemoteError, match=r"format 99.*Install the same version of colonnade on all hosts"):
        store.open(f"{host.address}/x")
    assert not store.path.exists()


def test_a_full_store_there_and_then_room(origin, host, folder, large):
    """The next fetch works as soon as there is room; the host that serves has nothing left of the first."""
    size = origin.put("large", large).nbytes
    store = cn.Store(folder / "receiver", capacity="1MiB")
    with pytest.raises(cn.StoreFullError, match="capacity"):
        store.open(f"{host.address}/large")
    assert files(store) == []
    cn.Store(store.path, capacity=2 * size).open(f"{host.address}/large").close()
    assert files(origin) == []


@pytest.mark.parametrize("name", ["nope", "nope/deeper", "large-none"])
def test_an_unknown_name(store, host, name):
    with pytest.raises(cn.NotFoundError, match=f"'{name}'.*asked of {host.address}"):
        store.open(f"{host.address}/{name}")
    assert not store.path.exists()


@pytest.mark.parametrize("address", ["grpc://127.0.0.1:1", "grpc+tls://{}"], ids=["nobody there", "no TLS there"])
def test_grpc_prints_nothing_at_the_terminal(host, folder, address):
    """What it logs is in the errors."""
    url = address.format(host.address.removeprefix("grpc://"))
    code = f"import colonnade as cn\ntry:\n    cn.open('{url}/x')\nexcept cn.RemoteError as error:\n    print(error)"
    out, err = run(code, folder / "receiver").communicate()
    assert "cannot be reached" in out
    assert err == ""
