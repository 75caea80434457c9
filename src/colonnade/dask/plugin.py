"""The plugin of a Dask cluster: each host serves its store, and workers count private memory only.

Does not depend on: collections.

It is registered on the scheduler, which gives its two halves to all workers and nannies, also to those that join later.
All workers of a host are candidates to serve, and one is elected. If that worker ends, another one takes over at its
port.
"""

from __future__ import annotations

import logging
import secrets
from typing import Any

from dask.base import normalize_token
from dask.sizeof import sizeof
from distributed.core import clean_exception
from distributed.diagnostics.plugin import NannyPlugin, SchedulerPlugin, WorkerPlugin
from distributed.protocol.pickle import dumps

from colonnade._serve import Server
from colonnade.dask.memory import count_private_memory, count_private_memory_of_worker
from colonnade.dask.replicas import Replicas
from colonnade.errors import ColonnadeError
from colonnade.flight import credentials
from colonnade.flight.address import is_loopback
from colonnade.flight.credentials import Credentials
from colonnade.snapshot import Snapshot
from colonnade.store import Store

_LOG = logging.getLogger("distributed.colonnade")
_NAME = "colonnade"
# The bytes that Dask counts for a reference. The table itself is in no worker's memory.
_REFERENCE = 1024
# The name in the certificates that `distributed.Security.temporary` makes.
_TEMPORARY = "dask-internal"


class Colonnade(SchedulerPlugin):
    """The plugin: ``client.register_plugin(Colonnade())``.

    Parameters
    ----------
    token : str, optional
        The secret by which hosts of the cluster know each other; by default ``$COLONNADE_TOKEN``, else a random one. A
        client on a host without workers serves its own tables with it: ``cn.serve(host, token=plugin.token, ...)``.
    port : int, default 0
        The port at which each host serves; 0 is any free port.
    count_private_memory : bool, default True
        Whether only the private memory of a worker counts for its memory limit. Uses internals of Dask.

    Notes
    -----
    Where the cluster uses TLS, its authority, certificates and keys are used, on both sides. Without TLS tables are
    sent as plainly as Dask's own messages, and a warning in the workers' logs says so.
    """

    name = _NAME

    def __init__(self, token: str | None = None, *, port: int = 0, count_private_memory: bool = True) -> None:
        self.token = credentials.check_token(token or credentials.of_environment().token or secrets.token_urlsafe(32))
        self._port = port
        self._count_private_memory = count_private_memory

    async def start(self, scheduler: Any) -> None:
        """Hand the plugin to all workers and nannies, present and future."""
        if self._count_private_memory:
            plugin = dumps(_Nannies())
            _raise_first(await scheduler.register_nanny_plugin(None, plugin, _NAME, idempotent=False))
        plugin = dumps(_Workers(self.token, self._port, count_private_memory=self._count_private_memory))
        _raise_first(await scheduler.register_worker_plugin(None, plugin, _NAME, idempotent=False))

    def __repr__(self) -> str:
        return f"Colonnade(port={self._port})"


def _raise_first(responses: dict[str, Any]) -> None:
    """Raise the first error of a plugin's setup."""
    for response in responses.values():
        if isinstance(response, dict) and response.get("status") == "error":
            _, error, traceback = clean_exception(**response)
            raise (error or ColonnadeError("a worker could not set the plugin up")).with_traceback(traceback)


class _Workers(WorkerPlugin):
    """The half of a worker."""

    name = _NAME

    def __init__(self, token: str, port: int, *, count_private_memory: bool) -> None:
        self._token = token
        self._port = port
        self._count_private_memory = count_private_memory
        self._server: Server | None = None
        self._replicas: Replicas | None = None

    def setup(self, worker: Any) -> None:
        host = worker.ip
        mine = Credentials(self._token).or_else(_of_security(worker.security))
        credentials.use(mine)
        if mine.cert is None and not is_loopback(host):
            _LOG.warning(
                "tables are served at %s without TLS, as this cluster's messages are: whoever is between the hosts "
                "can read them",
                host,
            )
        self._server = Store().serve(
            host, self._port, token=self._token, cert=mine.cert, key=mine.key, ca=mine.ca, insecure=True
        )
        self._replicas = Replicas(worker)
        if self._count_private_memory:
            count_private_memory(worker)

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        if finish == "memory" and self._replicas is not None:
            self._replicas.take(key, start)

    async def teardown(self, worker: Any) -> None:  # noqa: ARG002 -- Dask calls and awaits it so
        server, self._server = self._server, None
        replicas, self._replicas = self._replicas, None
        if server is not None and replicas is not None:
            await replicas.close(server)
            server.close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_server": None, "_replicas": None}


class _Nannies(NannyPlugin):
    """The half of a nanny."""

    name = _NAME

    def setup(self, nanny: Any) -> None:
        count_private_memory_of_worker(nanny)


def _of_security(security: Any) -> Credentials:
    """The files of TLS of a cluster, or what is in them; none where its messages are plain."""
    ca, cert, key = (getattr(security, f"tls_{field}", None) for field in ("ca_file", "worker_cert", "worker_key"))
    if not (getattr(security, "require_encryption", False) and cert):
        return Credentials()
    # Dask does not compare names. Its temporary certificates have one name for all hosts.
    temporary = "-----BEGIN" in cert
    return Credentials(None, ca, cert, key or cert, _TEMPORARY if temporary else None)


@sizeof.register(Snapshot)
def _sizeof(_: Snapshot) -> int:
    return _REFERENCE


@normalize_token.register(Snapshot)
def _normalize(snapshot: Snapshot) -> tuple[str, int]:
    return _NAME, snapshot.identity
