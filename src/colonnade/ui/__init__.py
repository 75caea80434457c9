"""The page of a store in a browser: ``colonnade ui``. It reads and shows; it changes nothing.

Does not depend on: the command line.

Who may see it: the server listens on 127.0.0.1 alone, each address starts with a secret that is printed at the start
(other users of the machine can connect, but do not know it), and a request whose ``Host`` is another name is refused (a
page elsewhere that lets its own name lead to 127.0.0.1 gets nothing). No script and no style comes from elsewhere.
"""

from __future__ import annotations
