"""The pages as HTML: what a store holds, and one table. Every text that is not ours is escaped.

Does not depend on: requests, answers, who may see them.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import quote

from colonnade.display.base import render
from colonnade.display.fitting import one_line
from colonnade.display.rates import Rate, rate_of
from colonnade.display.usage import COLUMNS, PROCESSES, bytes_of, rows_of, tables_of, totals
from colonnade.snapshot import Snapshot
from colonnade.storage.usage import SegmentUsage, Usage

STYLE = """
:root{color-scheme:light dark}
body{font:14px/1.5 system-ui,sans-serif;margin:0 auto;padding:16px;max-width:1100px}
h1{font-size:18px;margin:0 0 8px;overflow-wrap:anywhere}
a{color:inherit}
nav{margin-bottom:8px}
.bar{display:block;height:12px;border-radius:6px;background:rgba(128,128,128,.25);margin:8px 0}
.bar .tables{fill:#3b8f5a}.bar .rest{fill:#d9a22b}
.lost main{opacity:.5}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;min-width:100%}
th,td{padding:4px 14px 4px 0;text-align:left;border-bottom:1px solid rgba(128,128,128,.25);white-space:nowrap}
.right{text-align:right}
.name{max-width:45vw;overflow:hidden;text-overflow:ellipsis}
.below{opacity:.65}
.remark{border-left:3px solid #d9822b;padding-left:8px}
"""

# It fetches the page again, and changes only what is different. So the focus stays, and a selection, and what was
# scrolled to.
SCRIPT = """
"use strict";
function update(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName || old.nodeType !== Node.ELEMENT_NODE) { old.replaceWith(fresh); return; }
  for (const name of old.getAttributeNames()) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const {name, value} of fresh.attributes) old.setAttribute(name, value);
  // A row of the table is known by its link; everything else by its place.
  const link = node => node.nodeName === "TR" ? node.querySelector("a")?.href : undefined;
  const nodes = [...fresh.childNodes], links = new Set(nodes.map(link));
  const rows = new Map([...old.childNodes].filter(link).map(row => [link(row), row]));
  for (const [key, row] of rows) if (!links.has(key)) row.remove();
  nodes.forEach((node, place) => {
    const here = old.childNodes[place], row = rows.get(link(node));
    if (!here || (link(node) ? !row : link(here))) { old.insertBefore(node, here ?? null); return; }
    if (row && row !== here) old.moveBefore ? old.moveBefore(row, here) : old.insertBefore(row, here);
    update(row ?? here, node);
  });
  while (old.childNodes.length > nodes.length) old.lastChild.remove();
}
async function refresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, {headers: {"x-part": "main"}});
      if (answer.ok) {
        const main = document.querySelector("main"), fresh = main.cloneNode();
        fresh.innerHTML = await answer.text();
        const focus = document.activeElement;
        update(main, fresh);
        // A row that moves loses the focus where the browser has no moveBefore.
        if (focus !== document.activeElement && main.contains(focus)) focus.focus();
      }
      document.body.classList.toggle("lost", !answer.ok);
    } catch { document.body.classList.add("lost"); }
  }
  setTimeout(refresh, 2000);
}
if (document.querySelector("main[data-live]")) setTimeout(refresh, 2000);
"""


def whole(title: str, main: str, root: str, *, live: bool = False) -> str:
    """A page: the head, and its main part. ``root`` leads to the first page."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="stylesheet" href="{root}page.css"><script src="{root}page.js" defer></script></head>'
        f"<body><main{' data-live' if live else ''}>{main}</main></body></html>"
    )


def overview(usage: Usage, rates: dict[str, Rate], root: str) -> str:
    """What the store holds, who has it open, and how often it is put."""
    return "".join(_overview(usage, rates, root))


def _overview(usage: Usage, rates: dict[str, Rate], root: str) -> Iterator[str]:
    yield f"<h1>{escape(one_line(usage.path))}</h1>"
    yield _bar(usage)
    for line in totals(usage):
        yield f"<div>{escape(line)}</div>"
    rows = rows_of(usage)
    if not rows:
        yield "<p>There are no tables yet.</p>"
        return
    yield '<div class="scroll"><table><thead><tr>'
    for heading, justify in [*((c.heading, c.justify) for c in COLUMNS), ("rate", "right"), ("processes", "left")]:
        yield f"<th{_side(justify)}>{escape(heading)}</th>"
    yield "</tr></thead><tbody>"
    for row in rows:
        yield f"<tr>{''.join(_cells(row, rates, root))}</tr>"
    yield "</tbody></table></div>"


def _cells(row: SegmentUsage, rates: dict[str, Rate], root: str) -> Iterator[str]:
    for column in COLUMNS:
        text = escape(column.cell(row))
        if column is COLUMNS[0] and row.role in {"newest", "live"} and row.name is not None:
            text = f'<a href="{root}tables/{quote(row.name)}" title="{text}">{text}</a>'
        side = ' class="name"' if column is COLUMNS[0] else _side(column.justify)
        yield f"<td{side}>{text}</td>"
    yield f'<td class="right">{rate_of(row, rates)}</td>'
    yield f"<td>{escape(PROCESSES.cell(row))}</td>"


def _bar(usage: Usage) -> str:
    tables = bytes_of(tables_of(usage))
    total = max(usage.nbytes + usage.free if usage.capacity is None else usage.capacity, usage.nbytes, 1)
    parts = (("tables", tables), ("rest", usage.nbytes - tables))
    # The bar is an image, whose widths are attributes: the page itself has no styles.
    bars = "".join(
        f'<rect class="{name}" x="{100 * start / total:.2f}" width="{100 * size / total:.2f}" height="1"></rect>'
        for (name, size), start in zip(parts, (0, tables), strict=True)
    )
    return (
        f'<svg class="bar" width="100%" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">{bars}</svg>'
    )


def _side(justify: str) -> str:
    return ' class="right"' if justify == "right" else ""


def table(snapshot: Snapshot, root: str) -> str:
    """The page of one table: its summary, which includes its first rows."""
    return f'<nav><a href="{root}">all tables</a></nav>{render(snapshot).to_html()}'


def message(title: str, text: str, root: str) -> str:
    """A page that says what went wrong."""
    return whole(title, f'<nav><a href="{root}">all tables</a></nav><p class="remark">{escape(text)}</p>', root)


def title_of(path: Path) -> str:
    """The title of the first page."""
    return f"{path.name} - Colonnade"
