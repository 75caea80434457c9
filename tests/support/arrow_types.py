"""Arrow types by name, each with some values."""

import datetime as dt

import numpy as np
import pyarrow as pa

TYPES = {
    "int8": (pa.int8(), [1, -128, 127]),
    "uint16": (pa.uint16(), [0, 65535]),
    "int64": (pa.int64(), [2**62, -1]),
    "uint64": (pa.uint64(), [2**64 - 1, 5]),
    "half": (pa.float16(), [np.float16(0.5)]),
    "float": (pa.float32(), [1.5, float("nan")]),
    "double": (pa.float64(), [1.5, float("inf")]),
    "bool": (pa.bool_(), [True, False]),
    "string": (pa.string(), ["", "abc", "数据"]),
    "large_string": (pa.large_string(), ["x", "yy"]),
    "string_view": (pa.string_view(), ["x", "more than twelve bytes long"]),
    "binary": (pa.binary(), [b"", b"abc"]),
    "binary_view": (pa.binary_view(), [b"", b"abc" * 9]),
    "date32": (pa.date32(), [dt.date(2020, 1, 1)]),
    "date64": (pa.date64(), [dt.date(2020, 1, 1)]),
    "time": (pa.time64("us"), [dt.time(1, 2, 3)]),
    "timestamp[s]": (pa.timestamp("s"), [dt.datetime(2020, 1, 1)]),
    "timestamp[ns, tz]": (pa.timestamp("ns", "America/New_York"), [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)]),
    "duration": (pa.duration("us"), [dt.timedelta(1)]),
    "decimal": (pa.decimal128(10, 2), [1, 2]),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), ["a", "b", "c"]),
    "dictionary of int32": (pa.dictionary(pa.int32(), pa.int64()), [5, 6]),
    "ordered dictionary": (pa.dictionary(pa.int16(), pa.string(), ordered=True), ["a", "b"]),
    "list": (pa.list_(pa.int64()), [[1, None], [], [3]]),
    "list of strings": (pa.list_(pa.string()), [["a", None], []]),
    "fixed list": (pa.list_(pa.int8(), 2), [[1, 2]]),
    "struct": (pa.struct([("a", pa.int8()), ("b", pa.string())]), [{"a": 1, "b": "x"}]),
    "map": (pa.map_(pa.string(), pa.int64()), [[("k", 1)], []]),
    "null": (pa.null(), [None]),
}
