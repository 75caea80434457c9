"""Colonnade shares one copy of a DataFrame among all processes of a machine.

>>> import colonnade as cn, pandas as pd
>>> snapshot = cn.put("docs/hello", pd.DataFrame({"x": [1.0, 2.0], "name": ["Ada", None]}))
>>> cn.get("docs/hello")                    # in any process: no copy, writable, private
     x name
0  1.0  Ada
1  2.0  NaN
>>> cn.delete("docs/hello")

The public names stand in ``__init__.pyi``. Each is imported when it is first used (SPEC 1, lazy_loader), so that
``import colonnade`` takes a few milliseconds and a program pays only for what it uses.
"""

from collections.abc import Callable

import lazy_loader

from colonnade import displayed

__version__ = "0.2.0"
_CORE_INTERFACE = 2  # src/core/module.cpp has the same number, or the core was not built again

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]
__all__.sort()


def _load_summaries() -> Callable[[object], displayed.Renderable]:
    from colonnade.display.base import render

    return render


displayed.register(_load_summaries)
