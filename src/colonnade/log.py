"""The logger ``colonnade``: what the library does without being asked.

Like every library it adds no handler but the one that keeps quiet; a program decides what is shown, as with
``logging.basicConfig(level="INFO")``. Does not depend on: what is logged.

=======  ==============================================================================================
level    what
=======  ==============================================================================================
DEBUG    a frame that `by_reference` pickles instead, and why; spares that were freed; a lock that was replaced
INFO     what `gc` freed; an expired table that was removed
WARNING  a put that was refused for lack of room; a result that `cache` could not keep
ERROR    a ``prepare=`` that failed
=======  ==============================================================================================
"""

from __future__ import annotations

import logging

logger = logging.getLogger("colonnade")
logger.addHandler(logging.NullHandler())
