"""Records: classes that are declared by their fields, written as JSON, and made again from JSON that is checked.

A subclass of `Record` lists its fields with their types, as a dataclass does. A record with a ``kind`` has it as the
key ``kind`` in JSON. `from_json` accepts exactly what the types say: no other key, and no value of another type.
A field that has its default value is not written, so that readers which do not know the field yet read the rest.

Defining a class costs what an empty class costs, because every process that opens a table waits for it: 30 dataclasses
take 15 ms and 30 of these 0.6 ms. The function that checks a class is made when the first JSON of this class is read.

A type is one of: ``int``, ``float``, ``str``, ``bool``, ``None``, a record, ``list[T]``, ``tuple[A, B]`` (a list of so
many items), ``Literal`` of texts, a union of these, and ``Annotated``, whose notes are a `Range` of integers or a
sentence for the documentation. The name of a type as text stands for one that is defined further below. So the module
of a record does not import `annotations` from ``__future__``, which would make texts of all types.

Does not depend on: what records mean.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, Union, dataclass_transform

from colonnade.errors import brief_repr

_Check = Callable[[Any], Any]
_Table = dict[type, _Check]
_NAMES = {int: "an integer", float: "a float", str: "text", bool: "a boolean", NoneType: "null", list: "a list"}


class MismatchError(ValueError):
    """JSON that does not fit a type. ``path`` leads to the value, as in ``.blocks[1].at``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.path = ""

    def __str__(self) -> str:
        return f"{self.args[0]} at ${self.path}"


@dataclass_transform(frozen_default=True)
class Record:
    """A structure whose fields are not set again. The module docstring says how one is declared."""

    kind_of_record: ClassVar[str | None]
    field_names: ClassVar[tuple[str, ...]] = ()
    field_defaults: ClassVar[dict[str, Any]]
    _check: ClassVar[_Check | None]

    def __init_subclass__(cls, kind: str | None = None) -> None:
        cls.kind_of_record = kind
        cls.field_names = tuple(cls.__annotations__)
        cls.field_defaults = {name: cls.__dict__[name] for name in cls.field_names if name in cls.__dict__}
        cls._check = None

    def __init__(self, *values: Any, **keywords: Any) -> None:
        names, state = self.field_names, self.__dict__
        state.update(zip(names, values, strict=False))
        if len(values) == len(names) and not keywords:  # nearly always
            return
        for name in names[len(values) :]:
            if name in keywords:
                state[name] = keywords.pop(name)
            elif name in self.field_defaults:
                state[name] = self.field_defaults[name]
        if keywords or len(values) > len(names) or len(state) < len(names):
            arguments = f"{len(values)} values and {', '.join([*state, *keywords]) or 'no names'}"
            raise TypeError(f"{type(self).__name__} has the fields {', '.join(names)}; got {arguments}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed; use replaced()")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({fields})"

    def replaced(self, **changes: Any) -> Self:
        """The same record with other values of some fields."""
        return type(self)(**{**self.__dict__, **changes})

    @classmethod
    def read(cls, value: Any) -> Self:
        """Make a record of a parsed JSON object.

        Raises
        ------
        MismatchError
        """
        record: Self = (cls._check or cls.prepare())(value)
        return record

    @classmethod
    def prepare(cls) -> _Check:
        """Make the function that checks this class, before the first JSON of it is read."""
        cls._check = _record_check(cls)
        return cls._check


# ---- JSON ------------------------------------------------------------------------------------------------------------


def _as_object(record: Any) -> dict[str, Any]:
    if not isinstance(record, Record):
        raise TypeError(f"{record!r} is neither a record nor plain JSON")
    defaults = record.field_defaults
    fields = record.__dict__
    if defaults:
        fields = {name: value for name, value in fields.items() if name not in defaults or value != defaults[name]}
    return fields if record.kind_of_record is None else {"kind": record.kind_of_record, **fields}


def _no_constant(text: str) -> Any:
    raise ValueError(f"JSON has no number {text}")


_encoder = json.JSONEncoder(default=_as_object, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_decoder = json.JSONDecoder(parse_constant=_no_constant)


def to_json(record: Record) -> bytes:
    """Write a record as JSON."""
    return _encoder.encode(record).encode()


def from_json(text: bytes, kinds: Any) -> Any:
    """Read a record of some type, or of a union of types, from JSON.

    Raises
    ------
    ValueError, RecursionError
        MismatchError, which says where, for JSON of another type.
    """
    return _checked(_table_of(kinds, {}), _decoder.decode(text.decode()))


# ---- types to tables of functions that check a value -----------------------------------------------------------------


def _mismatch(table: _Table, value: Any) -> MismatchError:
    expected = " or ".join(_NAMES.get(type_, "an object") for type_ in table)
    return MismatchError(f"expected {expected}, got {_NAMES.get(type(value), 'an object')}")


# Types occur in many fields. Each is kept with its table: no other object has its identity while it is here.
_tables: dict[int, tuple[Any, _Table]] = {}


def _table_of(hint: Any, names: dict[str, Any]) -> _Table:
    """Which types a value may have in parsed JSON, and what checks the rest of it. ``names`` stand for types."""
    if type(hint) is str:
        hint = names[hint]
    known = _tables.get(id(hint))
    if known is None:
        known = _tables[id(hint)] = hint, _MAKERS[type(hint)](hint, names)
    return known[1]


def _class_table(hint: Any, _: dict[str, Any]) -> _Table:
    return {dict: hint.read} if issubclass(hint, Record) else {hint: _PLAIN[hint]}


def _annotated_table(hint: Any, names: dict[str, Any]) -> _Table:
    for note in hint.__metadata__:
        if type(note) is Range:
            return {int: note.check}
    return _table_of(hint.__origin__, names)


def _list_table(hint: Any, names: dict[str, Any]) -> _Table:
    items = [_table_of(each, names) for each in hint.__args__]
    return {list: _list_check(items[0]) if hint.__origin__ is list else _tuple_check(items)}


def _union_table(hint: Any, names: dict[str, Any]) -> _Table:
    table: _Table = {}
    kinds: dict[str, Any] = {}
    for member in hint.__args__:
        if isinstance(member, type) and issubclass(member, Record) and member.kind_of_record is not None:
            kinds[member.kind_of_record] = member
            table[dict] = _kinds_check(kinds)
        else:
            table.update(_table_of(member, names))
    return table


# What makes the table of a type, by the type of the type. `typing.get_origin` and `get_args` take ten times as long.
_MAKERS: dict[type, Callable[[Any, dict[str, Any]], _Table]] = {
    NoneType: lambda _, __: {NoneType: _PLAIN[NoneType]},
    type: _class_table,
    type(Annotated[int, 0]): _annotated_table,
    type(Literal[""]): lambda hint, _: {str: _literal_check(hint.__args__)},
    GenericAlias: _list_table,
    UnionType: _union_table,
    type(Union[int, "Record"]): _union_table,  # what `|` makes of a name
}


def _same(value: Any) -> Any:
    return value


def _text(value: str) -> str:
    if not value.isascii():
        value.encode()  # JSON can contain half of a surrogate pair, which is not text
    return value


def _float(value: float) -> float:
    if not math.isfinite(value):
        raise MismatchError("a number out of range")
    return value


_PLAIN: _Table = {NoneType: _same, int: _same, bool: _same, str: _text, float: _float}


class Range:
    """Integers from 0 to ``most``; ``title`` is what the documentation calls them."""

    __slots__ = ("most", "title")

    def __init__(self, most: int, title: str) -> None:
        self.most = most
        self.title = title

    def check(self, value: int) -> int:
        """Return an integer that is in range; MismatchError for others."""
        if not 0 <= value <= self.most:
            raise MismatchError(f"expected an integer from 0 to {self.most}, got {brief_repr(value)}")
        return value


def _literal_check(literals: tuple[Any, ...]) -> _Check:
    def check(value: str) -> str:
        if value not in literals:
            raise MismatchError(f"expected {' or '.join(map(repr, literals))}, got {brief_repr(value)}")
        return value

    return check


def _checked(table: _Table, value: Any) -> Any:
    check = table.get(type(value))
    if check is None:
        raise _mismatch(table, value)
    return check(value)


def _list_check(table: _Table) -> _Check:
    def check(values: list[Any]) -> list[Any]:
        result: list[Any] = []
        try:
            for value in values:
                result.append(_checked(table, value))  # noqa: PERF401 -- its length says where an error is
        except MismatchError as error:
            error.path = f"[{len(result)}]{error.path}"
            raise
        return result

    return check


def _tuple_check(tables: list[_Table]) -> _Check:
    def check(values: list[Any]) -> tuple[Any, ...]:
        if len(values) != len(tables):
            raise MismatchError(f"expected a list of {len(tables)} items, got {len(values)}")
        result: list[Any] = []
        try:
            for table, value in zip(tables, values, strict=True):
                result.append(_checked(table, value))
        except MismatchError as error:
            error.path = f"[{len(result)}]{error.path}"
            raise
        return tuple(result)

    return check


def _kinds_check(kinds: dict[str, Any]) -> _Check:
    def check(value: dict[str, Any]) -> Any:
        kind = value.get("kind")
        record = kinds.get(kind) if type(kind) is str else None
        if record is None:
            if "kind" not in value:
                raise MismatchError("missing key 'kind'")
            raise MismatchError(f"unknown kind {brief_repr(kind)}, expected {' or '.join(map(repr, kinds))}")
        return record.read(value)

    return check


def _record_check(cls: type[Record]) -> _Check:
    names = vars(sys.modules[cls.__module__])
    tables = [(name, _table_of(hint, names)) for name, hint in cls.__annotations__.items()]
    defaults, kind = cls.field_defaults, cls.kind_of_record
    needs = set(cls.field_names) - defaults.keys() | ({"kind"} if kind is not None else set())
    keys = needs | defaults.keys()

    def check(value: Any) -> Record:
        if type(value) is not dict:
            raise MismatchError(f"expected an object, got {_NAMES[type(value)]}")
        if not needs <= value.keys() <= keys:
            missing, unknown = sorted(needs - value.keys()), sorted(value.keys() - keys)
            raise MismatchError(f"missing key {missing[0]!r}" if missing else f"unknown key {brief_repr(unknown[0])}")
        if kind is not None and value["kind"] != kind:
            raise MismatchError(f"expected the kind {kind!r}, got {brief_repr(value['kind'])}")
        record: Record = object.__new__(cls)
        fields = record.__dict__
        name = ""
        try:
            for name, table in tables:
                fields[name] = _checked(table, value[name]) if name in value else defaults[name]
        except MismatchError as error:
            error.path = f".{name}{error.path}"
            raise
        return record

    return check
