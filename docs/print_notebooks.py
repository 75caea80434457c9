"""Print a notebook for each page of ``docs/jobs`` into ``examples/notebooks``: ``make docs``.

The text becomes Markdown cells, each Python block a code cell. A block with a ``__main__`` part is a program: its cell
writes it to a file, and the next one runs that. Cells that need a library which is not always there are tagged, so
that they can be left out.

Does not depend on: Colonnade, nbformat.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
NOTEBOOKS = DOCS.parent / "examples" / "notebooks"
OPTIONAL = "skip-execution"
SITE = "https://github.com/colonnade/colonnade/blob/main/"
_BLOCK = re.compile(r"(<!-- skip: [^\n]*-->\n+)?```python\n(.*?)```\n?", re.DOTALL)
_ROLE = re.compile(r"\{\w+\}`~?([\w.]+)`")
_LINK = re.compile(r"\]\((?!https?:|#)([^)\s]+)\)")


def _markdown(text: str) -> Iterator[dict[str, Any]]:
    text = _LINK.sub(lambda link: f"]({SITE}{_resolved(link[1])})", _ROLE.sub(r"`\1`", text)).strip()
    text = re.sub(r"<!--.*?-->\n*", "", text, flags=re.DOTALL)
    if text:
        yield {"cell_type": "markdown", "metadata": {}, "source": text}


def _resolved(target: str) -> str:
    path, mark, place = target.partition("#")
    return str((DOCS / "jobs" / path).resolve().relative_to(DOCS.resolve().parent)) + mark + place if path else target


def _code(source: str, optional: bool) -> dict[str, Any]:
    tags = {"tags": [OPTIONAL]} if optional else {}
    return {"cell_type": "code", "metadata": tags, "source": source, "outputs": [], "execution_count": None}


def cells(page: str) -> Iterator[dict[str, Any]]:
    """The cells of a page."""
    end = 0
    for number, block in enumerate(_BLOCK.finditer(page), 1):
        yield from _markdown(page[end : block.start()])
        end = block.end()
        code, optional = block[2].rstrip(), bool(block[1])
        if "__main__" in code:
            yield _code(f"%%writefile program_{number}.py\n{code}", optional)
            yield _code(f"import sys\n\n!{{sys.executable}} program_{number}.py", optional)
        else:
            yield _code(code, optional)
    yield from _markdown(page[end:])


def notebook(page: str) -> str:
    """A notebook of a page, as a file; without outputs."""
    listed = [{"id": f"cell-{number}"} | cell for number, cell in enumerate(cells(page))]
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    whole = {"cells": listed, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def notebooks() -> dict[Path, str]:
    """The notebooks of all pages that have Python blocks."""
    pages = sorted((DOCS / "jobs").glob("*.md"))
    return {
        NOTEBOOKS / f"{page.stem}.ipynb": notebook(page.read_text())
        for page in pages
        if _BLOCK.search(page.read_text())
    }


if __name__ == "__main__":
    NOTEBOOKS.mkdir(exist_ok=True)
    for path, text in notebooks().items():
        path.write_text(text)
        sys.stdout.write(f"{path.name}\n")
