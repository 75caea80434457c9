// The only file that knows Python and nanobind. It checks what Python hands over, releases the GIL, and calls the core.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <fcntl.h>
#include <sched.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "descriptor.h"
#include "execute.h"
#include "kernels.h"
#include "key_index.h"
#include "mapping.h"
#include "pool.h"
#include "arrow_stream.h"
#include "threads.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace colonnade {
namespace {

using JobTable = nb::ndarray<const int64_t, nb::shape<-1, 16>, nb::c_contig, nb::device::cpu>;
using PieceTable = nb::ndarray<const int64_t, nb::shape<-1, 8>, nb::c_contig, nb::device::cpu>;
using ResultTable = nb::ndarray<int64_t, nb::shape<-1, 2>, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<uint8_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;

// The processors this process may use, which in a container are fewer than the machine has.
int available_threads() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

[[noreturn]] void raise_os_error(int error) {
  errno = error;
  PyErr_SetFromErrno(PyExc_OSError);
  throw nb::python_error();
}

// Calls what fails with an errno, and raises the OSError.
template <class Call>
auto or_raise(Call call) {
  try {
    return call();
  } catch (const std::system_error& failed) {
    raise_os_error(failed.code().value());
  }
}

void map_file(Mapping* self, int fd, size_t size, bool writable) {
  or_raise([&] { new (self) Mapping(fd, size, writable ? Mapping::Kind::private_copy : Mapping::Kind::reading); });
}

Mapping* map_draft(int fd, size_t size) {
  return or_raise([&] { return new Mapping(fd, size, Mapping::Kind::writing); });
}

void abandon(Mapping& mapping) {
  or_raise([&] { mapping.abandon(); });
}

// Opens a path as os.open does, below an open folder or below the working directory.
void open_descriptor(Descriptor* self, nb::object path, int flags, unsigned mode, int folder) {
  PyObject* bytes = nullptr;
  if (!PyUnicode_FSConverter(path.ptr(), &bytes)) throw nb::python_error();
  const nb::object owned = nb::steal(bytes);
  try {
    new (self) Descriptor(Descriptor::open(folder, PyBytes_AS_STRING(bytes), flags, mode));
  } catch (const std::system_error& failed) {
    errno = failed.code().value();
    PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path.ptr());
    throw nb::python_error();
  }
}

bool reserve_pages(const Mapping& mapping, int fd) {
  nb::gil_scoped_release release;
  return reserve(fd, mapping, available_threads());
}

bool collapse(const Mapping& mapping) {
  nb::gil_scoped_release release;
  return mapping.collapse(available_threads());
}

void detach(Mapping& mapping, int fd) {
  or_raise([&] { mapping.detach(fd); });
}

// Memory that a plan may write to, as addresses or as places in a file: [first, last) of each stretch.
using Stretches = std::vector<std::pair<int64_t, int64_t>>;

bool is_inside(const Extent& output, const Stretches& sorted) {
  if (output.at == -1 || output.size == 0) return true;
  const auto after = std::upper_bound(sorted.begin(), sorted.end(), std::pair{output.at, INT64_MAX});
  if (after == sorted.begin() || output.size < 0) return false;
  const auto& [first, last] = *std::prev(after);
  return output.at >= first && output.size <= last - output.at;
}

void check_plan(std::span<const Job> jobs, std::span<const Piece> pieces, Stretches stretches) {
  std::sort(stretches.begin(), stretches.end());
  for (size_t j = 0; j < jobs.size(); ++j) {
    const Job& job = jobs[j];
    const auto fail = [j](const char* what) {
      throw nb::value_error(("job " + std::to_string(j) + ": " + what).c_str());
    };
    const int64_t piece_count = static_cast<int64_t>(pieces.size());
    if (job.first_piece < 0 || job.piece_count < 0 || job.first_piece > piece_count - job.piece_count)
      fail("its pieces are not in the table of pieces");
    int64_t rows = 0;
    for (const Piece& piece : pieces.subspan(job.first_piece, job.piece_count)) {
      if (piece.length < 0 || piece.offset < 0) fail("a piece has a negative length or offset");
      rows += piece.length;
    }
    if (rows != job.rows) fail("its pieces do not add up to its rows");
    for (const Extent& output : outputs_of(job))
      if (!is_inside(output, stretches)) fail("an output stands outside of the memory or file it is for");
  }
}

int run(std::span<const Job> jobs, std::span<const Piece> pieces, const Sink& sink, int threads, ResultTable& found,
        int64_t stream_from) {
  if (found.shape(0) != jobs.size()) throw nb::value_error("a row of what was found is needed for each job");
  nb::gil_scoped_release release;
  return execute(jobs, pieces, sink, threads > 0 ? threads : available_threads(),
                 reinterpret_cast<Result*>(found.data()), stream_from);
}

std::span<const Job> jobs_of(const JobTable& table) {
  return {reinterpret_cast<const Job*>(table.data()), table.shape(0)};
}

std::span<const Piece> pieces_of(const PieceTable& table) {
  return {reinterpret_cast<const Piece*>(table.data()), table.shape(0)};
}

void write_file(JobTable jobs, PieceTable pieces, ResultTable found, int fd, int64_t size, int threads) {
  if (fd < 0) raise_os_error(EBADF);
  check_plan(jobs_of(jobs), pieces_of(pieces), {{0, size}});
  const int error = run(jobs_of(jobs), pieces_of(pieces), Sink{fd}, threads, found, streamed_bytes);
  if (error != 0) raise_os_error(error);
}

void write_memory(JobTable jobs, PieceTable pieces, ResultTable found, std::vector<Bytes> outputs, int threads,
                  int64_t stream_from) {
  Stretches stretches;
  stretches.reserve(outputs.size());
  for (const Bytes& output : outputs) {
    const auto first = reinterpret_cast<int64_t>(output.data());
    stretches.emplace_back(first, first + static_cast<int64_t>(output.shape(0)));
  }
  check_plan(jobs_of(jobs), pieces_of(pieces), std::move(stretches));
  const int error = run(jobs_of(jobs), pieces_of(pieces), Sink{}, threads, found, stream_from);
  if (error != 0) throw std::bad_alloc();  // memory has no other way to fail
}

// Memory of the pool, for as long as Python holds it or a view of it.
class Buffer {
 public:
  explicit Buffer(size_t size) : memory_(Pool::instance().take(size)), size_(size) {}
  ~Buffer() { Pool::instance().give(memory_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* address() const { return memory_.address; }
  size_t size() const { return size_; }
  bool writable() const { return true; }
  // Its memory; `fresh` if nobody touched it yet. From now on somebody has.
  Pool::Memory take_fresh() {
    const Pool::Memory taken = memory_;
    memory_.fresh = false;
    return taken;
  }

 private:
  Pool::Memory memory_;
  size_t size_;
};

void touch(const std::vector<Buffer*>& buffers, int threads) {
  std::vector<Pool::Memory> fresh;
  for (Buffer* buffer : buffers)
    if (const Pool::Memory memory = buffer->take_fresh(); memory.fresh) fresh.push_back(memory);
  nb::gil_scoped_release release;
  Pool::touch(fresh, threads > 0 ? threads : available_threads());
}

std::tuple<size_t, size_t, size_t, size_t> pool_usage() {
  const Pool::Usage usage = Pool::instance().usage();
  return {usage.idle_bytes, usage.idle_count, usage.live_bytes, usage.live_count};
}

ArrowArrayStream& stream_of(const nb::object& capsule) {
  void* const stream = PyCapsule_GetPointer(capsule.ptr(), "arrow_array_stream");
  if (stream == nullptr) throw nb::python_error();
  auto& found = *static_cast<ArrowArrayStream*>(stream);
  if (found.release == nullptr) throw nb::value_error("this Arrow stream was read before");
  return found;
}

void add_columns(ImportedArrays& source, const std::vector<nb::object>& capsules, int threads) {
  std::vector<ArrowArrayStream*> streams;
  for (const nb::object& capsule : capsules) streams.push_back(&stream_of(capsule));
  nb::gil_scoped_release release;
  source.add_columns(streams, threads > 0 ? threads : available_threads());
}

bool add_table(ImportedArrays& source, const nb::object& capsule, int64_t most_batches) {
  ArrowArrayStream& stream = stream_of(capsule);
  nb::gil_scoped_release release;
  return source.add_table(stream, most_batches);
}

template <int... shape>
auto new_array(std::vector<int64_t> values, size_t rows) {
  auto* const kept = new std::vector<int64_t>(std::move(values));
  const nb::capsule owner(kept, [](void* held) noexcept { delete static_cast<std::vector<int64_t>*>(held); });
  if constexpr (sizeof...(shape) == 1) return nb::ndarray<nb::numpy, int64_t, nb::shape<shape...>>(kept->data(), {rows}, owner);
  else return nb::ndarray<nb::numpy, int64_t, nb::shape<shape...>>(kept->data(), {rows, kept->size() / (rows > 0 ? rows : 1)}, owner);
}

auto source_pieces(const ImportedArrays& source) {
  std::vector<int64_t> fields;
  size_t rows = 0;
  for (const ImportedArrays::Column& column : source.columns()) {
    const auto* first = reinterpret_cast<const int64_t*>(column.pieces.data());
    fields.insert(fields.end(), first, first + column.pieces.size() * (sizeof(Piece) / sizeof(int64_t)));
    rows += column.pieces.size();
  }
  return new_array<-1, 8>(std::move(fields), rows);
}

auto source_counts(const ImportedArrays& source) {
  std::vector<int64_t> counts;
  for (const ImportedArrays::Column& column : source.columns()) counts.push_back(static_cast<int64_t>(column.pieces.size()));
  const size_t columns = counts.size();
  return new_array<-1>(std::move(counts), columns);
}

auto source_nulls(const ImportedArrays& source) {
  std::vector<int64_t> nulls;
  for (const ImportedArrays::Column& column : source.columns()) nulls.push_back(column.nulls);
  const size_t columns = nulls.size();
  return new_array<-1>(std::move(nulls), columns);
}

// Adds to, or takes from, an object's references at once: one by one they would cost more than the pointers.
void add_references(PyObject* object, Py_ssize_t count) {
#ifndef Py_GIL_DISABLED
  // A small count, where a Python keeps 32 bits of it; of immortal objects nothing changes.
  if (count < (1 << 30)) {
    Py_SET_REFCNT(object, Py_REFCNT(object) + count);
    return;
  }
#endif
  for (; count > 0; --count) Py_INCREF(object);
  for (; count < 0; ++count) Py_DECREF(object);
}

// What one thread found while it set its rows' pointers; references are counted afterwards, by the one that has the GIL.
struct Shared {
  std::vector<Py_ssize_t> uses;
  std::vector<PyObject*> dropped;
  Py_ssize_t nones = 0;
};

template <class Code>
Shared set_pointers(PyObject** slots, const Code* codes, size_t rows, int64_t first, const std::vector<PyObject*>& objects) {
  Shared found;
  // Counted in turns, where there are few: to add to the same number again and again is to wait for the last time.
  const size_t turns = objects.size() <= 1024 ? 4 : 1;  // a power of two: a remainder would cost more than all the rest
  found.uses.resize(turns * objects.size());
  Py_ssize_t* const uses = found.uses.data();
  const uint64_t last = objects.size() - 1;
  for (size_t row = 0; row < rows; ++row) {
    const uint64_t at = std::min(static_cast<uint64_t>(codes[row] - first), last);
    PyObject* const old = slots[row];
    slots[row] = objects[at];
    ++uses[(row & (turns - 1)) * objects.size() + at];
    if (old == Py_None) ++found.nones;
    else if (old != nullptr) found.dropped.push_back(old);
  }
  return found;
}

// out[i] = objects[codes[i] - first], and the last of the objects for a code outside of the others.
template <class Code>
void share_objects(const nb::object& out, const nb::typed<nb::list, nb::any>& objects,
                   nb::ndarray<const Code, nb::shape<-1>, nb::c_contig, nb::device::cpu> codes, int64_t first, int threads) {
  Py_buffer view;
  if (PyObject_GetBuffer(out.ptr(), &view, PyBUF_CONTIG | PyBUF_FORMAT) != 0) throw nb::python_error();
  const nb::capsule release(&view, [](void* held) noexcept { PyBuffer_Release(static_cast<Py_buffer*>(held)); });
  const size_t rows = codes.shape(0);
  if (std::string_view(view.format) != "O" || view.len != static_cast<Py_ssize_t>(rows * sizeof(PyObject*)))
    throw nb::value_error("out is an array of objects, as many as there are codes");
  if (objects.size() == 0) throw nb::value_error("there are no objects to share");
  std::vector<PyObject*> shared;
  for (const nb::handle object : objects) shared.push_back(object.ptr());

  constexpr size_t threaded_rows = 1 << 18;
  const size_t wanted = rows < threaded_rows ? 1 : static_cast<size_t>(threads > 0 ? threads : available_threads());
  std::vector<Shared> found(wanted);
  const auto work = [&](size_t thread) {
    const size_t from = rows * thread / wanted;
    const size_t to = rows * (thread + 1) / wanted;
    found[thread] = set_pointers(static_cast<PyObject**>(view.buf) + from, codes.data() + from, to - from, first, shared);
  };
  run_on_threads(wanted, work);
  for (const Shared& part : found) {
    for (size_t i = 0; i < part.uses.size(); ++i) add_references(shared[i % shared.size()], part.uses[i]);
    add_references(Py_None, -part.nones);
  }
  for (const Shared& part : found)
    for (PyObject* const old : part.dropped) Py_DECREF(old);
}

// The distinct types of an array's objects, in the order in which they occur. A handful at most, so the search is linear.
nb::typed<nb::list, nb::any> types_of(const nb::object& array) {
  Py_buffer view;
  if (PyObject_GetBuffer(array.ptr(), &view, PyBUF_STRIDES | PyBUF_FORMAT) != 0) throw nb::python_error();
  const nb::capsule release(&view, [](void* buffer) noexcept { PyBuffer_Release(static_cast<Py_buffer*>(buffer)); });
  if (view.ndim != 1 || std::string_view(view.format) != "O") throw nb::value_error("array must be one-dimensional, of objects");
  std::vector<PyTypeObject*> types;
  const PyTypeObject* previous = nullptr;
  const char* slot = static_cast<const char*>(view.buf);
  for (Py_ssize_t row = 0; row < view.shape[0]; ++row, slot += view.strides[0]) {
    PyObject* const object = *reinterpret_cast<PyObject* const*>(slot);
    PyTypeObject* const type = object == nullptr ? Py_TYPE(Py_None) : Py_TYPE(object);  // NumPy reads null as None
    if (type == previous) continue;
    previous = type;
    if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
  }
  nb::list result;
  for (PyTypeObject* const type : types) result.append(nb::handle(reinterpret_cast<PyObject*>(type)));
  return nb::borrow<nb::typed<nb::list, nb::any>>(result);
}

// The least and the greatest of some numbers, without those that stand for null; the greatest is the lesser if there are none.
std::pair<int64_t, int64_t> range_of(nb::ndarray<const int32_t, nb::shape<-1>, nb::c_contig, nb::device::cpu> numbers,
                                     int32_t null) {
  int32_t least = 0;
  int32_t greatest = 0;
  kernels().find_range(numbers.data(), static_cast<int64_t>(numbers.shape(0)), null, least, greatest);
  return {least, greatest};
}

template <class Memory>
int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  const Memory* memory = nb::inst_ptr<Memory>(nb::handle(self));
  return PyBuffer_FillInfo(view, self, memory->address(), static_cast<Py_ssize_t>(memory->size()),
                           memory->writable() ? 0 : 1, flags);
}

template <class Memory>
PyType_Slot buffer_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer<Memory>)}, {0, nullptr}};

// -- key indices -------------------------------------------------------------------------------------------------------

using Words = nb::ndarray<const uint64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using RowNumbers = nb::ndarray<const uint32_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using Positions = nb::ndarray<const int64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using NewWords = nb::ndarray<uint64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using NewRowNumbers = nb::ndarray<uint32_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using NewPositions = nb::ndarray<int64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using KeyBytes = nb::ndarray<const uint8_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
// (values, bytes of a value or 0 for text, offsets or an empty array, validity bytes or an empty array)
using KeyParts = std::tuple<KeyBytes, int64_t, Positions, KeyBytes>;

template <class Array>
auto span_of(const Array& array) {
  return std::span{array.data(), array.shape(0)};
}

// The columns of a key, each of which has `rows` values.
std::vector<KeyColumn> key_columns(const std::vector<KeyParts>& parts, int64_t rows) {
  std::vector<KeyColumn> columns;
  for (const auto& [values, width, offsets, valid] : parts) {
    const auto size = static_cast<int64_t>(values.shape(0));
    if (width < 0 || (width > 0 && (rows > size / width || size != rows * width)))
      throw nb::value_error("the values of a key column are not as many as its rows");
    if (width == 0 && static_cast<int64_t>(offsets.shape(0)) != rows + 1)
      throw nb::value_error("the offsets of a key column are not one more than its rows");
    if (valid.shape(0) != 0 && static_cast<int64_t>(valid.shape(0)) != rows)
      throw nb::value_error("the validity of a key column is not as long as its rows");
    columns.push_back({span_of(values), span_of(offsets), span_of(valid), width});
  }
  if (columns.empty()) throw nb::value_error("a key has at least one column");
  return columns;
}

// The index as it stands in memory or in a file.
KeyIndex key_index(const Words& slots, const RowNumbers& next, int64_t bits, uint64_t seed, int64_t rows) {
  const auto count = static_cast<int64_t>(slots.shape(0));
  if (bits < 0 || bits > 32 || count == 0 || count % (INT64_C(1) << bits) != 0)
    throw nb::value_error("the slots of a key index do not divide into its regions");
  if (next.shape(0) != 0 && static_cast<int64_t>(next.shape(0)) != rows)
    throw nb::value_error("the chain of a key index is not as long as the table");
  return {span_of(slots), span_of(next), bits, seed};
}

std::optional<std::pair<int64_t, int64_t>> build_key_index_of(const std::vector<KeyParts>& parts, int64_t rows, uint64_t seed, int64_t bits, NewWords slots,
                              NewRowNumbers next, int threads) {
  if (rows < 0 || rows > most_key_rows) throw nb::value_error("a key index has at most 4,294,967,294 rows");
  const std::vector<KeyColumn> columns = key_columns(parts, rows);
  if (bits < 0 || bits > 32 || static_cast<int64_t>(slots.shape(0)) % (INT64_C(1) << bits) != 0 ||
      static_cast<int64_t>(slots.shape(0)) >> bits < 1)
    throw nb::value_error("the slots of a key index do not divide into its regions");
  if (static_cast<int64_t>(next.shape(0)) != rows) throw nb::value_error("the chain of a key index is not as long as the table");
  for (const KeyColumn& column : columns)
    for (size_t row = 0; row + 1 < column.offsets.size(); ++row)
      if (column.offsets[row] < 0 || column.offsets[row + 1] < column.offsets[row] ||
          column.offsets[row + 1] > static_cast<int64_t>(column.values.size()))
        throw nb::value_error("the offsets of a key column lead outside of its values");
  std::optional<KeyIndexCounts> counts;
  {
    nb::gil_scoped_release release;
    counts = build_key_index(columns, rows, seed, bits, span_of(slots), span_of(next),
                             threads > 0 ? threads : available_threads());
  }
  if (!counts) return std::nullopt;
  return std::pair{counts->nulls, counts->duplicates};
}

bool find_keys_in(const Words& slots, const RowNumbers& next, int64_t bits, uint64_t seed, const std::vector<KeyParts>& parts,
                  int64_t rows, const std::vector<KeyParts>& keys, NewPositions out, int threads) {
  const KeyIndex index = key_index(slots, next, bits, seed, rows);
  const std::vector<KeyColumn> columns = key_columns(parts, rows);
  const std::vector<KeyColumn> wanted = key_columns(keys, static_cast<int64_t>(out.shape(0)));
  if (columns.size() != wanted.size()) throw nb::value_error("a key has as many parts as there are key columns");
  for (size_t i = 0; i < columns.size(); ++i)
    if (columns[i].width != wanted[i].width) throw nb::value_error("a part of a key is not of its column's width");
  nb::gil_scoped_release release;
  return find_keys(index, columns, rows, wanted, span_of(out), threads > 0 ? threads : available_threads());
}

void check_first_rows(const Positions& first, int64_t rows) {
  for (const int64_t row : span_of(first))
    if (row < -1 || row >= rows) throw nb::value_error("a row is not in the table");
}

bool count_key_rows(const Words& slots, const RowNumbers& next, int64_t bits, int64_t rows, const Positions& first,
                    NewPositions counts) {
  check_first_rows(first, rows);
  if (counts.shape(0) != first.shape(0)) throw nb::value_error("there is a count for each key");
  return count_rows(key_index(slots, next, bits, 0, rows), rows, span_of(first), span_of(counts));
}

bool list_key_rows(const Words& slots, const RowNumbers& next, int64_t bits, int64_t rows, const Positions& first,
                   NewPositions out) {
  check_first_rows(first, rows);
  return list_rows(key_index(slots, next, bits, 0, rows), rows, span_of(first), span_of(out));
}

}  // namespace

NB_MODULE(_core, m) {
  // A frame that is still held when the interpreter ends keeps its mapping, as it should: the kernel unmaps it.
  nb::set_leak_warnings(false);
  m.doc() = "Moves bytes. Python decides which.";
  nb::class_<Mapping>(m, "Mapping", nb::type_slots(buffer_slots<Mapping>),
                      "A file's bytes, mapped; gives them by the buffer protocol and keeps no descriptor.\n\n"
                      "``writable``: private to this mapping, copied page by page on the first store.")
      .def("__init__", &map_file, "fd"_a, "size"_a, "writable"_a)
      .def_static("of_draft", &map_draft, "fd"_a, "size"_a,
                  "Map a file whose pages are there: what is stored is stored in the file.")
      .def("reserve", &reserve_pages, "fd"_a,
           "Have all pages of the file there, as huge pages, whatever they hold; False if the kernel does not give them.")
      .def("collapse", &collapse, "Put what is there into huge pages; False if the kernel does not.")
      .def("detach", &detach, "fd"_a, "Let further stores be this mapping's alone; views of it stay where they are.")
      .def("abandon", &abandon, "Give the file's memory back at once; views of it stay where they are, and hold zeros.")
      .def("__len__", &Mapping::size)
      .def_prop_ro("address", [](const Mapping& m) { return reinterpret_cast<uintptr_t>(m.address()); })
      .def_prop_ro("writable", &Mapping::writable);
  nb::class_<Descriptor>(m, "Descriptor",
                         "The one owner of a file descriptor: closed when the object is dropped, and never twice.\n\n"
                         "A context manager that gives the number and closes at its end.")
      .def("__init__", &open_descriptor, "path"_a, "flags"_a, "mode"_a = 0, "dir_fd"_a = AT_FDCWD,
           "Open a path as ``os.open`` does.")
      .def_static("duplicate", [](int number) { return or_raise([&] { return Descriptor::duplicate(number); }); },
                  "number"_a, "A second descriptor of the same open file.")
      .def_static("inotify", [] { return or_raise([] { return Descriptor::inotify(); }); },
                  "A new inotify instance, which does not block.")
      .def("fileno", &Descriptor::number, "The number; -1 once it is closed.")
      .def("close", &Descriptor::close, "Drop its lock, close what `keep` gave it, and then itself; twice is once.")
      .def("keep", [](Descriptor& self, Descriptor& other) { self.keep(std::move(other)); }, "other"_a,
           "Take over another descriptor and its lock, until this one is closed.")
      .def("try_lock", [](Descriptor& self, bool shared) { return or_raise([&] { return self.try_lock(shared); }); },
           nb::kw_only(), "shared"_a = false,
           "Lock the file (flock) without waiting; False where another open file has it locked.")
      .def("unlock", &Descriptor::unlock, "Drop its lock, if it has one.")
      .def("locked_by_this_thread",
           [](const Descriptor& self) { return or_raise([&] { return self.locked_by_this_thread(); }); },
           "Whether the calling thread has this very file locked by any Descriptor.")
      .def("__enter__", &Descriptor::number)
      .def("__exit__", [](Descriptor& self, nb::args) { self.close(); });
  nb::class_<Buffer>(m, "Buffer", nb::type_slots(buffer_slots<Buffer>),
                     "Memory of the pool, by the buffer protocol; it goes back when the last view of it is gone.")
      .def(nb::init<size_t>(), "size"_a)
      .def("__len__", &Buffer::size)
      .def_prop_ro("address", [](const Buffer& b) { return reinterpret_cast<uintptr_t>(b.address()); });
  nb::class_<ImportedArrays>(m, "ImportedArrays", "Arrow arrays from C streams, as pieces of a plan; holds them until it goes.")
      .def(nb::init<>())
      .def("add_columns", &add_columns, "streams"_a, "threads"_a = 0,
           "One column of each stream; ``threads`` read them, so they must not share what is not safe to share.")
      .def("add_table", &add_table, "stream"_a, "most_batches"_a,
           "False, and no column, if the stream has more than ``most_batches``.")
      .def("pieces", &source_pieces, "Shape (pieces, 8): those of the first column first. Strides are 0.")
      .def("piece_counts", &source_counts, "How many pieces each column has.")
      .def("nulls", &source_nulls, "How many nulls each column has.");
  m.def("write_file", &write_file, "jobs"_a, "pieces"_a, "found"_a, "fd"_a, "size"_a, "threads"_a = 0,
        "Run a plan into a file of ``size`` bytes, with pwrite; ``found`` (int64, nulls and overflows of each job) is added "
        "to.\n\nRaises OSError with the errno of the first write that failed.");
  m.def("write_memory", &write_memory, "jobs"_a, "pieces"_a, "found"_a, "outputs"_a, "threads"_a = 0,
        "stream_from"_a = streamed_bytes,
        "Run a plan whose places are addresses inside of ``outputs`` (uint8 arrays); outputs of ``stream_from`` bytes in "
        "all, or more, are written past the caches.");
  constexpr const char* share =
      "out[i] = objects[codes[i] - first], and the last of ``objects`` for a code outside of the others.";
  m.def("in_memory", &in_memory, "fd"_a, "Whether a file is in a file system that is memory (tmpfs).");
  m.def("types_of", &types_of, "array"_a, "The distinct types of an array's objects, in the order in which they occur.");
  m.def("share_objects", &share_objects<int8_t>, "out"_a, "objects"_a, "codes"_a.noconvert(), "first"_a = 0,
        "threads"_a = 0, share);
  m.def("share_objects", &share_objects<int32_t>, "out"_a, "objects"_a, "codes"_a.noconvert(), "first"_a = 0,
        "threads"_a = 0, share);
  m.def("range_of", &range_of, "numbers"_a, "null"_a,
        "(least, greatest) of int32 numbers, without those that stand for null.");
  m.def("build_key_index", &build_key_index_of, "columns"_a, "rows"_a, "seed"_a, "bits"_a, "slots"_a, "next"_a, "threads"_a = 0,
        "Index the rows by their key: (rows left out for a null, rows that are not the first of their key), or None where there "
        "are too few slots.\n\n``columns``: (values as uint8, bytes of a value or 0 for text, int64 offsets of text, validity "
        "bytes) each; the last two may be empty.");
  m.def("find_keys", &find_keys_in, "slots"_a, "next"_a, "bits"_a, "seed"_a, "columns"_a, "rows"_a, "keys"_a, "out"_a,
        "threads"_a = 0, "The first row of each key, -1 where there is none, into ``out``; False if the index is damaged.");
  m.def("count_key_rows", &count_key_rows, "slots"_a, "next"_a, "bits"_a, "rows"_a, "first"_a, "counts"_a,
        "How many rows each key has whose first row is given; False if the index is damaged.");
  m.def("list_key_rows", &list_key_rows, "slots"_a, "next"_a, "bits"_a, "rows"_a, "first"_a, "out"_a,
        "The rows of each key whose first row is given, in order; False if the index is damaged.");
  m.def("available_threads", &available_threads, "The processors this process may use.");
  m.def("kernels", [] { return std::string(kernels().name); }, "The name of the kernels that run.");
  m.def("use_kernels", [](const std::string& name) { return use_kernels(name); }, "name"_a,
        "Run the kernels of this name ('portable', 'avx2'; '': the fastest); False if there are none here.");
  m.def("touch", &touch, "buffers"_a, "threads"_a = 0, "Fault in the pages of buffers that nobody touched yet.");
  m.def("pool_usage", &pool_usage, "(idle bytes, idle buffers, live bytes, live buffers).");
  m.def("set_pool_limit", [](size_t bytes) { Pool::instance().set_limit(bytes); }, "bytes"_a,
        "Let so many bytes stay idle; what is above is freed.");
  m.def("trim_pool", [] { return Pool::instance().trim(); }, "Free all idle buffers; returns their bytes.");
}

}  // namespace colonnade
