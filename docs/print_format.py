"""Print the tables of docs/format.md that describe the layout metadata, from the types that the code itself uses."""

import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from colonnade.format import schema
from colonnade.format.record import Range, Record

PAGE = Path(__file__).parent / "format.md"
START = "<!-- printed from src/colonnade/format/schema.py by `make docs` -->\n"
END = "<!-- end -->\n"

# Heading, and the structures of the table below it.
TABLES = (
    ("A column", schema.ColumnLayout, "A column that is in a block has kind `values` where it is an index."),
    ("An index or labels", schema.RowIndex | schema.LabelIndex, "Levels are `range`, `list` or `table`."),
    ("A label or a name", schema.Label, "Strings, numbers, booleans and null stand for themselves."),
    ("A dtype of pandas", schema.Dtype, "Its name, where that says all; else one of these."),
    ("A dtype of NumPy", schema.NumpyDtype, "`dtype.str`, or one of these."),
)
# Unions that are called by one name.
NAMED = {
    schema.ColumnLayout: "column",
    schema.RowIndex: "index",
    schema.LabelIndex: "labels",
    schema.Level: "level",
    schema.Label: "label",
    schema.Dtype: "dtype",
    schema.NumpyDtype: "NumPy dtype",
}
BASIC = {str: "text", int: "integer", float: "float", bool: "boolean", types.NoneType: "null"}


def structures(union: Any) -> Iterator[Any]:
    """The structures in a union of types."""
    for member in typing.get_args(union):
        if isinstance(member, type) and issubclass(member, Record):
            yield member


def name_of(hint: Any) -> str:
    """A type, as the page calls it."""
    if hint in NAMED:
        return NAMED[hint]
    if hint in BASIC:
        return BASIC[hint]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        ranges = [note for note in hint.__metadata__ if isinstance(note, Range)]
        return ranges[0].title if ranges else name_of(args[0])
    if origin is list:
        return f"list of {name_of(args[0])}"
    if origin is tuple:
        return f"({', '.join(map(name_of, args))})"
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in args)
    if args:
        return " or ".join(map(name_of, args))
    return f"`{hint.kind_of_record}`" if hint.kind_of_record else hint.__name__.lower()


def keys_of(struct: Any) -> str:
    """The keys of a structure, with their types."""
    hints = typing.get_type_hints(struct, include_extras=True)
    return "; ".join(f"`{key}`: {name_of(hints[key])}" for key in struct.field_names)


def meaning_of(struct: Any) -> str:
    """The docstring of a structure, in one line."""
    return " ".join(struct.__doc__.split()).replace("``", "`")


def table_of_keys(struct: Any) -> list[str]:
    """A row for each key of a structure."""
    rows = ["| key | type | meaning |", "| --- | --- | --- |"]
    hints = typing.get_type_hints(struct, include_extras=True)
    for key in struct.field_names:
        notes = getattr(hints[key], "__metadata__", ())
        meaning = next((note for note in notes if isinstance(note, str)), "")
        rows.append(f"| `{key}` | {name_of(hints[key])} | {meaning} |")
    return rows


def section() -> str:
    """Everything between the two marks of the page."""
    lines: list[str] = []
    for struct in (schema.FrameLayout, schema.ArrayLayout):
        lines += [f"### Kind `{struct.kind_of_record}`", "", meaning_of(struct), ""]
        lines += [*table_of_keys(struct), ""]
    lines += ["### Parts", "", "They have no kind, because only they may stand where they stand.", ""]
    lines += ["| part | keys | meaning |", "| --- | --- | --- |"]
    for struct in (
        schema.Block,
        schema.Run,
        schema.Categories,
        schema.Objects,
        schema.Nulls,
        schema.Codes,
        schema.Key,
        schema.Views,
    ):
        lines.append(f"| {struct.__name__.lower()} | {keys_of(struct)} | {meaning_of(struct)} |")
    lines.append("")
    for heading, union, note in TABLES:
        lines += [f"### {heading}", "", note, "", "| kind | keys | read as |", "| --- | --- | --- |"]
        for struct in dict.fromkeys(structures(union)):
            lines.append(f"| `{struct.kind_of_record}` | {keys_of(struct)} | {meaning_of(struct)} |")
        lines.append("")
    return "\n".join(lines)


def page() -> str:
    """The whole page, its tables printed again."""
    text = PAGE.read_text()
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{section()}\n{END}{after}"


if __name__ == "__main__":
    sys.stdout.write(page())
