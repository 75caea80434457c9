"""Look into a program for ARM: the words of a head are stored by `stlr` and loaded by `ldar`, as growing.h argues.

``python tests/core/arm_orders.py PROGRAM``; `make arm` runs it. Does not depend on: the package, a processor of ARM.
"""

from __future__ import annotations

import re
import subprocess
import sys

OBJDUMP = "aarch64-linux-gnu-objdump"
# What each function of growing.cpp must have. A word or half of one is one instruction: nobody sees a part of it.
EXPECTED = {
    "store_word": r"\bstlr\s+x\d+",
    "store_half_word": r"\bstlr\s+w\d+",
    "publish_word": r"\bstlr\s+x\d+",
    "load_word": r"\blda(?:p)?r\s+x\d+",
}


def main() -> int:
    """Print each function's instruction; 1 if one has none."""
    listing = subprocess.run(
        [OBJDUMP, "--disassemble", "--demangle", sys.argv[1]], check=True, capture_output=True, text=True
    ).stdout
    failed = 0
    for name, pattern in EXPECTED.items():
        body = re.search(rf"<colonnade::{name}\([^\n]*\)>:\n(.*?)\n\n", listing, re.DOTALL)
        match = body and re.search(pattern, body[1])
        failed += not match
        sys.stdout.write(f"{name:16}{' '.join(match[0].split()) if match else 'IS NOT AS IT MUST BE'}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
