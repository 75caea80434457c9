"""Serving over TLS: certificates, authorities, and what is refused."""

import pytest

import colonnade as cn
from support.hosts import Authority, Host


def test_certificates_that_are_not_there_or_are_none(store, folder):
    with pytest.raises(cn.StoreAccessError, match="cert= cannot be read"):
        store.serve(cert=folder / "nope", key=folder / "nope")
    with pytest.raises(cn.StoreAccessError, match="certificate cannot be used"):
        store.serve(cert=__file__, key=__file__)
    assert not (store.path / ".serving").exists()


@pytest.fixture
def authority(folder):
    pytest.importorskip("cryptography")
    return Authority(folder / "ca")


def secure(folder, cert, key, *options):
    origin = cn.Store(folder / "secure")
    origin.put("x", b"1234").close()
    return Host(origin.path, "--cert", cert, "--key", key, *options)


def test_over_tls(folder, store, authority, token, monkeypatch):
    with secure(folder, *authority.issue("host")) as host:
        assert host.address.startswith("grpc+tls://")
        monkeypatch.setenv("COLONNADE_CA", str(authority.ca))
        with store.open(f"{host.address}/x") as snapshot:
            assert bytes(snapshot.to_buffer()) == b"1234"
        with pytest.raises(cn.RemoteError, match=r"cannot be reached.*does it serve over TLS"):
            store.open(f"grpc://127.0.0.1:{host.port}/x")


def test_over_tls_where_the_other_host_serves_without(store, host, authority, monkeypatch):
    monkeypatch.setenv("COLONNADE_CA", str(authority.ca))
    with pytest.raises(cn.RemoteError, match="does it serve without TLS"):
        store.open(f"grpc+tls://127.0.0.1:{host.port}/x")


def test_the_authority_of_the_environment_is_for_clients_alone(folder, store, authority, token, monkeypatch):
    """A host that serves and fetches trusts it as a client. As a server it asks for certificates only if `ca=` says so."""
    monkeypatch.setenv("COLONNADE_CA", str(authority.ca))
    with (
        secure(folder, *authority.issue("host")) as host,
        store.open(f"{host.address}/x") as snapshot,
    ):
        assert bytes(snapshot.to_buffer()) == b"1234"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"COLONNADE_CA": "/nowhere"}, "cannot be read: /nowhere"),
        ({"COLONNADE_CA": __file__}, "is not a file that TLS can use"),
        ({"COLONNADE_CERT": __file__}, "belong together"),
        ({"COLONNADE_CERT": __file__, "COLONNADE_KEY": __file__}, "is not a file that TLS can use"),
    ],
)
def test_files_of_tls_that_cannot_be_used(folder, store, authority, token, monkeypatch, variables, message):
    monkeypatch.setenv("COLONNADE_CA", str(authority.ca))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(cn.RemoteError, match=message):
        store.open("grpc+tls://127.0.0.1:9/x")


def test_another_authority_is_not_trusted(folder, store, authority, token, monkeypatch):
    with secure(folder, *authority.issue("host")) as host:
        for ca in (None, Authority(folder / "other", "other").ca):
            if ca is not None:
                monkeypatch.setenv("COLONNADE_CA", str(ca))
            with pytest.raises(cn.RemoteError, match=r"cannot be reached.*COLONNADE_CA must name"):
                store.open(f"{host.address}/x")


@pytest.mark.parametrize(
    ("address", "days", "message"),
    [
        ("10.9.8.7", (-3, 1), "not for this name or number"),
        ("127.0.0.1", (-3, -1), "has expired$"),
        ("127.0.0.1", (1, 3), "is not valid yet; compare the clocks of both hosts$"),
    ],
)
def test_a_certificate_of_another_host_or_time(folder, store, authority, token, monkeypatch, address, days, message):
    with secure(folder, *authority.issue("host", [address], days=days)) as host:
        monkeypatch.setenv("COLONNADE_CA", str(authority.ca))
        with pytest.raises(cn.RemoteError, match=f"cannot be reached.*{message}"):
            store.open(f"{host.address}/x")


def test_a_client_without_a_certificate_where_one_is_wanted(folder, store, authority, token, monkeypatch):
    with secure(folder, *authority.issue("host"), "--ca", authority.ca) as host:
        monkeypatch.setenv("COLONNADE_CA", str(authority.ca))
        with pytest.raises(cn.RemoteError, match=r"cannot be reached.*COLONNADE_CERT"):
            store.open(f"{host.address}/x")
        cert, key = authority.issue("client")
        monkeypatch.setenv("COLONNADE_CERT", str(cert))
        monkeypatch.setenv("COLONNADE_KEY", str(key))
        with store.open(f"{host.address}/x") as snapshot:
            assert bytes(snapshot.to_buffer()) == b"1234"
