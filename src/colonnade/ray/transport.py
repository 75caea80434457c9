"""Plain frames between Ray's actors by shared memory: a transport for Ray Direct Transport. Experimental, as that is.

A method of an actor that is declared with ``@ray.method(tensor_transport="COLONNADE")`` returns a frame as always.
The actor shares it in its node's store, and Ray carries the reference. The actor that receives it maps the table, or
fetches it if it is on another node. Ray says when the last reference is gone, and the actor closes the table then.

Does not depend on: how a table is transferred, which nodes serve.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import pandas as pd

from colonnade.errors import ColonnadeError
from colonnade.snapshot import Snapshot
from colonnade.store import Store

try:
    from ray.experimental import register_tensor_transport
    from ray.experimental.rdt.tensor_transport_manager import (
        CommunicatorMetadata,
        TensorTransportManager,
        TensorTransportMetadata,
    )
except ImportError as error:
    raise ColonnadeError(
        f"colonnade.ray needs a version of Ray with Ray Direct Transport, 2.60 or newer; this is {version('ray')}"
    ) from error

_NAME = "COLONNADE"


def register_transport() -> None:
    """Let actors pass plain frames to each other by shared memory. Experimental: Ray's interface for it is alpha.

    Call it in the process that makes the actors, before it defines their classes. Between nodes, `serve` is needed too.

    Notes
    -----
    The frame is copied once, into the store of the actor that returns it. Who receives it has a private, writable view.

    Examples
    --------
    >>> colonnade.ray.register_transport()                     # doctest: +SKIP
    >>> @ray.remote                                            # doctest: +SKIP
    ... class Source:
    ...     @ray.method(tensor_transport="COLONNADE")
    ...     def frame(self):
    ...         return pd.DataFrame({"x": [1, 2, 3]})
    """
    from ray.experimental.rdt.util import transport_manager_info

    if _NAME not in transport_manager_info:
        register_tensor_transport(_NAME, ["cpu"], Transport, pd.DataFrame)


@dataclass
class _Tables(TensorTransportMetadata):
    """What Ray carries: references to the tables of one result."""

    references: list[bytes] = field(default_factory=list)


class Transport(TensorTransportManager):
    """What Ray calls in the actors."""

    def __init__(self) -> None:
        self._snapshots: dict[str, list[Snapshot]] = {}

    @property
    def tensor_transport_backend(self) -> str:
        """The name in ``tensor_transport=``."""
        return _NAME

    @staticmethod
    def is_one_sided() -> bool:
        """The receiver alone acts."""
        return True

    @staticmethod
    def can_abort_transport() -> bool:
        """Nobody waits for the other side."""
        return True

    def actor_has_tensor_transport(self, actor: Any) -> bool:  # noqa: ARG002 -- Ray calls it so
        """Every actor can."""
        return True

    def extract_tensor_transport_metadata(self, obj_id: str, rdt_object: list[Any]) -> Any:
        """Share the frames of a result; they stay until `garbage_collect`."""
        store = Store()
        snapshots = [store.share(frame) for frame in rdt_object]
        self._snapshots.setdefault(obj_id, []).extend(snapshots)
        shapes: list[Any] = [(frame.shape, None) for frame in rdt_object]
        return _Tables(shapes, "cpu", [pickle.dumps(each) for each in snapshots])

    def get_communicator_metadata(self, *_: Any, **__: Any) -> Any:
        """Nothing: a reference says where its table is."""
        return CommunicatorMetadata()

    def recv_multiple_tensors(self, _: str, metadata: Any, *__: Any, **___: Any) -> list[Any]:
        """Open the tables, fetched if they are on another node."""
        return [pickle.loads(each).to_pandas() for each in metadata.references]  # noqa: S301 -- made by an actor of ours

    def send_multiple_tensors(self, *_: Any, **__: Any) -> None:
        """Ray does not call it: the receiver acts."""
        raise NotImplementedError

    def garbage_collect(self, obj_id: str, metadata: Any, tensors: Any) -> None:  # noqa: ARG002 -- as above
        """Close the tables of a result; who has opened them keeps them."""
        for each in self._snapshots.pop(obj_id, []):
            each.close()

    def abort_transport(self, obj_id: str, communicator: Any) -> None:
        """Nothing is to be undone."""
