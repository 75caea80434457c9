"""The page of a store in a browser: ``colonnade ui``. It reads and shows; it changes nothing.

Does not depend on: the command line.

Who may see it:

- The server listens on 127.0.0.1 only.
- Each address starts with a secret, which is printed at the start. Other users of the machine can connect, but do not
  know it.
- A request whose ``Host`` is another name is refused. So a page of another site, whose name was made to lead to
  127.0.0.1, gets nothing.
- Scripts and styles come from this server only.
"""

from __future__ import annotations
