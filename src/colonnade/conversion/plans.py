"""Keeps what conversions of tables of one schema have in common, for a bounded number of schemas.

What a column becomes depends on the schema, the options and some settings of pandas; where it goes also depends on
which columns have nulls. Both are planned once. A call on three rows would take 100 us longer without it.
Does not depend on: values, how columns are moved.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.conversion.categories import Categories
from colonnade.conversion.groups import Kinds, group_columns, kinds_of
from colonnade.conversion.layout import Layout
from colonnade.conversion.table_head import Head, read_head
from colonnade.interop.pandas import string_settings
from colonnade.interop.pandas_options import PandasOptions
from colonnade.recent import Recent

_LAYOUTS_OF_PLAN = 16


class Plan:
    """What is the same for all tables of one schema that are converted with the same options."""

    __slots__ = ("_layouts", "categories", "head", "kinds", "schema")

    def __init__(self, schema: pa.Schema, head: Head) -> None:
        self.schema = schema
        self.head = head
        self.kinds: Kinds = kinds_of(head)
        self.categories = Categories()
        self._layouts: dict[tuple[bytes, bytes], Layout] = {}

    def layout(self, table: pa.Table, has_nulls: bytes, options: PandasOptions) -> Layout:
        """Where the columns go, for one pattern of nulls among the imported columns."""
        positions = self.kinds.import_positions
        # Only then columns may be read in place.
        whole = _whole(table, positions) if options.split_blocks else b""
        layout = self._layouts.get((has_nulls, whole))
        if layout is None:
            groups = group_columns(self.kinds, np.frombuffer(has_nulls, np.bool_), options)
            split = bool(options.split_blocks)
            layout = Layout(groups, positions, split=split, whole=np.frombuffer(whole, np.bool_))
            if len(self._layouts) >= _LAYOUTS_OF_PLAN:
                self._layouts = {}
            self._layouts[has_nulls, whole] = layout
        return layout


def _whole(table: pa.Table, positions: npt.NDArray[np.intp]) -> bytes:
    return bytes([table.column(position).num_chunks == 1 for position in positions.tolist()])


# The columns of all plans together.
_PLANS: Recent[Plan] = Recent(50_000)


def prepare(table: pa.Table, options: PandasOptions) -> tuple[Plan, pa.Table, Any]:
    """The plan for a table, its columns without those of the index, and its index."""
    schema = table.schema
    key, options = _key(schema, options)
    plan = None if key is None else _PLANS.find(key, lambda plan: plan.schema.equals(schema, check_metadata=True))
    if plan is not None:
        return plan, *plan.head.split(table, options)
    head, rest, index = read_head(table, options)
    plan = Plan(schema, head)
    if key is not None and head.is_complete and all(map(_is_known, head.types)):
        _PLANS.add(key, plan, len(schema))
    return plan, rest, index


def _key(schema: pa.Schema, options: PandasOptions) -> tuple[Hashable | None, PandasOptions]:
    """What a plan depends on besides the schema, or None if that cannot be compared; and the options to go on with.

    A mapper is asked here, once for each type, because it may answer differently the next time.
    """
    categories, mapper = options.categories, options.types_mapper
    if categories is not None:
        if not isinstance(categories, list | tuple):
            return None, options
        categories = tuple(categories)
    answers: dict[Any, Any] = {}
    if mapper is not None:
        try:
            answers = {type_: mapper(type_) for type_ in dict.fromkeys(schema.types)}
        except Exception:  # whatever the mapper raises: it is raised where the column is converted
            return None, options
        if not all(dtype is None or type(dtype) in _COMPARABLE for dtype in answers.values()):
            return None, options
        options = replace(options, types_mapper=lambda type_: answers[type_] if type_ in answers else mapper(type_))
    key = (len(schema), categories, tuple(answers.items()), string_settings(), *_deciding_options(options))
    try:
        hash(key)
    except TypeError:  # a list stands for a truth value
        return None, options
    return key, options


_deciding_options = attrgetter(
    *(name for name in PandasOptions.names() if name not in ("memory_pool", "categories", "types_mapper"))
)
# Dtypes that are equal only if they are the same.
_COMPARABLE = frozenset(
    {pd.ArrowDtype, pd.StringDtype, pd.BooleanDtype, pd.Float32Dtype, pd.Float64Dtype}
    | {getattr(pd, f"{sign}Int{bits}Dtype") for sign in ("", "U") for bits in (8, 16, 32, 64)}
)


def _is_known(type_: pa.DataType) -> bool:
    """Whether equal types always become equal dtypes. Those of another library may become another dtype later."""
    return not isinstance(type_, pa.BaseExtensionType) or type(type_).__module__.startswith(("pandas.", "pyarrow."))
