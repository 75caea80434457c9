// Growing tables: the words that processes share, and rows that are written.
#include "bindings.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bind_growing.h"
#include "growing.h"
#include "growing_rows.h"
#include "mapping.h"

namespace colonnade {
namespace {

using PlacesParts = std::tuple<int, int, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;

void make_rows(GrowingRows* self, int fd, const Mapping& mapping, const Items<PlacesParts>& columns, int64_t capacity,
               int64_t text_bytes, int64_t rows) {
  std::vector<GrowingPlaces> places;
  for (const auto& [kind, width, values, validity, pandas, mask, offsets, text] : columns.get())
    places.push_back({static_cast<GrowingKind>(kind), width, values, validity, pandas, mask, offsets, text});
  try {
    new (self) GrowingRows(fd, static_cast<uint8_t*>(mapping.address()), mapping.size(), std::move(places), capacity,
                           text_bytes, rows);
  } catch (const std::invalid_argument& error) {
    throw nb::value_error(error.what());
  }
}

std::optional<int64_t> descending_row(const GrowingRows& rows, const Batch& batch, size_t index, bool is_signed,
                                      const nb::object& carried) {
  const std::vector<GrowingInput> inputs = batch.inputs(rows.columns(), 0);
  const GrowingPlaces& place = rows.columns().at(index);
  if (place.values < 0) throw nb::value_error("this column has no values");
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
  with_pages(rows, inputs, count, is_long(inputs.size(), count), [&] { rows.write(inputs, count); });
  return count;
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
           "Store how many rows are published, with release order, and wake all who wait for it.")
      .def_prop_rw("published", &HeadWords::published, &HeadWords::set_published,
                   "How many rows this producer has published, or has seen when it began its turn.")
      .def(
          "stop_direct", [](HeadWords& words) { words.set_direct_writer(nullptr); },
          "Let no `DirectAppender` write until one is started.");
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
      .def("append", &append_rows, "batch"_a, "start"_a,
           "Write rows of a batch from ``start`` on, as many as fit; returns how many. OSError if the file system is "
           "full.");
}

}  // namespace colonnade
