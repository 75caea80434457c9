"""Arrays of every dtype, shape and order, of random bytes, so that a comparison of bits finds more than one of values."""

import math

import numpy as np
from hypothesis import strategies as st

UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "10ms", "7D", "25s")
NUMBERS = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16", "longdouble", "clongdouble")  # fmt: skip
TIMES = (*(f"{kind}8[{unit}]" for kind in "Mm" for unit in UNITS), "M8", "m8")
TEXTS = ("S1", "S7", "U1", "U3", "V3", "V16")
OTHER_ORDER = (">i2", ">f8", ">c16", ">M8[ns]", ">m8[D]", ">U2")
STRUCTURES = {
    "plain": [("a", "<i4"), ("b", ">f8")],
    "aligned": np.dtype([("a", "i1"), ("b", "f8")], align=True),
    "nested": [("point", [("x", "f4"), ("y", "f4")]), ("name", "U3"), ("when", "M8[us]")],
    "with arrays": [("matrix", "<f4", (2, 2)), ("rest", [("z", "S3", (1,))], (2,))],
    "with gaps": {"names": ["b", "a"], "formats": ["i2", "u1"], "offsets": [8, 1], "itemsize": 13},
    "overlapping": {"names": ["whole", "part"], "formats": ["i8", "i4"], "offsets": [0, 4], "itemsize": 8},
    "with titles": [(("the long name", "x"), "f8"), ("y", "i1")],
    "odd names": [("", "i1"), ("naïve \n", "i2")],
}
DTYPES = {name: np.dtype(name) for name in (*NUMBERS, *TIMES, *TEXTS, *OTHER_ORDER)} | {
    f"structure, {name}": np.dtype(fields) for name, fields in STRUCTURES.items()
}
SHAPES = [(), (1,), (7,), (0,), (3, 4), (8, 3), (24, 1), (1, 5), (0, 3), (3, 0), (2, 3, 4), (2, 0, 3), (1, 1, 1, 1), (5, 1, 2, 3)]  # fmt: skip
ORDERS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "reversed": lambda array: array[::-1],
    "every other": lambda array: np.repeat(array, 2, axis=0)[::2],
    "axes turned": lambda array: np.ascontiguousarray(array.transpose(1, *range(2, array.ndim), 0)).transpose(array.ndim - 1, *range(array.ndim - 1)),
    "read-only": lambda array: np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape),
    "at an odd address": lambda array: np.ndarray(array.shape, array.dtype, np.frombuffer(b"x" + array.tobytes(), np.uint8), 1),
}  # fmt: skip


def make(dtype, shape, seed=0):
    """An array of random bytes, some of its times NaT; those of booleans are 0 and 1."""
    rng = np.random.default_rng(seed)
    data = bytearray(rng.bytes(math.prod(shape) * dtype.itemsize))
    array = np.ndarray(shape, dtype, data)
    if dtype.kind == "b":
        array.view(np.uint8)[...] &= 1
    if dtype.kind in "mM" and array.size:
        numbers = array.view(np.dtype("i8").newbyteorder(dtype.byteorder))
        numbers[rng.random(shape) < 0.3] = np.iinfo("i8").min  # NaT
    return array


def orders_of(shape):
    """The orders that an array of a shape can have."""
    if not math.prod(shape) or not shape:
        return ["C", "F"]
    return [name for name in ORDERS if len(shape) > 1 or name != "axes turned"]


@st.composite
def arrays(draw):
    """Any array."""
    dtype = DTYPES[draw(st.sampled_from(sorted(DTYPES)))]
    shape = tuple(draw(st.lists(st.integers(0, 40), max_size=2)) + draw(st.lists(st.integers(0, 4), max_size=3)))
    array = make(dtype, shape, draw(st.integers(0, 2**32)))
    return ORDERS[draw(st.sampled_from(orders_of(shape)))](array)
