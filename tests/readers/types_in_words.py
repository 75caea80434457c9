"""What each reader calls the Arrow types of `tables`."""

READERS = ("Arrow Java", "Arrow JavaScript", "arrow-rs", "Polars")
# fmt: off
TYPES = {
    "int8": ("Int(8, true)", "Int8", "Int8", "Int8"),
    "int16": ("Int(16, true)", "Int16", "Int16", "Int16"),
    "int32": ("Int(32, true)", "Int32", "Int32", "Int32"),
    "int64": ("Int(64, true)", "Int64", "Int64", "Int64"),
    "uint8": ("Int(8, false)", "Uint8", "UInt8", "UInt8"),
    "uint16": ("Int(16, false)", "Uint16", "UInt16", "UInt16"),
    "uint32": ("Int(32, false)", "Uint32", "UInt32", "UInt32"),
    "uint64": ("Int(64, false)", "Uint64", "UInt64", "UInt64"),
    "float": ("FloatingPoint(SINGLE)", "Float32", "Float32", "Float32"),
    "double": ("FloatingPoint(DOUBLE)", "Float64", "Float64", "Float64"),
    "bool": ("Bool", "Bool", "Boolean", "Boolean"),
    "null": ("Null", "Null", "Null", "Null"),
    "large_string": ("LargeUtf8", "LargeUtf8", "LargeUtf8", "String"),
    "dictionary<values=large_string, indices=int8, ordered=0>": ("Dictionary<Int(8, true), LargeUtf8>", "Dictionary<Int8, LargeUtf8>", "Dictionary(Int8, LargeUtf8)", "Categorical"),
    "dictionary<values=large_string, indices=int32, ordered=0>": ("Dictionary<Int(32, true), LargeUtf8>", "Dictionary<Int32, LargeUtf8>", "Dictionary(Int32, LargeUtf8)", "Categorical"),
    "dictionary<values=int64, indices=int8, ordered=0>": ("Dictionary<Int(8, true), Int(64, true)>", "Dictionary<Int8, Int64>", "Dictionary(Int8, Int64)", "Int64"),
    "dictionary<values=null, indices=int8, ordered=0>": ("Dictionary<Int(8, true), Null>", "Dictionary<Int8, Null>", "Dictionary(Int8, Null)", "Null"),
    # Polars has no seconds, and reads milliseconds.
    "timestamp[s]": ("Timestamp(SECOND, null)", "Timestamp<SECOND>", "Timestamp(s)", "Datetime(time_unit='ms', time_zone=None)"),
    "timestamp[ms]": ("Timestamp(MILLISECOND, null)", "Timestamp<MILLISECOND>", "Timestamp(ms)", "Datetime(time_unit='ms', time_zone=None)"),
    "timestamp[us]": ("Timestamp(MICROSECOND, null)", "Timestamp<MICROSECOND>", "Timestamp(µs)", "Datetime(time_unit='us', time_zone=None)"),
    "timestamp[ns]": ("Timestamp(NANOSECOND, null)", "Timestamp<NANOSECOND>", "Timestamp(ns)", "Datetime(time_unit='ns', time_zone=None)"),
    "timestamp[us, tz=America/New_York]": ("Timestamp(MICROSECOND, America/New_York)", "Timestamp<MICROSECOND, America/New_York>", 'Timestamp(µs, "America/New_York")', "Datetime(time_unit='us', time_zone='America/New_York')"),
    "timestamp[ns, tz=Europe/Paris]": ("Timestamp(NANOSECOND, Europe/Paris)", "Timestamp<NANOSECOND, Europe/Paris>", 'Timestamp(ns, "Europe/Paris")', "Datetime(time_unit='ns', time_zone='Europe/Paris')"),
    "duration[s]": ("Duration(SECOND)", "Duration<SECOND>", "Duration(s)", "Duration(time_unit='ms')"),
    "duration[ms]": ("Duration(MILLISECOND)", "Duration<MILLISECOND>", "Duration(ms)", "Duration(time_unit='ms')"),
    "duration[us]": ("Duration(MICROSECOND)", "Duration<MICROSECOND>", "Duration(µs)", "Duration(time_unit='us')"),
    "duration[ns]": ("Duration(NANOSECOND)", "Duration<NANOSECOND>", "Duration(ns)", "Duration(time_unit='ns')"),
    "date32[day]": ("Date(DAY)", "Date32<DAY>", "Date32", "Date"),
    "list<item: int64>": ("List<$data$: Int(64, true)>", "List<Int64>", "List(Int64)", "List(Int64)"),
    "list<item: double>": ("List<$data$: FloatingPoint(DOUBLE)>", "List<Float64>", "List(Float64)", "List(Float64)"),
    "list<item: string>": ("List<$data$: Utf8>", "List<Utf8>", "List(Utf8)", "List(String)"),
    "struct<n: int64, s: string>": ("Struct<n: Int(64, true), s: Utf8>", "Struct<{n:Int64, s:Utf8}>", 'Struct("n": Int64, "s": Utf8)', "Struct({'n': Int64, 's': String})"),
    "struct<n: int32, s: string>": ("Struct<n: Int(32, true), s: Utf8>", "Struct<{n:Int32, s:Utf8}>", 'Struct("n": Int32, "s": Utf8)', "Struct({'n': Int32, 's': String})"),
    "decimal128(10, 2)": ("Decimal(10, 2, 128)", "Decimal[10e+2]", "Decimal128(10, 2)", "Decimal(precision=10, scale=2)"),
    "decimal128(20, 3)": ("Decimal(20, 3, 128)", "Decimal[20e+3]", "Decimal128(20, 3)", "Decimal(precision=20, scale=3)"),
}
# fmt: on


def type_in_words(reader: str, type_: str) -> str:
    """What a reader prints of a type."""
    word = TYPES[type_][READERS.index(reader.partition(",")[0])]
    return f"arro3.core.DataType<{word}>" if reader == "arrow-rs" else word
