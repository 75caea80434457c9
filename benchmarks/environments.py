"""An environment for each rival that needs more than this project's own, under ``build/rivals``.

It sees the packages of this project's environment and has its own in front of them, so a rival that asks for another
version of a package gets it, and nobody else does.

Does not depend on: what is measured.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

from benchmarks.rivals import requires

FOLDER = Path(__file__).parent.parent / "build" / "rivals"


class NotInstalledError(Exception):
    """A rival's packages cannot be installed here; the message says what pip said."""


_PATIENCE = 600  # seconds for pip


def python_for(name: str) -> str:
    """The interpreter to run a rival with; its environment is made at the first call.

    Raises
    ------
    NotInstalledError
        If pip fails. The failure is remembered until ``build/rivals`` is removed.
    """
    packages = requires(name)
    if not packages:
        return sys.executable
    folder = FOLDER / name
    failed, ready = folder / "failed.txt", folder / "ready"
    if failed.exists():
        raise NotInstalledError(failed.read_text())
    python = folder / "bin" / "python"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        site = next(folder.glob("lib/python*/site-packages"))
        ours = sysconfig.get_path("purelib")
        (site / "project.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        try:
            process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            failed.write_text(f"pip: not installed within {_PATIENCE} s")
            raise NotInstalledError(failed.read_text()) from None
        if process.returncode:
            errors = [line for line in process.stderr.splitlines() if line.startswith("ERROR")]
            failed.write_text(f"pip: {errors[-1].removeprefix('ERROR: ') if errors else 'failed'}")
            raise NotInstalledError(failed.read_text())
        ready.touch()
    return str(python)
