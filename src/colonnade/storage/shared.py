"""Segments that are shared without a name, and their owners.

Does not depend on: columns; who has a reference.

1. A shared segment has a random name, by which references lead to it, and its **owner** has it locked by ``flock`` from
   before anybody can see it. The kernel drops the lock when the owner ends, however it ends, and every cleaner removes
   what nobody has locked, as with drafts.
2. An owner that lives removes the name: when it releases the table, which may become a spare then, by the same rename
   under the store's lock as any segment (`spares`); and when it exits, after `multiprocessing` has joined its children,
   and then the memory is freed.
3. A child that is forked inherits the owner's descriptor, and with it the lock, which would last as long as the child.
   So the child replaces the descriptor at once by one of its own, which has no lock. It owns nothing, and removes no
   name.
4. A process that has attached the segment does not need the name: a mapping keeps the inode. Names are random and never
   used again, so a name that leads nowhere never comes to lead to another table.
"""

from __future__ import annotations

import contextlib
import os
from multiprocessing.util import Finalize, is_exiting
from typing import TYPE_CHECKING
from weakref import WeakSet

from colonnade.storage.segment import Segment

if TYPE_CHECKING:
    from colonnade.storage.publish import Publisher

# After the children were joined, which may still open it.
AT_THE_END = -100


class Owned:
    """A shared segment, from the side of its owner. It is released at the latest when this object is collected."""

    def __init__(self, publisher: Publisher, segment: Segment, file: str) -> None:
        self.segment = segment
        _all.add(self)
        # Called once: by `release`, when this is collected, or at exit; and never in a child that was forked. If it is
        # interrupted, the descriptor goes with this object, and a cleaner removes the file, which nobody has locked.
        self._finalize = Finalize(self, _remove_name, (publisher, file), exitpriority=AT_THE_END)

    def release(self) -> None:
        """Remove its name, unless that was done, or it is a parent's."""
        self._finalize()

    def disown(self) -> None:
        """Go on without the lock, in a child."""
        with contextlib.suppress(OSError):
            self.segment.drop_inherited_lock()


def _remove_name(publisher: Publisher, file: str) -> None:
    with contextlib.suppress(OSError):  # of a store that became another user's, for instance: gc removes it
        publisher.remove_unnamed(file, spare=not is_exiting())


_all: WeakSet[Owned] = WeakSet()


def _in_child() -> None:
    for each in list(_all):
        each.disown()
    _all.clear()


os.register_at_fork(after_in_child=_in_child)
