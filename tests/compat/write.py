"""Writes the stored files of a release: ``python -m compat.write [VERSION]`` in ``tests/``, by default of this one.

The next release may be named, once its format is another one. Files that are there are never written again.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import colonnade as cn
from compat.tables import ARRAYS, FRAMES, TABLES


def main():
    folder = Path(__file__).parent / (sys.argv[1] if len(sys.argv) > 1 else cn.__version__)
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        store = cn.Store(Path(place) / "store")
        for name, make in (FRAMES | ARRAYS | TABLES).items():
            target = folder / f"{name}.arrow"
            if target.exists():
                sys.stdout.write(f"{target} is there already\n")
                continue
            with store.put(name, make(), checksum=True) as snapshot:
                shutil.copyfile(snapshot.path, target)
            sys.stdout.write(f"{target}: {target.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
