"""A summary as HTML: one element with its own style, no script and nothing from elsewhere.

Does not depend on: what is summarised.

The colours are those of the notebook around it, made fainter, so that they suit a dark and a light theme. Where a
notebook removes styles, as one that is not trusted does, lines and tables in its own style are left.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from colonnade.display.fitting import ELLIPSIS, one_line
from colonnade.display.summary import Listing, Summary

_WIDEST = 80  # characters of a cell
_NARROW = 40  # the same in a table of many columns

# Notebooks style tables by a class and an element; a class named twice has priority over that.
_STYLE = """
.colonnade.colonnade{font-size:13px;line-height:1.45;max-width:100%;padding:2px 0 4px}
.colonnade.colonnade .title{font-weight:600;font-size:14px;margin:0 0 4px;overflow-wrap:anywhere}
.colonnade.colonnade .kind{font-weight:400;opacity:.6;margin-right:.5em}
.colonnade.colonnade .facts{display:flex;flex-wrap:wrap;gap:2px 20px;margin:0 0 6px}
.colonnade.colonnade .facts div{overflow-wrap:anywhere;min-width:0}
.colonnade.colonnade .facts span,.colonnade.colonnade .below{opacity:.6}
.colonnade.colonnade .remark{margin:4px 0;padding-left:8px;border-left:3px solid #d9822b;overflow-wrap:anywhere}
.colonnade.colonnade .scroll{overflow-x:auto;margin-top:6px}
.colonnade.colonnade summary,.colonnade.colonnade .caption{opacity:.75;margin:6px 0 2px}
.colonnade.colonnade summary{cursor:pointer}
.colonnade.colonnade table{border-collapse:collapse;border:0;margin:0;width:auto;table-layout:auto;color:inherit;\
font-size:12px;font-variant-numeric:tabular-nums}
.colonnade.colonnade tr{background:none!important;border:0}
.colonnade.colonnade th,.colonnade.colonnade td{border:0;border-bottom:1px solid rgba(128,128,128,.25);\
padding:2px 12px 2px 0;text-align:left;vertical-align:top;max-width:32em;overflow-wrap:break-word;white-space:pre-wrap;\
font-weight:400;color:inherit;background:none}
.colonnade.colonnade th{font-weight:600;border-bottom-color:rgba(128,128,128,.6);white-space:nowrap;\
vertical-align:bottom}
.colonnade.colonnade .below{font-weight:400}
.colonnade.colonnade .right{text-align:right;white-space:nowrap}
.colonnade.colonnade .wide td{white-space:pre}
"""


def draw(summary: Summary) -> str:
    """Write the whole summary."""
    return "".join(
        ["<style>", _STYLE.strip().replace("\n", ""), "</style>", '<div class="colonnade">', *_parts(summary), "</div>"]
    )


def _parts(summary: Summary) -> Iterator[str]:
    yield f'<div class="title"><span class="kind">{_text(summary.kind)}</span> <b>{_text(summary.title)}</b></div>'
    for line in summary.lines:
        yield f'<div class="line">{_text(line)}</div>'
    if summary.facts:
        facts = (f"<div><span>{_text(label)}</span> {_text(fact)}</div>" for label, fact in summary.facts.items())
        yield f'<div class="facts">{" ".join(facts)}</div>'
    for remark in summary.remarks:
        yield f'<div class="remark">{_text(remark)}</div>'
    for listing in summary.listings:
        table = "".join(_table(listing)) if listing.rows or listing.wide else ""
        if listing.folded:
            yield f"<details><summary>{_text(listing.caption)}</summary>{table}</details>"
        else:
            yield f'{table}<div class="caption">{_text(listing.caption)}</div>'


def _table(listing: Listing) -> Iterator[str]:
    yield f'<div class="scroll"><table{" class=wide" if listing.wide else ""}><thead><tr>'
    most = _NARROW if listing.wide else _WIDEST
    below = listing.below or [""] * len(listing.columns)
    for column, under in zip(listing.columns, below, strict=True):
        lower = f'<br><span class="below">{_cell(under, most)}</span>' if under else ""
        yield f"<th{_side(column.justify)}>{_cell(column.heading, most)}{lower}</th>"
    yield "</tr></thead><tbody>"
    for row in listing.rows:
        cells = (f"<td{_side(column.justify)}>{_cell(column.cell(row), most)}</td>" for column in listing.columns)
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"


def _side(justify: str) -> str:
    return ' class="right"' if justify == "right" else ""


def _cell(text: str, most: int) -> str:
    if len(text) <= most:
        return _text(text)
    return f'<span title="{escape(one_line(text))}">{_text(text[: most - 1] + ELLIPSIS)}</span>'


def _text(text: str) -> str:
    # Isolated: text that runs from right to left must not reorder what stands beside it.
    return f"<bdi>{escape(one_line(text))}</bdi>"
