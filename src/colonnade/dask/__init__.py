"""Tables of a store in Dask: one copy for each host, whatever the number of its workers. Needs the extra ``dask``.

>>> from colonnade.dask import Colonnade                       # doctest: +SKIP
>>> client.register_plugin(Colonnade())                        # doctest: +SKIP
>>> snapshot = cn.put("nyc/flights", df)                       # doctest: +SKIP
>>> client.map(work, range(100), flights=snapshot)             # doctest: +SKIP

In ``work``, ``flights.to_pandas()`` is a zero-copy frame. On another host than the client's, the first task fetches the
table, and the others wait for that.

Does not depend on: how a table is transferred.
"""

from colonnade.dask.collections import prefetch as prefetch
from colonnade.dask.collections import put as put
from colonnade.dask.collections import to_dask as to_dask
from colonnade.dask.plugin import Colonnade as Colonnade

__all__ = ["Colonnade", "prefetch", "put", "to_dask"]
