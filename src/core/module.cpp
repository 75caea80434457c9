// The only file that depends on Python and nanobind. It decodes and checks what Python passes, releases the GIL, and
// calls the core.
#include <fcntl.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <sched.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <type_traits>
#include <vector>

#include "arrow_stream.h"
#include "descriptor.h"
#include "execute.h"
#include "hash.h"
#include "kernels.h"
#include "key_index.h"
#include "mapping.h"
#include "pages.h"
#include "plan.h"
#include "pool.h"
#include "threads.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace colonnade {
namespace {

template <const auto& fields>
using TableOf = nb::ndarray<const int64_t, nb::shape<-1, field_count<fields>>, nb::c_contig, nb::device::cpu>;
using JobTable = TableOf<job_fields>;
using PieceTable = TableOf<piece_fields>;
using Bytes = nb::ndarray<uint8_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
template <auto... shape>
using NewArray = nb::ndarray<nb::numpy, int64_t, nb::shape<shape...>>;

// Makes a call without the GIL. nb::gil_scoped_release takes the GIL back in its destructor, and there Python ends a
// thread of a process that is ending: see `stop_where_it_would_unwind`.
template <class Call>
auto without_gil(const Call& call) {
  struct Nothing {};
  using Result = decltype(call());
  std::conditional_t<std::is_void_v<Result>, Nothing, Result> result{};
  std::exception_ptr error;
  PyThreadState* const thread = PyEval_SaveThread();
  try {
    if constexpr (std::is_void_v<Result>)
      call();
    else
      result = call();
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  stop_where_it_would_unwind([&] { PyEval_RestoreThread(thread); });
  if (error != nullptr) std::rethrow_exception(error);
  if constexpr (!std::is_void_v<Result>) return result;
}

// The processors this process may use, which in a container are fewer than the machine has.
int available_threads() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

// 0, or fewer, means as many as there are processors.
int threads_or_all(int threads) { return threads > 0 ? threads : available_threads(); }

[[noreturn]] void raise_os_error(int error) {
  errno = error;
  PyErr_SetFromErrno(PyExc_OSError);
  throw nb::python_error();
}

// Makes a call that fails with an errno, and raises the OSError.
template <class Call>
auto or_raise(const Call& call) {
  try {
    return call();
  } catch (const std::system_error& error) {
    raise_os_error(error.code().value());
  }
}

// -- mappings
// ----------------------------------------------------------------------------------------------------------

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
  return without_gil([&] { return reserve(fd, mapping, available_threads()); });
}

bool collapse(const Mapping& mapping) {
  return without_gil([&] { return mapping.collapse(available_threads()); });
}

void detach(Mapping& mapping, int fd) {
  or_raise([&] { mapping.detach(fd); });
}

// -- plans
// -------------------------------------------------------------------------------------------------------------

// Gives the values to NumPy, which frees them.
template <auto... shape>
NewArray<shape...> new_array(std::vector<int64_t> values, std::initializer_list<size_t> sizes) {
  auto kept = std::make_unique<std::vector<int64_t>>(std::move(values));
  int64_t* const data = kept->data();
  const nb::capsule owner(kept.get(), [](void* values) noexcept { delete static_cast<std::vector<int64_t>*>(values); });
  kept.release();
  return NewArray<shape...>(data, sizes, owner);
}

// Rows of int64, in the order of the fields.
template <const auto& fields, class Row>
void append_fields(std::vector<int64_t>& numbers, const Row& row) {
  std::apply([&](const auto&... field) { (numbers.push_back(row.*field.member), ...); }, fields);
}

template <const auto& fields>
std::vector<std::string> names_of() {
  return std::apply([](const auto&... field) { return std::vector<std::string>{field.name...}; }, fields);
}

Plan decode_tables(const JobTable& jobs, const PieceTable& pieces) {
  return decode({jobs.data(), static_cast<int64_t>(jobs.shape(0))},
                {pieces.data(), static_cast<int64_t>(pieces.shape(0))});
}

NewArray<-1, field_count<result_fields>> run(const Plan& plan, const Sink& sink, int threads, int64_t stream_from) {
  std::vector<Result> results(plan.jobs.size());
  std::vector<int64_t> numbers;
  numbers.reserve(results.size() * field_count<result_fields>);
  const int error = without_gil([&] { return execute(plan, sink, threads_or_all(threads), results, stream_from); });
  if (error != 0) raise_os_error(error);
  for (const Result& result : results) append_fields<result_fields>(numbers, result);
  return new_array<-1, field_count<result_fields>>(std::move(numbers), {results.size(), field_count<result_fields>});
}

auto write_file(const JobTable& jobs, const PieceTable& pieces, int fd, int64_t size, int threads) {
  if (fd < 0) raise_os_error(EBADF);
  const Plan plan = decode_tables(jobs, pieces);
  check(plan, {{0, size}}, Into::file);
  return run(plan, Sink{fd}, threads, streamed_bytes);
}

auto write_memory(const JobTable& jobs, const PieceTable& pieces, const std::vector<Bytes>& outputs, int threads,
                  int64_t stream_from) {
  std::vector<Stretch> stretches;
  stretches.reserve(outputs.size());
  for (const Bytes& output : outputs) {
    const auto first = reinterpret_cast<int64_t>(output.data());
    stretches.emplace_back(first, first + static_cast<int64_t>(output.shape(0)));
  }
  const Plan plan = decode_tables(jobs, pieces);
  check(plan, std::move(stretches), Into::memory);
  return run(plan, Sink{}, threads, stream_from);
}

// -- memory of the pool
// ------------------------------------------------------------------------------------------------

// Memory of the pool, for as long as Python refers to it or to a view of it.
class Buffer {
 public:
  explicit Buffer(size_t size) : memory_(Pool::instance().take(size)), size_(size) {}
  ~Buffer() { Pool::instance().give(memory_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* address() const { return memory_.address; }
  size_t size() const { return size_; }
  bool writable() const { return true; }
  // Its memory, `fresh` if it was not touched yet. It counts as touched from now on.
  Pool::Memory take_fresh() {
    const Pool::Memory memory = memory_;
    memory_.fresh = false;
    return memory;
  }

 private:
  Pool::Memory memory_;
  size_t size_;
};

void touch(const std::vector<Buffer*>& buffers, int threads) {
  std::vector<Pool::Memory> fresh;
  fresh.reserve(buffers.size());
  for (Buffer* buffer : buffers)
    if (const Pool::Memory memory = buffer->take_fresh(); memory.fresh) fresh.push_back(memory);
  without_gil([&] { Pool::touch(fresh, threads_or_all(threads)); });
}

std::tuple<size_t, size_t, size_t, size_t> pool_usage() {
  const Pool::Usage usage = Pool::instance().usage();
  return {usage.idle_bytes, usage.idle_count, usage.live_bytes, usage.live_count};
}

// A view of an object's memory by the buffer protocol, released when it is destroyed.
class BufferView {
 public:
  BufferView(const nb::object& object, int flags) {
    if (PyObject_GetBuffer(object.ptr(), &view_, flags) != 0) throw nb::python_error();
  }
  ~BufferView() { PyBuffer_Release(&view_); }
  BufferView(const BufferView&) = delete;
  BufferView& operator=(const BufferView&) = delete;

  const Py_buffer& get() const { return view_; }

 private:
  Py_buffer view_;
};

// -- Arrow streams
// -----------------------------------------------------------------------------------------------------

ArrowArrayStream& stream_of(const nb::object& capsule) {
  void* const address = PyCapsule_GetPointer(capsule.ptr(), "arrow_array_stream");
  if (address == nullptr) throw nb::python_error();
  auto& stream = *static_cast<ArrowArrayStream*>(address);
  if (stream.release == nullptr) throw nb::value_error("this Arrow stream was read before");
  if (stream.get_next == nullptr) throw nb::value_error("this Arrow stream has no get_next");
  return stream;
}

void add_columns(ImportedArrays& arrays, const std::vector<nb::object>& capsules, int64_t rows, int threads) {
  std::vector<ArrowArrayStream*> streams;
  streams.reserve(capsules.size());
  for (const nb::object& capsule : capsules) streams.push_back(&stream_of(capsule));
  without_gil([&] { arrays.add_columns(streams, rows, threads_or_all(threads)); });
}

using Positions = nb::ndarray<const int64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;

bool add_table(ImportedArrays& arrays, const nb::object& capsule, const Positions& chosen, int64_t columns,
               int64_t rows, int64_t most_batches) {
  ArrowArrayStream& stream = stream_of(capsule);
  const std::span positions(chosen.data(), chosen.shape(0));
  return without_gil([&] { return arrays.add_table(stream, positions, columns, rows, most_batches); });
}

void renumber(ImportedArrays& arrays, size_t column, const std::vector<std::pair<int64_t, int64_t>>& maps) {
  arrays.renumber(column, maps);
}

// Runs jobs of columns into writable arrays of any type.
std::vector<Result> move_columns(std::span<const std::span<const Piece>> columns, const JobTable& jobs,
                                 const std::vector<nb::object>& outputs, int64_t rows, int threads,
                                 int64_t stream_from) {
  std::vector<std::unique_ptr<BufferView>> views;
  std::vector<Stretch> stretches;
  views.reserve(outputs.size());
  stretches.reserve(outputs.size());
  for (const nb::object& output : outputs) {
    const Py_buffer& view = views.emplace_back(std::make_unique<BufferView>(output, PyBUF_WRITABLE))->get();
    const auto first = reinterpret_cast<int64_t>(view.buf);
    stretches.emplace_back(first, first + view.len);
  }
  const Plan plan = place({jobs.data(), static_cast<int64_t>(jobs.shape(0))}, columns, rows, stretches);
  check(plan, std::move(stretches), Into::memory);
  std::vector<Result> results(plan.jobs.size());
  const int error = without_gil([&] { return execute(plan, Sink{}, threads_or_all(threads), results, stream_from); });
  if (error != 0) raise_os_error(error);
  return results;
}

// The numbers of the jobs that overflowed.
std::vector<int64_t> move_imported(const ImportedArrays& arrays, const JobTable& jobs,
                                   const std::vector<nb::object>& outputs, int64_t rows, int threads,
                                   int64_t stream_from) {
  std::vector<std::span<const Piece>> columns;
  columns.reserve(arrays.columns().size());
  for (const ImportedArrays::Column& column : arrays.columns()) columns.emplace_back(column.pieces);
  const std::vector<Result> results = move_columns(columns, jobs, outputs, rows, threads, stream_from);
  std::vector<int64_t> overflows;
  for (size_t number = 0; number < results.size(); ++number)
    if (results[number].overflows != 0) overflows.push_back(static_cast<int64_t>(number));
  return overflows;
}

// Nulls and overflows of each job that reads an array, which may be strided, and perhaps a byte mask.
std::vector<std::pair<int64_t, bool>> move_arrays(const std::vector<std::pair<nb::object, nb::object>>& sources,
                                                  const JobTable& jobs, const std::vector<nb::object>& outputs,
                                                  int64_t rows, int threads) {
  std::vector<std::unique_ptr<BufferView>> views;
  std::vector<Piece> pieces;
  std::vector<std::span<const Piece>> columns;
  views.reserve(2 * sources.size());
  pieces.reserve(sources.size());
  columns.reserve(sources.size());
  for (const auto& [values, mask] : sources) {
    const Py_buffer& view = views.emplace_back(std::make_unique<BufferView>(values, PyBUF_STRIDES))->get();
    if (view.ndim != 1 || view.shape[0] != rows) throw nb::value_error("an array has another number of rows");
    Piece& piece = pieces.emplace_back();
    piece.values = reinterpret_cast<int64_t>(view.buf);
    piece.stride = view.strides[0];
    piece.length = rows;
    if (!mask.is_none()) {
      const Py_buffer& bytes = views.emplace_back(std::make_unique<BufferView>(mask, PyBUF_SIMPLE))->get();
      if (bytes.len != rows) throw nb::value_error("a mask has another number of rows");
      piece.validity = reinterpret_cast<int64_t>(bytes.buf);
    }
    columns.emplace_back(&piece, 1);
  }
  std::vector<std::pair<int64_t, bool>> found;
  for (const Result& result : move_columns(columns, jobs, outputs, rows, threads, streamed_bytes))
    found.emplace_back(result.nulls, result.overflows != 0);
  return found;
}

// A byte for each column: 1 where it has nulls.
nb::bytes columns_with_nulls(const ImportedArrays& arrays) {
  std::string flags;
  flags.reserve(arrays.columns().size());
  for (const ImportedArrays::Column& column : arrays.columns()) flags.push_back(column.nulls > 0 ? '\1' : '\0');
  return nb::bytes(flags.data(), flags.size());
}

// -- objects
// -----------------------------------------------------------------------------------------------------------

// Adds to the references of an object, or takes from them, all at once: one by one they would cost more than the
// pointers.
void add_references(PyObject* object, Py_ssize_t count) {
  // A small count, because some versions of Python keep 32 bits of it; the count of immortal objects does not change.
  if (count < (1 << 30)) {
    Py_SET_REFCNT(object, Py_REFCNT(object) + count);
    return;
  }
  for (; count > 0; --count) Py_INCREF(object);
  for (; count < 0; ++count) Py_DECREF(object);
}

// Fills slots with objects by code. Several threads do so at once without touching a reference; the thread that has the
// GIL counts the references afterwards.
template <class Code>
class ObjectSharing {
 public:
  ObjectSharing(PyObject** slots, const Code* codes, size_t rows, int64_t first, std::vector<PyObject*> objects,
                size_t parts)
      : slots_(slots), codes_(codes), rows_(rows), first_(first), objects_(std::move(objects)), parts_(parts) {
    for (Part& part : parts_) part.uses.resize(turns() * objects_.size());
  }

  void fill() {
    run_on_threads(parts_.size(), [&](size_t number) noexcept {
      fill_part(parts_[number], rows_ * number / parts_.size(), rows_ * (number + 1) / parts_.size());
    });
    Py_ssize_t nones = 0;
    bool has_others = false;
    for (const Part& part : parts_) {
      for (size_t i = 0; i < part.uses.size(); ++i) add_references(objects_[i % objects_.size()], part.uses[i]);
      nones += part.nones;
      has_others |= part.has_others;
    }
    add_references(Py_None, -nones);
    if (has_others) replace_others();
  }

 private:
  struct Part {
    std::vector<Py_ssize_t> uses;
    Py_ssize_t nones = 0;
    bool has_others = false;
  };

  // Few objects are counted in several counters that take turns: an addition waits for the last one to the same
  // counter. A power of two, because a remainder would cost more than all the rest.
  size_t turns() const { return objects_.size() <= 1024 ? 4 : 1; }

  size_t object_at(size_t row) const {
    return std::min(static_cast<uint64_t>(codes_[row] - first_), static_cast<uint64_t>(objects_.size() - 1));
  }

  // Replaces None and nothing else: to drop another object may run Python code.
  void fill_part(Part& part, size_t from, size_t to) const noexcept {
    Py_ssize_t* const uses = part.uses.data();
    const size_t turn = turns() - 1;
    for (size_t row = from; row < to; ++row) {
      const size_t at = object_at(row);
      PyObject* const old = slots_[row];
      if (old == Py_None) {
        ++part.nones;
      } else if (old != nullptr) {
        part.has_others = true;
        continue;
      }
      slots_[row] = objects_[at];
      ++uses[((row - from) & turn) * objects_.size() + at];
    }
  }

  // The slots that already held an object, one by one.
  void replace_others() const {
    for (size_t row = 0; row < rows_; ++row) {
      PyObject* const object = objects_[object_at(row)];
      if (slots_[row] == object) continue;
      PyObject* const old = slots_[row];
      slots_[row] = Py_NewRef(object);
      Py_XDECREF(old);
    }
  }

  PyObject** const slots_;
  const Code* const codes_;
  const size_t rows_;
  const int64_t first_;
  const std::vector<PyObject*> objects_;
  std::vector<Part> parts_;
};

// out[i] = objects[codes[i] - first], and the last of the objects for a code outside of the others.
template <class Code>
void share_objects(const nb::object& out, const nb::typed<nb::list, nb::any>& objects,
                   nb::ndarray<const Code, nb::shape<-1>, nb::c_contig, nb::device::cpu> codes, int64_t first,
                   int threads) {
  constexpr size_t threaded_rows = 1 << 18;
  const size_t rows = codes.shape(0);
  const BufferView buffer(out, PyBUF_CONTIG | PyBUF_FORMAT);
  const Py_buffer& view = buffer.get();
  if (std::string_view(view.format) != "O" || view.len != static_cast<Py_ssize_t>(rows * sizeof(PyObject*)))
    throw nb::value_error("out must be an array of objects, as many as there are codes");
  if (objects.size() == 0) throw nb::value_error("there are no objects to share");
  std::vector<PyObject*> pointers;
  pointers.reserve(objects.size());
  for (const nb::handle object : objects) pointers.push_back(object.ptr());
  const size_t parts = rows < threaded_rows ? 1 : static_cast<size_t>(threads_or_all(threads));
  ObjectSharing<Code>(static_cast<PyObject**>(view.buf), codes.data(), rows, first, std::move(pointers), parts).fill();
}

// The distinct types of an array's objects, in the order in which they occur. A handful at most, so the search is
// linear.
nb::typed<nb::list, nb::any> types_of(const nb::object& array) {
  const BufferView buffer(array, PyBUF_STRIDES | PyBUF_FORMAT);
  const Py_buffer& view = buffer.get();
  if (view.ndim != 1 || std::string_view(view.format) != "O")
    throw nb::value_error("array must be one-dimensional, of objects");
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

// The least and the greatest of some numbers, without those that mean null. If there are none, the greatest is below
// the least.
std::pair<int64_t, int64_t> range_of(nb::ndarray<const int32_t, nb::shape<-1>, nb::c_contig, nb::device::cpu> numbers,
                                     int32_t null) {
  int32_t least = 0;
  int32_t greatest = 0;
  kernels().find_range(numbers.data(), static_cast<int64_t>(numbers.shape(0)), null, least, greatest);
  return {least, greatest};
}

// A view, and not an nb::ndarray: it takes memory of any kind, and read-only memory.
uint64_t hash_buffer(const nb::object& data, int threads) {
  const BufferView buffer(data, PyBUF_ANY_CONTIGUOUS);
  const std::span bytes{static_cast<const uint8_t*>(buffer.get().buf), static_cast<size_t>(buffer.get().len)};
  return without_gil([&] { return hash_bytes(bytes, threads_or_all(threads)); });
}

template <class Memory>
int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  const Memory* memory = nb::inst_ptr<Memory>(nb::handle(self));
  return PyBuffer_FillInfo(view, self, memory->address(), static_cast<Py_ssize_t>(memory->size()),
                           memory->writable() ? 0 : 1, flags);
}

template <class Memory>
PyType_Slot buffer_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer<Memory>)}, {0, nullptr}};

// -- key indices
// -------------------------------------------------------------------------------------------------------

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

std::optional<std::pair<int64_t, int64_t>> build_key_index_of(const std::vector<KeyParts>& parts, int64_t rows,
                                                              uint64_t seed, int64_t bits, NewWords slots,
                                                              NewRowNumbers next, int threads) {
  if (rows < 0 || rows > most_key_rows) throw nb::value_error("a key index has at most 4,294,967,294 rows");
  const std::vector<KeyColumn> columns = key_columns(parts, rows);
  if (bits < 0 || bits > 32 || static_cast<int64_t>(slots.shape(0)) % (INT64_C(1) << bits) != 0 ||
      static_cast<int64_t>(slots.shape(0)) >> bits < 1)
    throw nb::value_error("the slots of a key index do not divide into its regions");
  if (static_cast<int64_t>(next.shape(0)) != rows)
    throw nb::value_error("the chain of a key index is not as long as the table");
  for (const KeyColumn& column : columns)
    for (size_t row = 0; row + 1 < column.offsets.size(); ++row)
      if (column.offsets[row] < 0 || column.offsets[row + 1] < column.offsets[row] ||
          column.offsets[row + 1] > static_cast<int64_t>(column.values.size()))
        throw nb::value_error("the offsets of a key column lead outside of its values");
  const std::optional<KeyIndexCounts> counts = without_gil([&] {
    return build_key_index(columns, rows, seed, bits, span_of(slots), span_of(next), threads_or_all(threads));
  });
  if (!counts) return std::nullopt;
  return std::pair{counts->nulls, counts->duplicates};
}

bool find_keys_in(const Words& slots, const RowNumbers& next, int64_t bits, uint64_t seed,
                  const std::vector<KeyParts>& parts, int64_t rows, const std::vector<KeyParts>& keys, NewPositions out,
                  int threads) {
  const KeyIndex index = key_index(slots, next, bits, seed, rows);
  const std::vector<KeyColumn> columns = key_columns(parts, rows);
  const std::vector<KeyColumn> wanted = key_columns(keys, static_cast<int64_t>(out.shape(0)));
  if (columns.size() != wanted.size()) throw nb::value_error("a key has as many parts as there are key columns");
  for (size_t i = 0; i < columns.size(); ++i)
    if (columns[i].width != wanted[i].width) throw nb::value_error("a part of a key is not of its column's width");
  return without_gil([&] { return find_keys(index, columns, rows, wanted, span_of(out), threads_or_all(threads)); });
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

void export_key_index(nb::module_& m) {
  m.def("build_key_index", &build_key_index_of, "columns"_a, "rows"_a, "seed"_a, "bits"_a, "slots"_a, "next"_a,
        "threads"_a = 0,
        "Index the rows by their key: (rows left out for a null, rows that are not the first of their key), or None "
        "where there "
        "are too few slots.\n\n``columns``: (values as uint8, bytes of a value or 0 for text, int64 offsets of text, "
        "validity "
        "bytes) each; the last two may be empty.");
  m.def("find_keys", &find_keys_in, "slots"_a, "next"_a, "bits"_a, "seed"_a, "columns"_a, "rows"_a, "keys"_a, "out"_a,
        "threads"_a = 0,
        "The first row of each key, -1 where there is none, into ``out``; False if the index is damaged.");
  m.def("count_key_rows", &count_key_rows, "slots"_a, "next"_a, "bits"_a, "rows"_a, "first"_a, "counts"_a,
        "How many rows each key has whose first row is given; False if the index is damaged.");
  m.def("list_key_rows", &list_key_rows, "slots"_a, "next"_a, "bits"_a, "rows"_a, "first"_a, "out"_a,
        "The rows of each key whose first row is given, in order; False if the index is damaged.");
}

// An IntEnum of the core's enumerators.
template <class Enum>
void export_enum(nb::module_& m, const char* name, const char* doc) {
  nb::enum_<Enum> made(m, name, nb::is_arithmetic(), doc);
  for (int64_t number = 0; number < std::ssize(Names<Enum>::list); ++number)
    made.value(Names<Enum>::list[number], static_cast<Enum>(number));
}

void export_plan(nb::module_& m) {
  export_enum<Values>(m, "Values", "What the values output is made from.");
  export_enum<Validity>(m, "Validity", "Where an element's validity is read from.");
  export_enum<PandasBuffer>(m, "PandasBuffer", "The second physical form of a column.");
  export_enum<Element>(m, "Element", "The type of an element.");
  m.def("job_fields", &names_of<job_fields>, "The fields of a job, in the order of its table.");
  m.def("piece_fields", &names_of<piece_fields>, "The fields of a piece, in the order of its table.");
  m.def("result_fields", &names_of<result_fields>, "The fields of a result, in the order of its table.");
  m.def(
      "write_file", &write_file, "jobs"_a, "pieces"_a, "fd"_a, "size"_a, "threads"_a = 0,
      "Run a plan into a file of ``size`` bytes, with pwrite; returns the result of each job.\n\n"
      "Raises ValueError if the plan is inconsistent, OSError with the errno of a write that failed, and MemoryError.");
  m.def(
      "write_memory", &write_memory, "jobs"_a, "pieces"_a, "outputs"_a, "threads"_a = 0,
      "stream_from"_a = streamed_bytes,
      "Run a plan whose places are addresses inside of ``outputs`` (uint8 arrays); returns the result of each job.\n\n"
      "Outputs of ``stream_from`` bytes in all, or more, are written past the caches.\n"
      "Raises ValueError if the plan is inconsistent, and MemoryError.");
}

void export_moves(nb::module_& m) {
  m.def("move_arrays", &move_arrays, "sources"_a, "jobs"_a, "outputs"_a, "rows"_a, "threads"_a = 0,
        "Run jobs (shape (jobs, 16)) of arrays into writable arrays; returns the nulls of each job, and whether it "
        "overflowed.\n\n``sources`` are an array of shape (rows,), and a contiguous mask of bytes or None. Places are "
        "those of `ImportedArrays.move`.");
}

void export_memory(nb::module_& m) {
  nb::class_<Mapping>(
      m, "Mapping", nb::type_slots(buffer_slots<Mapping>),
      "The bytes of a file, mapped; gives them by the buffer protocol and keeps no descriptor.\n\n"
      "``writable``: private to this mapping, copied page by page on the first store. Threads may share "
      "a mapping and its views; ``detach`` must not run while another thread stores through one.")
      .def("__init__", &map_file, "fd"_a, "size"_a, "writable"_a)
      .def_static("of_draft", &map_draft, "fd"_a, "size"_a,
                  "Map a file whose pages are there: what is stored is stored in the file.")
      .def("reserve", &reserve_pages, "fd"_a,
           "Allocate all pages of the file, as huge pages with any contents; False if the kernel does not.")
      .def("collapse", &collapse, "Put the file's pages into huge pages; False if the kernel does not.")
      .def("detach", &detach, "fd"_a, "Make further stores private to this mapping; views of it stay where they are.")
      .def("abandon", &abandon,
           "Release the file's memory at once; views of it stay where they are, and contain zeros.")
      .def("__len__", &Mapping::size)
      .def_prop_ro("address", [](const Mapping& m) { return reinterpret_cast<uintptr_t>(m.address()); })
      .def_prop_ro("writable", &Mapping::writable);
  nb::class_<Buffer>(m, "Buffer", nb::type_slots(buffer_slots<Buffer>),
                     "Memory of the pool, by the buffer protocol; it returns to the pool with the last view of it.\n\n"
                     "Threads may share a buffer; as with any memory, a thread must not read what another one writes.")
      .def(nb::init<size_t>(), "size"_a)
      .def("__len__", &Buffer::size)
      .def_prop_ro("address", [](const Buffer& b) { return reinterpret_cast<uintptr_t>(b.address()); });
  m.def("touch", &touch, "buffers"_a, "threads"_a = 0, "Fault in the pages of buffers that were not touched yet.");
  m.def("pool_usage", &pool_usage, "(idle bytes, idle buffers, live bytes, live buffers).");
  m.def(
      "set_pool_limit", [](size_t bytes) { Pool::instance().set_limit(bytes); }, "bytes"_a,
      "Set how many bytes may stay idle; the rest is freed.");
  m.def("trim_pool", [] { return Pool::instance().trim(); }, "Free all idle buffers; returns their bytes.");
  m.def("page_size", &page_size, "The bytes of a page of memory.");
  m.def("in_memory", &in_memory, "fd"_a, "Whether a file is in a file system that is memory (tmpfs).");
}

void export_descriptor(nb::module_& m) {
  nb::class_<Descriptor>(m, "Descriptor",
                         "The one owner of a file descriptor: closed when the object is dropped, and never twice.\n\n"
                         "A context manager that gives the number and closes at its end.")
      .def("__init__", &open_descriptor, "path"_a, "flags"_a, "mode"_a = 0, "dir_fd"_a = AT_FDCWD,
           "Open a path as ``os.open`` does.")
      .def_static(
          "duplicate", [](int number) { return or_raise([&] { return Descriptor::duplicate(number); }); }, "number"_a,
          "A second descriptor of the same open file.")
      .def_static(
          "inotify", [] { return or_raise([] { return Descriptor::inotify(); }); },
          "A new inotify instance, which does not block.")
      .def("fileno", &Descriptor::number, "The number; -1 once it is closed.")
      .def("close", &Descriptor::close, "Drop its lock, close what `keep` gave it, and then itself; twice is once.")
      .def(
          "keep", [](Descriptor& self, Descriptor& other) { self.keep(std::move(other)); }, "other"_a,
          "Take over another descriptor and its lock, until this one is closed.")
      .def(
          "try_lock", [](Descriptor& self, bool shared) { return or_raise([&] { return self.try_lock(shared); }); },
          nb::kw_only(), "shared"_a = false,
          "Lock the file (flock) without waiting; False where another open file has it locked.")
      .def("unlock", &Descriptor::unlock, "Drop its lock, if it has one.")
      .def(
          "locked_by_this_thread",
          [](const Descriptor& self) { return or_raise([&] { return self.locked_by_this_thread(); }); },
          "Whether the calling thread has this very file locked by any Descriptor.")
      .def("__enter__", &Descriptor::number)
      .def(
          "__exit__", [](Descriptor& self, nb::args) { self.close(); },
          nb::sig("def __exit__(self, *args: object) -> None"));
}

void export_arrow(nb::module_& m) {
  nb::class_<ImportedArrays>(
      m, "ImportedArrays",
      "Arrow arrays from C streams, as pieces of a plan; keeps them alive.\n\n"
      "Not to be used by two threads at once. Streams are consumed also where an error is raised: "
      "ValueError if the arrays contradict each other or their rows, RuntimeError if a stream fails.")
      .def(nb::init<>())
      .def("add_columns", &add_columns, "streams"_a, "rows"_a, "threads"_a = 0,
           "Add one column of each stream. ``threads`` read them, so they must not share what is not safe to share.")
      .def("add_table", &add_table, "stream"_a, "chosen"_a, "columns"_a, "rows"_a, "most_batches"_a,
           "Add the ``chosen`` ones of the columns of a stream of batches; False, and no column, if there are more "
           "than ``most_batches``.")
      .def("release", &ImportedArrays::release,
           "Release the arrays and keep the columns; from now on something else must keep their memory alive.")
      .def("has_nulls", &columns_with_nulls, "A byte for each column, 1 where it has nulls.")
      .def(
          "count_pieces",
          [](const ImportedArrays& arrays, size_t column) {
            if (column >= arrays.columns().size()) throw nb::index_error();
            return arrays.columns()[column].pieces.size();
          },
          "column"_a, "How many pieces a column has: its chunks, but those that follow each other may be one.")
      .def("renumber", &renumber, "column"_a, "maps"_a,
           "Let int32 numbers replace a column's indices: (address, count) for each piece. The caller keeps them alive.")
      .def("move", &move_imported, "jobs"_a, "outputs"_a, "rows"_a, "threads"_a = 0, "stream_from"_a = streamed_bytes,
           "Run jobs (shape (jobs, 16)) of imported columns into writable arrays; returns the numbers of the jobs that "
           "overflowed.\n\nThe ``first_piece`` of a job is the number of its column, and its places are ``output << 32 "
           "| row``, or -1.");
}

}  // namespace

NB_MODULE(_core, m) {
  // A frame that still exists when the interpreter ends keeps its mapping; the kernel unmaps it.
  nb::set_leak_warnings(false);
  m.doc() = "Moves bytes. Python decides which.";
  export_plan(m);
  export_memory(m);
  export_moves(m);
  export_descriptor(m);
  export_arrow(m);
  export_key_index(m);
  constexpr const char* share =
      "out[i] = objects[codes[i] - first], and the last of ``objects`` for a code outside of the others.";
  m.def("share_objects", &share_objects<int8_t>, "out"_a, "objects"_a, "codes"_a.noconvert(), "first"_a = 0,
        "threads"_a = 0, share);
  m.def("share_objects", &share_objects<int32_t>, "out"_a, "objects"_a, "codes"_a.noconvert(), "first"_a = 0,
        "threads"_a = 0, share);
  m.def("types_of", &types_of, "array"_a,
        "The distinct types of an array's objects, in the order in which they occur.");
  m.def("range_of", &range_of, "numbers"_a, "null"_a,
        "(least, greatest) of int32 numbers, without those that mean null.");
  m.def("hash_bytes", &hash_buffer, "data"_a, "threads"_a = 0,
        "Hash the memory of a contiguous buffer, of any number of axes, as fast as it can be read.\n\n"
        "XXH3 of 64 bits for up to 1 MiB, and XXH3 of the hashes of 1 MiB each for more: ``src/core/hash.h``. The same "
        "for "
        "any number of threads. Raises BufferError if ``data`` is not contiguous, and TypeError if it has no buffer.");
  m.def("available_threads", &available_threads, "The number of processors this process may use.");
  m.def("kernels", [] { return std::string(kernels().name); }, "The name of the kernels in use.");
  m.def(
      "use_kernels", [](const std::string& name) { return use_kernels(name); }, "name"_a,
      "Use the kernels of this name ('portable', 'avx2'; '': the fastest); False if this processor has none.");
}

}  // namespace colonnade
