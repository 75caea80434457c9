// Growing tables: the words that processes share, and rows that are written.
#include "bindings.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "growing.h"
#include "growing_rows.h"
#include "mapping.h"

namespace colonnade {
namespace {

// Below this the GIL is kept: releasing it takes as long as the copy.
constexpr int64_t worth_releasing = 256 << 10;

// The aligned word at a place of a buffer, which is checked.
template <class Word>
Word* word_at(const Py_buffer& view, size_t at) {
  char* const address = static_cast<char*>(view.buf) + at;
  if (at + sizeof(Word) > static_cast<size_t>(view.len) || reinterpret_cast<uintptr_t>(address) % sizeof(Word) != 0)
    throw nb::value_error("not a word of this memory");
  return reinterpret_cast<Word*>(address);
}

// The words of a head that is mapped for writing; checked once.
class HeadWords {
 public:
  // `committed` and `state` are where these words stand; `deleted` is the state of a table that is gone.
  HeadWords(const nb::object& memory, size_t committed, size_t state, uint64_t deleted)
      : view_(memory, PyBUF_WRITABLE), committed_(word(committed)), state_(word(state)), deleted_(deleted) {}
  bool is_deleted() const { return load_word(state_) == deleted_; }
  uint64_t load(size_t at) const { return load_word(word(at)); }
  void store(size_t at, uint64_t value) const { store_word(word(at), value); }
  void publish(uint64_t rows) const { publish_word(committed_, rows); }

 private:
  uint64_t* word(size_t at) const { return word_at<uint64_t>(view_.get(), at); }

  BufferView view_;
  uint64_t *committed_, *state_;
  uint64_t deleted_;
};

// A batch of rows: the memory of each column, kept by the buffer protocol.
class Batch {
 public:
  // Each column is (values, missing, offsets, text, valid bits, first bit); None for what it has not.
  using Parts = std::tuple<nb::object, nb::object, nb::object, nb::object, nb::object, int64_t>;
  Batch(const Items<Parts>& columns, int64_t rows) : rows_(rows) {
    for (const auto& [values, missing, offsets, text, bits, first_bit] : columns.get())
      columns_.push_back({view(values), view(missing), view(offsets), view(text), view(bits), first_bit});
  }

  using View = std::unique_ptr<BufferView>;
  struct Column {
    View values, missing, offsets, text, bits;
    int64_t first_bit = 0;
  };
  Batch(std::vector<Column> columns, int64_t rows) : rows_(rows), columns_(std::move(columns)) {}
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  int64_t rows() const { return rows_; }

  // The rows from `start` on, as the core takes them.
  std::vector<GrowingInput> inputs(const std::vector<GrowingPlaces>& places, int64_t start) const {
    if (places.size() != columns_.size() || start < 0 || start > rows_)
      throw nb::value_error("not a batch for this table");
    std::vector<GrowingInput> inputs(places.size());
    for (size_t number = 0; number < places.size(); ++number) {
      const Column& column = columns_[number];
      GrowingInput& input = inputs[number];
      const bool is_text = places[number].kind == GrowingKind::text, has_mask = places[number].mask >= 0;
      const int64_t width = std::max(places[number].width, 1);
      if (!is_text) input.values = memory(column.values, rows_ * width) + start * width;
      if (has_mask) input.missing = memory(column.missing, rows_) + start;
      if (!is_text) continue;
      input.offsets = reinterpret_cast<const int64_t*>(memory(column.offsets, 8 * (rows_ + 1)));
      for (int64_t row = 0; row < rows_; ++row)
        if (input.offsets[row] > input.offsets[row + 1]) throw nb::value_error("offsets that descend");
      if (input.offsets[0] < 0) throw nb::value_error("an offset below 0");
      if (input.offsets[rows_] > 0) input.text = memory(column.text, input.offsets[rows_]);
      input.offsets += start;
      if (column.bits) input.valid_bits = memory(column.bits, (column.first_bit + rows_ + 7) / 8);
      input.first_bit = column.first_bit + start;
    }
    return inputs;
  }

 private:
  static View view(const nb::object& object) {
    return object.is_none() ? nullptr : std::make_unique<BufferView>(object, PyBUF_SIMPLE);
  }
  static const uint8_t* memory(const View& view, int64_t size) {
    if (!view || view->get().len < size) throw nb::value_error("a column has less memory than rows");
    return static_cast<const uint8_t*>(view->get().buf);
  }

  int64_t rows_;
  std::vector<Column> columns_;
};

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

  // A batch of a mapping whose arrays are all contiguous, of one axis, and of the very dtypes; else null.
  std::unique_ptr<Batch> batch(const nb::object& data) const {
    if (!PyDict_CheckExact(data.ptr()) || nb::len(data) != names_.size()) return nullptr;
    std::vector<Batch::Column> columns(names_.size());
    Py_ssize_t rows = -1;
    for (size_t number = 0; number < names_.size(); ++number) {
      PyObject* const found = PyDict_GetItemWithError(data.ptr(), names_[number].ptr());
      if (!found) {
        if (PyErr_Occurred()) throw nb::python_error();
        return nullptr;
      }
      nb::object array = nb::borrow(found);
      // Other arrays may mean more than their memory: a masked array has a mask.
      if (std::strcmp(Py_TYPE(found)->tp_name, "numpy.ndarray") != 0) return nullptr;
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
    return std::make_unique<Batch>(std::move(columns), rows);
  }

 private:
  std::vector<nb::object> names_;
  std::vector<std::string> formats_;
  std::vector<nb::object> dtypes_;
};

// What one row is made of: read from Python's own objects without NumPy. The slow way is taken for whatever is not
// plain.
class RowReader {
 public:
  RowReader(const Items<nb::object>& names, const Items<nb::object>& dtypes, const Items<bool>& is_signed)
      : names_(names.get()), dtypes_(dtypes.get()), cells_(names_.size()) {
    for (const bool each : is_signed.get()) signed_.push_back(each);
    if (dtypes_.size() != names_.size() || signed_.size() != names_.size())
      throw nb::value_error("lists of different lengths");
  }

  // Appends and publishes a row if all of its values are plain and the table is not deleted; what is None is a null.
  // `dictionaries` are the codes of each category column.
  bool write(GrowingRows& rows, const nb::object& values, const Items<nb::object>& given_dictionaries,
             std::optional<size_t> index, const nb::object& carried, const HeadWords& words, uint64_t published) {
    if (words.is_deleted()) return false;
    const std::vector<nb::object> dictionaries = given_dictionaries.get();
    const auto& columns = rows.columns();
    if (columns.size() != names_.size() || dictionaries.size() != names_.size() || !PyDict_CheckExact(values.ptr()) ||
        nb::len(values) != names_.size())
      return false;
    std::vector<GrowingInput> inputs(columns.size());
    for (size_t number = 0; number < columns.size(); ++number) {
      PyObject* const value = PyDict_GetItemWithError(values.ptr(), names_[number].ptr());
      if (!value) {
        if (PyErr_Occurred()) throw nb::python_error();
        return false;
      }
      if (!read(number, columns[number], value, dictionaries[number], inputs[number])) return false;
    }
    if (rows.fitting(inputs, 1) < 1) return false;
    if (index) {
      const GrowingPlaces& place = columns[*index];
      const uint8_t* last = rows.last_value(*index);
      std::optional<BufferView> before;
      if (!last && !carried.is_none()) {
        before.emplace(carried, PyBUF_SIMPLE);
        last = static_cast<const uint8_t*>(before->get().buf);
      }
      if (first_descent(inputs[*index].values, 1, place.kind, place.width, signed_[*index], last)) return false;
    }
    or_raise([&] { rows.provide(inputs, 1); });
    rows.write(inputs, 1);
    words.publish(published + 1);
    return true;
  }

 private:
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
    const float rounded = static_cast<float>(value);
    put(cell, rounded);
    return std::isinf(rounded) == std::isinf(value);  // the slow way says that the value is too large
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
      case GrowingKind::integer: return put_integer(cell, value, column.width, signed_[number]);
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
        return put_integer(cell, value, column.width, signed_[number]) && dtypes_[number].is_none();
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
  std::vector<bool> signed_;
  nb::object dtype_name_ = nb::steal(PyUnicode_InternFromString("dtype"));
  std::vector<Cell> cells_;
};

using PlacesParts = std::tuple<int, int, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;

void make_rows(GrowingRows* self, int fd, const Mapping& mapping, const Items<PlacesParts>& columns, int64_t capacity,
               int64_t text_bytes, int64_t rows) {
  std::vector<GrowingPlaces> places;
  for (const auto& [kind, width, values, validity, pandas, mask, offsets, text] : columns.get())
    places.push_back({static_cast<GrowingKind>(kind), width, values, validity, pandas, mask, offsets, text});
  if (rows < 0 || rows > capacity) throw nb::value_error("more rows than capacity");
  new (self) GrowingRows(fd, static_cast<uint8_t*>(mapping.address()), mapping.size(), std::move(places), capacity,
                         text_bytes, rows);
}

std::optional<int64_t> descending_row(const GrowingRows& rows, const Batch& batch, size_t index, bool is_signed,
                                      const nb::object& carried) {
  const std::vector<GrowingInput> inputs = batch.inputs(rows.columns(), 0);
  const GrowingPlaces& place = rows.columns().at(index);
  const uint8_t* last = rows.last_value(index);
  std::optional<BufferView> before;
  if (!last && !carried.is_none()) {
    before.emplace(carried, PyBUF_SIMPLE);
    if (before->get().len < place.width) throw nb::value_error("less than one value");
    last = static_cast<const uint8_t*>(before->get().buf);
  }
  return first_descent(inputs[index].values, batch.rows(), place.kind, place.width, is_signed, last);
}

int64_t append_rows(GrowingRows& rows, const Batch& batch, int64_t start) {
  const std::vector<GrowingInput> inputs = batch.inputs(rows.columns(), start);
  const int64_t count = rows.fitting(inputs, batch.rows() - start);
  if (count == 0) return 0;
  const auto append = [&] {
    rows.provide(inputs, count);
    rows.write(inputs, count);
  };
  const bool is_long = count * static_cast<int64_t>(inputs.size()) * 8 >= worth_releasing;
  or_raise([&] { is_long ? without_gil(append) : append(); });
  return count;
}

// Writes and publishes a batch, if the segment has room for all of it and the table is not deleted.
bool append_whole(GrowingRows& rows, const Batch& batch, const HeadWords& words, uint64_t published) {
  const std::vector<GrowingInput> inputs = batch.inputs(rows.columns(), 0);
  if (words.is_deleted() || rows.fitting(inputs, batch.rows()) < batch.rows()) return false;
  const auto append = [&] {
    rows.provide(inputs, batch.rows());
    rows.write(inputs, batch.rows());
    words.publish(published + static_cast<uint64_t>(batch.rows()));
  };
  const bool is_long = batch.rows() * static_cast<int64_t>(inputs.size()) * 8 >= worth_releasing;
  or_raise([&] { is_long ? without_gil(append) : append(); });
  return true;
}

void bind_words(nb::module_& m) {
  m.def(
      "publish_word",
      [](const nb::object& memory, size_t at, uint64_t value) {
        const BufferView view(memory, PyBUF_WRITABLE);
        publish_word(word_at<uint64_t>(view.get(), at), value);
      },
      "memory"_a, "at"_a, "value"_a,
      "Store an aligned word with release order, and wake all who wait for its low half.");
  m.def(
      "wake_word",
      [](const nb::object& memory, size_t at) {
        const BufferView view(memory, PyBUF_SIMPLE);
        wake_word(word_at<const uint64_t>(view.get(), at));
      },
      "memory"_a, "at"_a, "Wake all who wait for the low half of a word.");
  m.def(
      "store_word",
      [](const nb::object& memory, size_t at, uint64_t value) {
        const BufferView view(memory, PyBUF_WRITABLE);
        store_word(word_at<uint64_t>(view.get(), at), value);
      },
      "memory"_a, "at"_a, "value"_a, "Store an aligned word with release order.");
  m.def(
      "load_word",
      [](const nb::object& memory, size_t at) {
        const BufferView view(memory, PyBUF_SIMPLE);
        return load_word(word_at<const uint64_t>(view.get(), at));
      },
      "memory"_a, "at"_a, "Load an aligned word with acquire order.");
  m.def(
      "store_half_word",
      [](const nb::object& memory, size_t at, uint32_t value) {
        const BufferView view(memory, PyBUF_WRITABLE);
        store_half_word(word_at<uint32_t>(view.get(), at), value);
      },
      "memory"_a, "at"_a, "value"_a, "Store four aligned bytes with release order.");
}

}  // namespace

void bind_growing(nb::module_& m) {
  bind_words(m);
  nb::class_<HeadWords>(m, "HeadWords", "The words of a growing table's head, for its producer.")
      .def(nb::init<const nb::object&, size_t, size_t, uint64_t>(), "memory"_a, "committed"_a, "state"_a, "deleted"_a)
      .def_prop_ro("is_deleted", &HeadWords::is_deleted, "Whether the table is deleted.")
      .def("load", &HeadWords::load, "at"_a, "Load an aligned word with acquire order.")
      .def("store", &HeadWords::store, "at"_a, "value"_a, "Store an aligned word with release order.")
      .def("publish", &HeadWords::publish, "rows"_a,
           "Store how many rows are published, with release order, and wake all who wait for it.");
  nb::class_<Batch>(m, "GrowingBatch", "Rows for a growing table: the memory of each column.")
      .def(nb::init<const Items<Batch::Parts>&, int64_t>(), "columns"_a, "rows"_a,
           "Each column is (values, missing, offsets, text, valid bits, first bit), None for what it has not.")
      .def("__len__", &Batch::rows);
  nb::class_<GrowingRows>(m, "GrowingRows", "Writes rows into a segment of a growing table; one thread at a time.")
      .def("__init__", &make_rows, "fd"_a, "mapping"_a, "columns"_a, "capacity"_a, "text_bytes"_a, "rows"_a,
           nb::keep_alive<1, 3>(),
           "Each column is (kind, width, values, validity, pandas, mask, offsets, text); -1 for no place.")
      .def_prop_ro("rows", &GrowingRows::rows, "How many rows were written, published or not.")
      .def(
          "counts",
          [](const GrowingRows& rows) {
            std::vector<int64_t> nulls, ends;
            for (size_t number = 0; number < rows.columns().size(); ++number) {
              nulls.push_back(rows.nulls(number));
              ends.push_back(rows.text_end(number));
            }
            return std::tuple(nulls, ends);
          },
          "The nulls of each column, and where its text ends.")
      .def(
          "provide", [](GrowingRows& rows, int64_t from, int64_t to) { or_raise([&] { rows.provide(from, to); }); },
          "start"_a, "stop"_a, "Allocate the pages of some bytes; OSError if the file system is full.")
      .def("descending_row", &descending_row, "batch"_a, "index"_a, "is_signed"_a, "carried"_a.none(),
           "The first row that is less than the one before it in a column; None if they ascend.")
      .def("append_whole", &append_whole, "batch"_a, "words"_a, "published"_a,
           "Write and publish a batch; False if it does not fit or the table is deleted, and nothing is written then.")
      .def("append", &append_rows, "batch"_a, "start"_a,
           "Write rows of a batch from ``start`` on, as many as fit; returns how many. OSError if the file system is "
           "full.");
  nb::class_<PlainColumns>(m, "PlainColumns", "The columns of batches that are arrays of the very dtypes.")
      .def(nb::init<const Items<nb::object>&, const Items<nb::object>&, const Items<nb::object>&>(), "names"_a,
           "formats"_a, "dtypes"_a)
      .def("batch", &PlainColumns::batch, "data"_a,
           "A batch of a dict of contiguous arrays of these dtypes; None for anything else.");
  nb::class_<RowReader>(m, "RowReader", "Appends single rows of plain Python objects.")
      .def(nb::init<const Items<nb::object>&, const Items<nb::object>&, const Items<bool>&>(), "names"_a, "dtypes"_a,
           "is_signed"_a)
      .def("write", &RowReader::write, "rows"_a, "values"_a, "dictionaries"_a, "index"_a.none(), "carried"_a.none(),
           "words"_a, "published"_a,
           "Append and publish a row if all of its values are plain; False if not, and nothing is written then.");
}

}  // namespace colonnade
