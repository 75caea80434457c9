// Rows of a growing table that need no conversion: one call reads, checks, writes and publishes them.
#include "bindings.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bind_growing.h"
#include "growing_rows.h"

namespace colonnade {
namespace {

// Which columns a batch of plain arrays has: what the buffer protocol says of them, and where they are times.
class PlainColumns {
 public:
  // `formats` are those of the buffer protocol; of times, which have none, it is empty, and the dtype is compared.
  PlainColumns(const Items<nb::object>& names, const Items<nb::object>& formats, const Items<nb::object>& dtypes)
      : names_(names.get()), dtypes_(dtypes.get()) {
    for (const nb::object& format : formats.get()) {
      const char* const text = PyUnicode_AsUTF8(format.ptr());
      if (!text) throw nb::python_error();
      formats_.emplace_back(text);
    }
    if (formats_.size() != names_.size() || dtypes_.size() != names_.size())
      throw nb::value_error("lists of different lengths");
  }

  // How many rows the first array has; 0 if it is no array.
  int64_t first_length(const nb::object& data) const {
    if (!PyDict_CheckExact(data.ptr())) return 0;
    if (names_.empty()) return 0;
    PyObject* const array = PyDict_GetItemWithError(data.ptr(), names_.front().ptr());
    if (!array && PyErr_Occurred()) throw nb::python_error();
    if (!array || std::strcmp(Py_TYPE(array)->tp_name, "numpy.ndarray") != 0) return 0;
    const Py_ssize_t rows = PyObject_Size(array);
    if (rows < 0) PyErr_Clear();  // of no axis
    return std::max<Py_ssize_t>(rows, 0);
  }

  // A batch of a mapping whose arrays are all contiguous, of one axis, and of the very dtypes; else null.
  std::unique_ptr<Batch> batch(const nb::object& data) const {
    if (!PyDict_CheckExact(data.ptr()) || nb::len(data) != names_.size()) return nullptr;
    std::vector<Batch::Column> columns(names_.size());
    Py_ssize_t rows = -1;
    for (size_t number = 0; number < names_.size(); ++number) {
      PyObject* const item = PyDict_GetItemWithError(data.ptr(), names_[number].ptr());
      if (!item) {
        if (PyErr_Occurred()) throw nb::python_error();
        return nullptr;
      }
      nb::object array = nb::borrow(item);
      // Other arrays may mean more than their memory: a masked array has a mask.
      if (std::strcmp(Py_TYPE(item)->tp_name, "numpy.ndarray") != 0) return nullptr;
      const bool is_time = formats_[number].empty();
      if (is_time) {
        const nb::object dtype = array.attr("dtype");
        const int same = PyObject_RichCompareBool(dtype.ptr(), dtypes_[number].ptr(), Py_EQ);
        if (same < 0) throw nb::python_error();
        if (!same) return nullptr;
        array = array.attr("view")("i8");
      }
      if (!PyObject_CheckBuffer(array.ptr())) return nullptr;
      auto view = std::make_unique<BufferView>(array, PyBUF_FORMAT | PyBUF_STRIDES);
      const Py_buffer& buffer = view->get();
      const char* const format = buffer.format ? buffer.format : "B";
      if (buffer.ndim != 1 || !PyBuffer_IsContiguous(&buffer, 'C') || (rows >= 0 && buffer.shape[0] != rows) ||
          (!is_time && formats_[number] != format))
        return nullptr;
      rows = buffer.shape[0];
      columns[number].values = std::move(view);
    }
    if (rows < 0) return nullptr;  // of no columns
    return std::make_unique<Batch>(std::move(columns), rows);
  }

 private:
  std::vector<nb::object> names_;
  std::vector<std::string> formats_;
  std::vector<nb::object> dtypes_;
};

// What one row is made of: read from Python's own objects without NumPy.
class RowReader {
 public:
  RowReader(const Items<nb::object>& names, const Items<nb::object>& dtypes, const Items<bool>& is_signed)
      : names_(names.get()), dtypes_(dtypes.get()), cells_(names_.size()) {
    for (const bool each : is_signed.get()) signedness_.push_back(each);
    if (dtypes_.size() != names_.size() || signedness_.size() != names_.size())
      throw nb::value_error("lists of different lengths");
  }

  // Reads a row if all of its values are plain; what is None is a null. `dictionaries` are the codes of each category
  // column. The inputs refer to this object and to the values.
  bool read(const std::vector<GrowingPlaces>& columns, const nb::object& values,
            const std::vector<nb::object>& dictionaries, std::vector<GrowingInput>& inputs) {
    if (columns.size() != names_.size() || dictionaries.size() != names_.size() || !PyDict_CheckExact(values.ptr()) ||
        nb::len(values) != names_.size() || is_reading_)
      return false;
    const Reading reading(is_reading_);
    inputs.assign(columns.size(), {});
    for (size_t number = 0; number < columns.size(); ++number) {
      PyObject* const value = PyDict_GetItemWithError(values.ptr(), names_[number].ptr());
      if (!value) {
        if (PyErr_Occurred()) throw nb::python_error();
        return false;
      }
      if (!read(number, columns[number], value, dictionaries[number], inputs[number])) return false;
    }
    return true;
  }

 private:
  // An allocation may run a finalizer, which may append a row too: that one is read the slow way.
  class Reading {
   public:
    explicit Reading(bool& flag) : flag_(flag) { flag_ = true; }
    ~Reading() { flag_ = false; }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    bool& flag_;
  };

  struct Cell {
    std::array<uint8_t, 8> value{};
    uint8_t missing = 0, valid = 1;
    std::array<int64_t, 2> offsets{};
  };

  template <class Value>
  static void put(Cell& cell, Value value) {
    std::memcpy(cell.value.data(), &value, sizeof(value));
  }

  static bool put_integer(Cell& cell, PyObject* object, int width, bool is_signed) {
    if (!PyLong_CheckExact(object)) return false;
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow) return false;
    const int bits = 8 * width;
    if (is_signed ? (bits < 64 && (value < -(1LL << (bits - 1)) || value >= 1LL << (bits - 1)))
                  : (value < 0 || (bits < 64 && value >= 1LL << bits)))
      return false;
    std::memcpy(cell.value.data(), &value, static_cast<size_t>(width));  // little-endian
    return true;
  }

  static bool put_float(Cell& cell, PyObject* object, int width) {
    if (!PyFloat_CheckExact(object) || width == 2) return false;
    const double value = PyFloat_AS_DOUBLE(object);
    if (width == 8) return put(cell, value), true;
    const float single = static_cast<float>(value);
    put(cell, single);
    return std::isinf(single) == std::isinf(value);  // the slow way says that the value is too large
  }

  bool put_time(size_t number, Cell& cell, PyObject* object) const {
    if (std::strcmp(Py_TYPE(object)->tp_name, dtypes_[number].is_none() ? "" : "numpy.datetime64") != 0 &&
        std::strcmp(Py_TYPE(object)->tp_name, "numpy.timedelta64") != 0)
      return false;
    const nb::object dtype = nb::steal(PyObject_GetAttr(object, dtype_name_.ptr()));
    if (!dtype.is_valid()) throw nb::python_error();
    const int same = PyObject_RichCompareBool(dtype.ptr(), dtypes_[number].ptr(), Py_EQ);
    if (same < 0) throw nb::python_error();
    if (!same) return false;
    const BufferView view(nb::borrow(object), PyBUF_SIMPLE);
    if (view.get().len != 8) return false;
    std::memcpy(cell.value.data(), view.get().buf, 8);
    return true;
  }

  bool read(size_t number, const GrowingPlaces& column, PyObject* value, const nb::object& dictionary,
            GrowingInput& input) {
    Cell& cell = cells_[number] = Cell{};
    input.values = cell.value.data();
    input.missing = &cell.missing;
    const bool is_none = value == Py_None;
    switch (column.kind) {
      case GrowingKind::integer: return put_integer(cell, value, column.width, signedness_[number]);
      case GrowingKind::floating:
        if (is_none && column.width == 8) return put(cell, std::numeric_limits<double>::quiet_NaN()), true;
        return put_float(cell, value, column.width);
      case GrowingKind::time:
        if (is_none) return put(cell, std::numeric_limits<int64_t>::min()), true;
        return put_time(number, cell, value);
      case GrowingKind::boolean:
      case GrowingKind::masked_boolean:
        if (is_none && column.mask >= 0) return cell.missing = 1, true;
        cell.value[0] = value == Py_True;
        return value == Py_True || value == Py_False;
      case GrowingKind::masked:
        if (is_none) return cell.missing = 1, true;
        return put_integer(cell, value, column.width, signedness_[number]) && dtypes_[number].is_none();
      case GrowingKind::text: {
        input.offsets = cell.offsets.data();
        input.valid_bits = &cell.valid;
        if (is_none) return cell.valid = 0, true;
        if (!PyUnicode_CheckExact(value)) return false;
        Py_ssize_t size = 0;
        const char* const text = PyUnicode_AsUTF8AndSize(value, &size);
        if (!text) return PyErr_Clear(), false;  // half of a surrogate pair: the slow way says so
        cell.offsets[1] = size;
        input.text = reinterpret_cast<const uint8_t*>(text);
        return true;
      }
      case GrowingKind::category: {
        if (is_none) return put(cell, int32_t{-1}), true;
        if (!PyUnicode_CheckExact(value) || !PyDict_CheckExact(dictionary.ptr())) return false;
        PyObject* const code = PyDict_GetItemWithError(dictionary.ptr(), value);
        if (!code) {
          if (PyErr_Occurred()) throw nb::python_error();
          return false;
        }
        return put_integer(cell, code, 4, true);
      }
    }
    return false;
  }

  std::vector<nb::object> names_;
  std::vector<nb::object> dtypes_;
  std::vector<bool> signedness_;
  nb::object dtype_name_ = nb::steal(PyUnicode_InternFromString("dtype"));
  std::vector<Cell> cells_;
  bool is_reading_ = false;
};

// Appends to one segment what is plain, fits, and ascends where there is an index. Whoever calls is the only writer.
class DirectAppender {
 public:
  // `codes` are those of each category column; `index` is the number of the column that ascends, and `carried` the
  // bytes of its last value before this segment.
  DirectAppender(const nb::object& reader, const nb::object& plain, const nb::object& rows, const nb::object& words,
                 const Items<nb::object>& codes, std::optional<size_t> index, bool is_signed, const nb::object& carried)
      : owners_{reader, plain, rows, words},
        reader_(nb::cast<RowReader*>(reader)),
        plain_(plain.is_none() ? nullptr : nb::cast<const PlainColumns*>(plain)),
        rows_(nb::cast<GrowingRows*>(rows)),
        words_(nb::cast<HeadWords*>(words)),
        codes_(codes.get()),
        index_(index),
        is_signed_(is_signed) {
    if (index && (*index >= rows_->columns().size() || rows_->columns()[*index].values < 0))
      throw nb::value_error("not a column of values");
    if (index && !carried.is_none()) {
      const BufferView view(carried, PyBUF_SIMPLE);
      const auto* const bytes = static_cast<const uint8_t*>(view.get().buf);
      value_before_.assign(bytes, bytes + view.get().len);
      if (view.get().len < rows_->columns()[*index].width) throw nb::value_error("less than one value");
    }
  }

  // Another appender may get the same address, and must not count as started.
  ~DirectAppender() {
    if (is_started()) words_->set_direct_writer(nullptr);
  }
  DirectAppender(const DirectAppender&) = delete;
  DirectAppender& operator=(const DirectAppender&) = delete;

  // Only the one that was started last may write, until the head's words stop it.
  void start() { words_->set_direct_writer(this); }
  bool is_started() const { return words_->direct_writer() == this; }

  // These return how many rows are published then; nothing if there is more to be asked, and nothing is written then.
  // After `is_started` no other thread of Python runs, so `row` and `batch` need no lock.
  std::optional<uint64_t> row(const nb::object& values) {
    if (!reader_->read(rows_->columns(), values, codes_, inputs_) || !is_started()) return std::nullopt;
    return append(inputs_, 1, false);
  }

  // 0 for rows that take long.
  std::optional<uint64_t> batch(const nb::object& data) {
    if (plain_ == nullptr) return std::nullopt;
    if (is_long(rows_->columns().size(), plain_->first_length(data))) return 0;
    const std::unique_ptr<Batch> batch = plain_->batch(data);
    if (!batch || !is_started()) return std::nullopt;
    return append(batch->inputs(rows_->columns(), 0), batch->rows(), false);
  }

  // For whoever has the lock. Other threads run while it writes, so it stops the short appends first.
  std::optional<uint64_t> long_batch(const nb::object& data) {
    const std::unique_ptr<Batch> batch = plain_ == nullptr ? nullptr : plain_->batch(data);
    if (!batch || !is_started()) return std::nullopt;  // a finalizer may have closed the appender meanwhile
    words_->set_direct_writer(nullptr);
    return append(batch->inputs(rows_->columns(), 0), batch->rows(), true);
  }

 private:
  std::optional<uint64_t> append(const std::vector<GrowingInput>& inputs, int64_t count, bool releases) {
    if (count < 1 || words_->is_deleted() || rows_->fitting(inputs, count) < count) return std::nullopt;
    if (index_) {
      const GrowingPlaces& place = rows_->columns()[*index_];
      const uint8_t* const last =
          rows_->rows() > 0 ? rows_->last_value(*index_) : (value_before_.empty() ? nullptr : value_before_.data());
      if (first_descent(inputs[*index_].values, count, place.kind, place.width, is_signed_, last)) return std::nullopt;
    }
    const uint64_t published = words_->published() + static_cast<uint64_t>(count);
    with_pages(*rows_, inputs, count, releases, [&] {
      rows_->write(inputs, count);
      words_->publish(published);
    });
    return published;
  }

  std::array<nb::object, 4> owners_;
  RowReader* reader_;
  const PlainColumns* plain_;
  GrowingRows* rows_;
  HeadWords* words_;
  std::vector<nb::object> codes_;
  std::optional<size_t> index_;
  bool is_signed_;
  std::vector<uint8_t> value_before_;
  std::vector<GrowingInput> inputs_;
};

}  // namespace

void bind_growing_direct(nb::module_& m) {
  nb::class_<PlainColumns>(m, "PlainColumns", "The columns of batches that are arrays of the very dtypes.")
      .def(nb::init<const Items<nb::object>&, const Items<nb::object>&, const Items<nb::object>&>(), "names"_a,
           "formats"_a, "dtypes"_a)
      .def("batch", &PlainColumns::batch, "data"_a.none(),
           "A batch of a dict of contiguous arrays of these dtypes; None for anything else.");
  nb::class_<RowReader>(m, "RowReader", "Reads single rows of plain Python objects.")
      .def(nb::init<const Items<nb::object>&, const Items<nb::object>&, const Items<bool>&>(), "names"_a, "dtypes"_a,
           "is_signed"_a);
  nb::class_<DirectAppender>(
      m, "DirectAppender",
      "Appends rows to one segment that need no conversion, by one call.\n\n"
      "The methods return how many rows are published then. None: there is more to be asked, and nothing is written.\n"
      "They raise OSError if the file system is full; nothing is written then either.")
      .def(nb::init<const nb::object&, const nb::object&, const nb::object&, const nb::object&,
                    const Items<nb::object>&, std::optional<size_t>, bool, const nb::object&>(),
           "reader"_a, "plain"_a.none(), "rows"_a, "words"_a, "codes"_a, "index"_a.none(), "is_signed"_a,
           "carried"_a.none())
      .def("start", &DirectAppender::start, "Let this one write, and no other of the table.")
      .def_prop_ro("is_started", &DirectAppender::is_started, "Whether it may write.")
      .def("row", &DirectAppender::row, "values"_a.none(),
           "Append and publish one row, a dict of plain objects, if it may write. It needs no lock.")
      .def("batch", &DirectAppender::batch, "data"_a.none(),
           "Append and publish a dict of plain arrays, if it may write; 0: it would take long. It needs no lock.")
      .def("long_batch", &DirectAppender::long_batch, "data"_a.none(),
           "The same for any number of rows. The caller has the lock, and starts the appender again: it is stopped,\n"
           "because other threads run meanwhile.");
}

}  // namespace colonnade
