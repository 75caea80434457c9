"""Programs that run as another user."""

import json
import subprocess
import sys

OTHER = 65534


def as_user(program, *, uid=OTHER, gid=OTHER, groups=(), before=""):
    """Run a program as another user; returns what it printed. ``attempt`` prints the class of an error.

    ``before`` is done as this user.
    """
    text = f"""
import os, json, pickle, colonnade as cn, pandas as pd, pyarrow as pa
cn.Watch  # imported while it may be, as the rest
import encodings.unicode_escape, colonnade.display.base, multiprocessing
frame = pd.DataFrame({{"x": [1, 2, 3]}})
{before}
os.setgroups({list(groups)!r}); os.setgid({gid}); os.setuid({uid})
def attempt(do):
    try:
        return str(do())
    except Exception as error:
        return f"{{type(error).__name__}}: {{error}}"
print(json.dumps({program}))
"""
    process = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)
