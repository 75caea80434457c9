"""Options of `to_pandas`: sets of them by name, which kinds of columns each can affect, and any combination."""

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from support.arrow_tables import type_of
from support.likeness import outcome
from support.pyarrow_bugs import inside

NUMBERS = {
    pa.bool_(): pd.BooleanDtype(), pa.float32(): pd.Float32Dtype(), pa.float64(): pd.Float64Dtype(),
    **{pa.type_for_alias(str(dtype).lower()): dtype for dtype in (
        pd.Int8Dtype(), pd.Int16Dtype(), pd.Int32Dtype(), pd.Int64Dtype(), pd.UInt8Dtype(), pd.UInt16Dtype(), pd.UInt32Dtype(), pd.UInt64Dtype(),
    )},
}  # fmt: skip


def _strings(storage, na_value):
    return dict.fromkeys((pa.string(), pa.large_string(), pa.string_view()), pd.StringDtype(storage, na_value)).get


def _zoned(type_):
    return pd.DatetimeTZDtype(type_.unit, type_.tz or "Asia/Tokyo") if pa.types.is_timestamp(type_) else None


def _fails(type_):
    raise ZeroDivisionError


MAPPERS = {
    "masked": NUMBERS.get,
    "other numbers": {pa.int8(): pd.Int64Dtype(), pa.int64(): pd.Int8Dtype(), pa.int32(): pd.Float64Dtype(), pa.uint8(): pd.UInt32Dtype(),
                      pa.float32(): pd.Float64Dtype(), pa.float64(): pd.Int64Dtype(), pa.float16(): pd.Float32Dtype(), pa.bool_(): pd.Int8Dtype()}.get,
    "ArrowDtype": pd.ArrowDtype,
    "string[pyarrow]": _strings("pyarrow", pd.NA),
    "string[python]": _strings("python", pd.NA),
    "str[pyarrow]": _strings("pyarrow", np.nan),
    "str[python]": _strings("python", np.nan),
    "zoned": _zoned,
    "periods": {pa.int64(): pd.PeriodDtype("D")}.get,
    "none": lambda type_: None,
    "numpy": {pa.int64(): np.dtype("int64")}.get,  # has no __from_arrow__
    "fails": _fails,
}  # fmt: skip

# A pool must live as long as any frame that was made with it.
POOLS = {"system": pa.system_memory_pool(), "proxy": pa.proxy_memory_pool(pa.default_memory_pool())}

# What mappers and pools stand for their names here, so that failures name them too.
OPTIONS = {
    "defaults": {},
    "strings_to_categorical": {"strings_to_categorical": True},
    "zero_copy_only": {"zero_copy_only": True},
    "zero_copy_only, split_blocks": {"zero_copy_only": True, "split_blocks": True},
    "integer_object_nulls": {"integer_object_nulls": True},
    "no date_as_object": {"date_as_object": False},
    "timestamp_as_object": {"timestamp_as_object": True},
    "coerce_temporal_nanoseconds": {"coerce_temporal_nanoseconds": True},
    "coerce_temporal_nanoseconds, no date_as_object": {"coerce_temporal_nanoseconds": True, "date_as_object": False},
    "coerce_temporal_nanoseconds, timestamp_as_object": {"coerce_temporal_nanoseconds": True, "timestamp_as_object": True},
    "coerce_temporal_nanoseconds, no date_as_object, not safe": {"coerce_temporal_nanoseconds": True, "date_as_object": False, "safe": False},
    "not safe": {"safe": False},
    "no use_threads, memory_pool": {"use_threads": False, "memory_pool": "system"},
    "no deduplicate_objects": {"deduplicate_objects": False},
    "split_blocks": {"split_blocks": True},
    "split_blocks, timestamp_as_object, integer_object_nulls": {"split_blocks": True, "timestamp_as_object": True, "integer_object_nulls": True},
    "self_destruct": {"self_destruct": True},
    "self_destruct, split_blocks": {"self_destruct": True, "split_blocks": True, "use_threads": False},
    "maps_as_pydicts lossy": {"maps_as_pydicts": "lossy"},
    "maps_as_pydicts strict": {"maps_as_pydicts": "strict"},
    "categories": {"categories": ["x", "y"]},
    "categories of one, timestamp_as_object, no date_as_object": {"categories": ["y", "nowhere"], "timestamp_as_object": True, "date_as_object": False},
    "categories, split_blocks, coerce_temporal_nanoseconds": {"categories": ["x"], "split_blocks": True, "coerce_temporal_nanoseconds": True},
    "strings_to_categorical, zero_copy_only": {"strings_to_categorical": True, "zero_copy_only": True},
    **{f"types_mapper {name}": {"types_mapper": name} for name in MAPPERS},
    "types_mapper ArrowDtype, split_blocks, strings_to_categorical": {"types_mapper": "ArrowDtype", "split_blocks": True, "strings_to_categorical": True},
    "types_mapper str[pyarrow], categories": {"types_mapper": "str[pyarrow]", "categories": ["x"]},
}  # fmt: skip


def with_objects(options):
    result = dict(options)
    if "types_mapper" in result:
        result["types_mapper"] = MAPPERS[result["types_mapper"]]
    if "memory_pool" in result:
        result["memory_pool"] = POOLS[result["memory_pool"]]
    return result


def is_text(type_):
    return any(is_that(type_) for is_that in (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
    ))  # fmt: skip


MATTERS_TO = {
    "strings_to_categorical": is_text,
    "integer_object_nulls": pa.types.is_integer,
    "maps_as_pydicts": pa.types.is_map,
    "deduplicate_objects": lambda type_: not pa.types.is_integer(type_) and not pa.types.is_floating(type_),
    "date_as_object": pa.types.is_temporal,
    "timestamp_as_object": pa.types.is_temporal,
    "coerce_temporal_nanoseconds": pa.types.is_temporal,
    "safe": pa.types.is_temporal,
}


def matters(options, kind):
    """Whether the options can affect a kind of column."""
    if set(options) == {"types_mapper"}:
        mapped = outcome(MAPPERS[options["types_mapper"]], type_of(kind))
        return mapped.value is not None or isinstance(mapped.error, TypeError)
    probes = [MATTERS_TO[option] for option in options if option in MATTERS_TO]
    return not probes or any(inside(type_of(kind), is_that) for is_that in probes)


@st.composite
def any_options(draw, names=()):
    options_drawn = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "zero_copy_only": st.sampled_from([False, False, False, True]),
                "maps_as_pydicts": st.sampled_from([None, "lossy", "strict"]),
                "types_mapper": st.sampled_from(sorted(MAPPERS)),
                "memory_pool": st.sampled_from(sorted(POOLS)),
                "categories": st.lists(st.sampled_from([*dict.fromkeys(names), "nowhere"]), max_size=2),
                **{name: st.booleans() for name in (
                    "strings_to_categorical", "integer_object_nulls", "date_as_object", "timestamp_as_object", "use_threads", "deduplicate_objects",
                    "ignore_metadata", "safe", "split_blocks", "self_destruct", "coerce_temporal_nanoseconds",
                )},
            },
        )
    )  # fmt: skip
    kept = draw(st.lists(st.sampled_from(sorted(options_drawn)), unique=True, max_size=4)) if options_drawn else ()
    return {key: options_drawn[key] for key in kept}
