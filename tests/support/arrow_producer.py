"""A producer of Arrow's C stream interface, made with ctypes, that may lie: each field of its structs can be set.

https://arrow.apache.org/docs/format/CDataInterface.html. It counts releases, so that a test sees leaks and double releases.
"""

import ctypes
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p, py_object


class ArrowSchema(Structure):
    pass


class ArrowArray(Structure):
    pass


class ArrowArrayStream(Structure):
    pass


ReleaseSchema = CFUNCTYPE(None, POINTER(ArrowSchema))
ReleaseArray = CFUNCTYPE(None, POINTER(ArrowArray))
ReleaseStream = CFUNCTYPE(None, POINTER(ArrowArrayStream))
GetSchema = CFUNCTYPE(c_int, POINTER(ArrowArrayStream), POINTER(ArrowSchema))
GetNext = CFUNCTYPE(c_int, POINTER(ArrowArrayStream), POINTER(ArrowArray))
GetError = CFUNCTYPE(c_void_p, POINTER(ArrowArrayStream))

ArrowSchema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", c_char_p),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", POINTER(POINTER(ArrowSchema))),
    ("dictionary", POINTER(ArrowSchema)),
    ("release", ReleaseSchema),
    ("private_data", c_void_p),
]
ArrowArray._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", POINTER(POINTER(ArrowArray))),
    ("dictionary", POINTER(ArrowArray)),
    ("release", ReleaseArray),
    ("private_data", c_void_p),
]
ArrowArrayStream._fields_ = [
    ("get_schema", GetSchema),
    ("get_next", GetNext),
    ("get_last_error", GetError),
    ("release", ReleaseStream),
    ("private_data", c_void_p),
]

PyCapsule_New = ctypes.pythonapi.PyCapsule_New
PyCapsule_New.restype, PyCapsule_New.argtypes = py_object, [c_void_p, c_char_p, c_void_p]


class Array:
    """What one ArrowArray says: ``rows`` values of 8 bytes, none of them null; ``lies`` are other values of its fields."""

    def __init__(self, rows=0, *, values=b"", validity=None, children=None, **lies):
        self.validity = None if validity is None else ctypes.create_string_buffer(validity, len(validity))
        self.values = ctypes.create_string_buffer(values, max(len(values), 8 * rows, 1))
        self.children = children
        self.fields = {"length": rows, "null_count": 0, "offset": 0} | lies


class Stream:
    """A stream of arrays; ``fails_after`` so many it returns an error. ``__arrow_c_stream__`` can be called once."""

    def __init__(self, arrays, columns=1, fails_after=None, names=None, format=b"l"):
        self._arrays = list(arrays)
        self._columns, self._names, self._format = columns, names, format
        self._next, self._fails_after = 0, fails_after
        self._keep = []
        self._message = ctypes.create_string_buffer(b"the producer failed")
        self.live = 0  # arrays given out and not yet released
        self.released = 0  # how often the stream was
        self._stream = ArrowArrayStream(
            GetSchema(self._get_schema), GetNext(self._get_next), GetError(lambda _: ctypes.addressof(self._message)),
            ReleaseStream(self._release), None,
        )  # fmt: skip

    def __arrow_c_stream__(self, requested_schema=None):
        return PyCapsule_New(ctypes.addressof(self._stream), b"arrow_array_stream", None)

    def _release(self, stream):
        self.released += 1
        stream.contents.release = ReleaseStream()

    def _get_schema(self, _, schema):
        children = (POINTER(ArrowSchema) * self._columns)()
        for number in range(self._columns):
            child = ArrowSchema(self._format, b"c%d" % number, None, 2, 0, None, None, self._release_schema, None)
            self._keep.append(child)
            children[number] = ctypes.pointer(child)
        self._keep.append(children)
        pointer = ctypes.cast(children, POINTER(POINTER(ArrowSchema)))
        schema[0] = ArrowSchema(b"+s", b"", None, 0, self._columns, pointer, None, self._release_schema, None)
        return 0

    @ReleaseSchema
    def _release_schema(schema):  # noqa: N805
        schema.contents.release = ReleaseSchema()

    def _get_next(self, _, out):
        if self._next == self._fails_after:
            return 5
        if self._next == len(self._arrays):
            out.contents.release = ReleaseArray()
            return 0
        out[0] = self._fill(self._arrays[self._next], top=True)
        self._next += 1
        self.live += 1
        return 0

    def _fill(self, array, top=False):
        def release(it):
            self.live -= top
            it.contents.release = ReleaseArray()

        fields = dict(array.fields)
        address = ctypes.addressof(array.values)
        validity = None if array.validity is None else ctypes.addressof(array.validity)
        buffers = (c_void_p * 2)(validity, fields.pop("values_at", address))
        result = ArrowArray(n_buffers=2 if array.children is None else 1, buffers=ctypes.cast(buffers, POINTER(c_void_p)), release=ReleaseArray(release))  # fmt: skip
        if array.children is not None:
            children = (POINTER(ArrowArray) * len(array.children))()
            for number, child in enumerate(array.children):
                children[number] = None if child is None else ctypes.pointer(self._fill(child))
            result.n_children, result.children = (
                len(array.children),
                ctypes.cast(children, POINTER(POINTER(ArrowArray))),
            )
            self._keep.append(children)
        for name, value in fields.items():
            setattr(result, name, value)
        self._keep += [result, buffers, array]
        return result
