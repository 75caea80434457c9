"""Hosts of a cluster on one machine: a served store in a process of its own, and a proxy in front of it.

Does not depend on: what is fetched.
"""

import collections
import contextlib
import datetime
import ipaddress
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import colonnade as cn

TESTS = Path(__file__).parent.parent
TOKEN = "a-token-for-tests-only"  # noqa: S105


class Host:
    """A process that serves a store, by the command line. A context manager.

    ``prefix``: the command that starts it elsewhere.
    """

    def __init__(self, store, *options, token=TOKEN, prefix=(), **variables):
        env = {**os.environ, "COLONNADE_TOKEN": token, **variables}
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "colonnade", "--store", store, "serve", "--json", *map(str, options)],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        lines = []
        while not lines or lines[-1] != "}\n":
            lines.append(self.process.stdout.readline())
            if not lines[-1]:
                raise RuntimeError(self.process.communicate()[1])
        output = json.loads("".join(lines))
        self.address, self.serving = output["address"], output["serving"]
        self.port = int(self.address.rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        self.process.communicate()

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)


@contextlib.contextmanager
def serving(path):
    """Make a store and serve it: the store and its Host."""
    store = cn.Store(path)
    store.path.mkdir(mode=0o700)
    with Host(store.path) as host:
        yield store, host


@contextlib.contextmanager
def started(command, *, patience=0, **variables):
    """A program in a process group of its own, until the block ends; it may take so many seconds to end by itself."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **variables},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if patience:
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(patience)
        kill(process)


def kill(process):
    """Kill a program that was started, and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def on_another_host(*command, size="1g", **variables):
    """Run a program with a shared memory of its own, of so many bytes, until the block ends. Needs root.

    It can import what the tests import: Dask's workers unpickle functions of test files.
    """
    alone = f'mount -t tmpfs -o size={size} none /dev/shm && exec "$@"'
    namespaces = ["unshare", "--mount", "--uts", "sh", "-c", alone, "sh"]
    return started([*namespaces, *command], patience=20, **{"PYTHONPATH": str(TESTS), **variables})


class Proxy:
    """Passes connections on to a port, counts what comes back, and can stop doing so. A context manager.

    ``limit``: after so many bytes it passes nothing on any more, until it is set to None. ``delay``: the seconds that
    bytes are on their way, in each direction.
    """

    def __init__(self, port, *, limit=None, rate=None, delay=0.0):
        self.target, self.limit, self.rate, self.delay = port, limit, rate, delay
        self.received = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.address = f"grpc://127.0.0.1:{self.port}"
        self._closed = False
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._closed = True
        self._listener.close()
        self.cut()

    def cut(self):
        """Close all connections."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def wait_for(self, nbytes):
        """Wait until so many bytes have come back."""
        end = time.monotonic() + 60
        while self.received < nbytes:
            assert time.monotonic() < end, f"{self.received} of {nbytes} bytes"
            time.sleep(0.005)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self.target)) as server:
            self._sockets += [client, server]
            other = {client: server, server: client}
            coming = collections.deque()  # when, where and which bytes arrive
            while not self._closed:
                if self.limit is not None and self.received >= self.limit:
                    time.sleep(0.01)
                    continue
                wait = min(0.1, max(0.0, coming[0][0] - time.monotonic())) if coming else 0.1
                for ready in select.select([client, server], [], [], wait)[0]:
                    data = ready.recv(1 << 16)
                    if not data:
                        return
                    coming.append((time.monotonic() + self.delay, other[ready], data))
                    if ready is server:
                        self.received += len(data)
                        if self.rate:
                            time.sleep(len(data) / self.rate)
                while coming and coming[0][0] <= time.monotonic():
                    _, target, data = coming.popleft()
                    target.sendall(data)


class Authority:
    """A certificate authority; its files are in a folder."""

    def __init__(self, folder, name="ca"):
        from cryptography.hazmat.primitives.asymmetric import ec

        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = self._subject(name)
        self.ca = folder / f"{name}.pem"
        self.ca.write_bytes(self._sign(self._key, self._name, [], ca=True))

    def issue(self, name, addresses=("127.0.0.1",), *, days=(-3, 1)):
        """Make a certificate and its key, which are valid from one day to another; returns their files."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        cert, private = self.folder / f"{name}.cert.pem", self.folder / f"{name}.key.pem"
        cert.write_bytes(self._sign(key, self._subject(name), addresses, days=days))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return cert, private

    @staticmethod
    def _subject(name):
        from cryptography import x509

        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    def _sign(self, key, subject, addresses, *, ca=False, days=(-3, 1)):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization

        now = datetime.datetime.now(datetime.UTC)
        first, last = (now + datetime.timedelta(days=number) for number in days)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(first)
            .not_valid_after(last)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if addresses:
            names = [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def run(code, store, *, token=TOKEN, prefix=(), **variables):
    """Start a Python process on another host: with another default store, and where ``prefix`` starts it."""
    env = {**os.environ, "COLONNADE_STORE": str(store), "COLONNADE_TOKEN": token, **variables}
    return subprocess.Popen(
        [*prefix, sys.executable, "-W", "ignore", "-c", code],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
