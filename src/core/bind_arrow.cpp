// Arrow arrays of C streams.
#include "bindings.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "arrow_stream.h"

namespace colonnade {
namespace {

ArrowArrayStream& stream_of(const nb::object& capsule) {
  void* const address = PyCapsule_GetPointer(capsule.ptr(), "arrow_array_stream");
  if (address == nullptr) throw nb::python_error();
  auto& stream = *static_cast<ArrowArrayStream*>(address);
  if (stream.release == nullptr) throw nb::value_error("this Arrow stream was read before");
  if (stream.get_next == nullptr) throw nb::value_error("this Arrow stream has no get_next");
  return stream;
}

void add_columns(ImportedArrays& arrays, const Items<nb::object>& capsules, int64_t rows, int threads) {
  const std::vector<nb::object> objects = capsules.get();
  std::vector<ArrowArrayStream*> streams;
  streams.reserve(objects.size());
  for (const nb::object& capsule : objects) streams.push_back(&stream_of(capsule));
  without_gil([&] { arrays.add_columns(streams, rows, threads_or_all(threads)); });
}

using Positions = nb::ndarray<const int64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;

bool add_table(ImportedArrays& arrays, const nb::object& capsule, const Positions& chosen, int64_t columns,
               int64_t rows, int64_t most_batches) {
  ArrowArrayStream& stream = stream_of(capsule);
  const std::span positions(chosen.data(), chosen.shape(0));
  return without_gil([&] { return arrays.add_table(stream, positions, columns, rows, most_batches); });
}

void renumber(ImportedArrays& arrays, size_t column, const Items<std::pair<int64_t, int64_t>>& maps) {
  arrays.renumber(column, maps.get());
}

// A byte for each column: 1 where it has nulls.
nb::bytes columns_with_nulls(const ImportedArrays& arrays) {
  std::string flags;
  flags.reserve(arrays.columns().size());
  for (const ImportedArrays::Column& column : arrays.columns()) flags.push_back(column.nulls > 0 ? '\1' : '\0');
  return nb::bytes(flags.data(), flags.size());
}

}  // namespace

void bind_arrow(nb::module_& m) {
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
           "Let int32 numbers replace a column's indices: (address, count) for each piece. The caller keeps them "
           "alive.");
}

}  // namespace colonnade
