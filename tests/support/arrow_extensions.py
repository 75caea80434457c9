"""Arrow arrays of extension types: Arrow's own, those of pandas, and some that pandas does not know."""

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.core.arrays.arrow.extension_types import ArrowIntervalType, ArrowPeriodType

from support.arrow_flat import KINDS, chosen_of
from support.arrow_nested import fixed_size_list


class Celsius(pa.ExtensionType):
    """A type that pandas has no dtype for."""

    def __init__(self):
        super().__init__(pa.float32(), "colonnade.tests.celsius")

    def __arrow_ext_serialize__(self):
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type, serialized):
        return cls()


class Count(Celsius):
    """A type that names its pandas dtype."""

    def __init__(self):
        pa.ExtensionType.__init__(self, pa.int64(), "colonnade.tests.count")

    def to_pandas_dtype(self):
        return pd.Int64Dtype()


class Misled(Celsius):
    """A type that names a dtype which cannot be made from Arrow."""

    def __init__(self):
        pa.ExtensionType.__init__(self, pa.int64(), "colonnade.tests.misled")

    def to_pandas_dtype(self):
        return np.dtype("int64")


for _type in (Celsius(), Count(), Misled()):
    pa.register_extension_type(_type)


def _extension(type_, kind):
    return lambda rng, n: pa.ExtensionArray.from_storage(type_, KINDS[kind](rng, n))


def _intervals(subtype, closed):
    type_ = ArrowIntervalType(subtype, closed)

    def make(rng, n):
        left = pa.array(np.arange(n)).cast(subtype)
        return pa.ExtensionArray.from_storage(
            type_, pa.StructArray.from_arrays([left, left], fields=list(type_.storage_type))
        )

    return make


EXTENSIONS = {
    "uuid": lambda rng, n: pa.ExtensionArray.from_storage(pa.uuid(), pa.Array.from_buffers(pa.binary(16), n, [None, pa.py_buffer(rng.bytes(16 * n))])),
    "json": lambda rng, n: pa.ExtensionArray.from_storage(pa.json_(), chosen_of(pa.string(), ["{}", "[1, null]", '{"a": 1}'])(rng, n)),
    "bool8": lambda rng, n: pa.ExtensionArray.from_storage(pa.bool8(), pa.array(rng.integers(0, 2, n).astype("i1"))),
    "opaque": _extension(pa.opaque(pa.int64(), "unknown", "test"), "int64"),
    "fixed_shape_tensor": lambda rng, n: pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), [2, 2]), fixed_size_list("float", 4)(rng, n)),
    "pandas period": lambda rng, n: pa.ExtensionArray.from_storage(ArrowPeriodType("M"), pa.array(rng.integers(-999, 999, n))),
    "pandas interval": _intervals(pa.int64(), "right"),
    "pandas interval of timestamps": _intervals(pa.timestamp("us"), "both"),
    "pandas interval of zoned timestamps": _intervals(pa.timestamp("ns", "UTC"), "left"),
    "celsius": _extension(Celsius(), "float"),
    "count": _extension(Count(), "int64"),
    "misled": _extension(Misled(), "int64"),
}  # fmt: skip

KINDS |= EXTENSIONS  # now complete, as `arrow_tables` has it
