"""The nodes of a Ray cluster that serve their stores: an actor on each.

Does not depend on: how a table is transferred.
"""

from __future__ import annotations

import logging
import os
import secrets
from typing import Any

import ray
from ray.util import get_node_ip_address
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from colonnade.flight.address import is_loopback
from colonnade.flight.credentials import Credentials, check_token, of_environment
from colonnade.store import Store

_LOG = logging.getLogger(__name__)
_NAMESPACE = "colonnade"
# What calls to an actor raise before Ray knows that its node is gone, and after.
_OF_LOST_NODES = (ray.exceptions.ActorUnavailableError, ray.exceptions.ActorUnschedulableError)

# The first handle of each actor, by node. Ray ends an actor when its first handle is gone, so they are kept until the
# job ends.
_handles: dict[str, Any] = {}


class _Host:
    """The actor of a node. It serves the node's default store for as long as it lives."""

    def __init__(self, token: str, port: int) -> None:
        host = get_node_ip_address()
        mine = _of_ray()
        if mine.cert is None and not is_loopback(host):
            _LOG.warning(
                "tables are served at %s without TLS, as this cluster's messages are: whoever is between the nodes can "
                "read them",
                host,
            )
        # The token is left in the store, where the tasks of this node find it.
        self._server = Store().serve(host, port, token=token, cert=mine.cert, key=mine.key, ca=mine.ca, insecure=True)

    def address(self) -> str:
        return self._server.address

    def token(self) -> str:
        return self._server.token

    def close(self) -> None:
        self._server.close()


class Hosts:
    """The nodes that serve their stores. Made by `serve`; a context manager.

    Attributes
    ----------
    addresses : dict of str to str
        Where each node serves, by its Ray node id.
    """

    def __init__(self, actors: dict[str, Any]) -> None:
        self._actors = actors
        waiting = {node: actor.address.remote() for node, actor in actors.items()}
        self.addresses: dict[str, str] = {}
        for node, address in waiting.items():
            try:
                self.addresses[node] = ray.get(address)
            except _OF_LOST_NODES as error:
                _LOG.warning("node %s does not serve, because it was just lost: %s", node, error)
                del actors[node]

    def close(self) -> None:
        """End serving, on all nodes."""
        actors, self._actors = self._actors, {}
        for node, actor in actors.items():
            _handles.pop(node, None)
            try:
                ray.get(actor.close.remote(), timeout=10)
                ray.kill(actor)
            except ray.exceptions.RayError:
                continue  # its node is gone

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<colonnade.ray.Hosts {', '.join(self.addresses.values())}>"


def serve(*, token: str | None = None, port: int = 0) -> Hosts:
    """Serve the default store of each node of the cluster to the others, by an actor that takes no CPU.

    Call it once, from any driver of the cluster, and again when nodes have joined: those that serve go on. The actors
    end with the job of the driver, or with `Hosts.close`. One that dies is started again, at its port.

    Parameters
    ----------
    token : str, optional
        What nodes show each other; by default that of the nodes that serve, else ``$COLONNADE_TOKEN``, else a random
        one. It is not Ray's own.
    port : int, default 0
        The port at which each node serves; 0 is any free port.

    Returns
    -------
    Hosts
        With the addresses of the nodes.

    Raises
    ------
    ValueError
        If nodes serve with another token than the given one.

    Notes
    -----
    Where Ray uses TLS (``RAY_USE_TLS=1``), its authority, certificates and keys are used, on both sides; the
    certificates must name the nodes' addresses. Without TLS tables are sent as plainly as Ray's own messages, and a
    warning in the logs says so.
    """
    token = _token_of_cluster(token)
    actor = ray.remote(num_cpus=0, max_restarts=-1)(_Host)
    actors = {
        node["NodeID"]: actor.options(
            name=_name(node),
            namespace=_NAMESPACE,
            get_if_exists=True,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        ).remote(token, port)
        for node in ray.nodes()
        if node["Alive"]
    }
    for node in [node for node in _handles if node not in actors]:
        del _handles[node]
    for node, host in actors.items():
        if _handles.get(node) != host:  # of the same actor, the first handle is kept
            _handles[node] = host
    return Hosts(actors)


def _name(node: dict[str, Any]) -> str:
    return f"colonnade-{node['NodeID']}"


def _token_of_cluster(own_token: str | None) -> str:
    """The token of the nodes that serve already, which those that have joined need too; else the given or a new one."""
    for node in ray.nodes():
        try:
            token: str = ray.get(ray.get_actor(_name(node), _NAMESPACE).token.remote())
        except (ValueError, ray.exceptions.RayError):  # no actor, or one that has just ended
            continue
        if own_token not in (None, token):
            raise ValueError("the nodes of this cluster serve with another token already: give that one, or none")
        return token
    return check_token(own_token or of_environment().token or secrets.token_urlsafe(32))


def _of_ray() -> Credentials:
    """The files of TLS of the cluster; none where its messages are plain."""
    if os.environ.get("RAY_USE_TLS", "0") != "1":
        return Credentials()
    ca, cert, key = (os.environ.get(f"RAY_TLS_{name}") for name in ("CA_CERT", "SERVER_CERT", "SERVER_KEY"))
    return Credentials(None, ca, cert, key)
