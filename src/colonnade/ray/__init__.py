"""Tables of a store in Ray: one copy for each node, zero-copy and writable in every task. Needs the extra ``ray``.

>>> import colonnade.ray                                       # doctest: +SKIP
>>> colonnade.ray.serve()                                      # doctest: +SKIP
>>> snapshot = cn.put("nyc/flights", df)                       # doctest: +SKIP
>>> task.remote(snapshot)                                      # doctest: +SKIP

A Snapshot is a reference of a few hundred bytes wherever Ray pickles it: in ``ray.put``, arguments, results, an actor's
state, ``ray.data``. On another node than the table's, the first task that uses it fetches it.

Does not depend on: how a table is transferred.
"""

from colonnade.ray.hosts import Hosts as Hosts
from colonnade.ray.hosts import serve as serve
from colonnade.ray.transport import register_transport as register_transport

__all__ = ["Hosts", "register_transport", "serve"]
