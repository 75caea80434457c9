"""Whether systemd's logind removes what a user has in shared memory when the user's last session ends (``RemoveIPC=``).

Does not depend on: stores.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

# Users below this number are the system's, whose files logind leaves alone.
_FIRST_REGULAR = 1000
_PLACES = ("etc", "run", "usr/local/lib", "usr/lib")


def removes_at_logout(user: int, root: Path = Path("/")) -> bool:
    """Whether logind runs, and is not set to leave this user's files in ``/dev/shm`` alone.

    ``root`` is the file system that is looked at. Where nothing is set, logind's documented default holds, which is
    ``yes``; distributions may have built another one in.
    """
    if user < _FIRST_REGULAR or not (root / "run/systemd/users").is_dir():
        return False
    with contextlib.suppress(KeyError):
        if os.path.exists(root / "var/lib/systemd/linger" / pwd.getpwuid(user).pw_name):
            return False
    setting = "yes"
    for file in _files(root):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            for line in file.read_text().splitlines():
                name, equals, value = line.partition("=")
                if equals and name.strip() == "RemoveIPC":
                    setting = value.strip() or "yes"
    return setting.lower() in ("yes", "true", "on", "1", "y", "t")


def _files(root: Path) -> Iterator[Path]:
    """The main file, then those of its drop-in folder; later ones override earlier ones."""
    folders = [root / place / "systemd" for place in _PLACES]
    yield from [folder / "logind.conf" for folder in folders if (folder / "logind.conf").is_file()][:1]
    extra_files: dict[str, Path] = {}
    for folder in reversed(folders):  # of one name, the first folder's hides the others
        extra_files.update((file.name, file) for file in (folder / "logind.conf.d").glob("*.conf"))
    yield from (extra_files[name] for name in sorted(extra_files))
