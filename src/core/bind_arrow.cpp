// Arrow arrays of C streams.
#include "bindings.h"

#include <nanobind/stl/vector.h>

#include <utility>
#include <vector>

#include "arrow_stream.h"
#include "plan.h"

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

void add_columns(ImportedArrays& arrays, const std::vector<nb::object>& capsules, int64_t rows, int threads) {
  std::vector<ArrowArrayStream*> streams;
  streams.reserve(capsules.size());
  for (const nb::object& capsule : capsules) streams.push_back(&stream_of(capsule));
  without_gil([&] { arrays.add_columns(streams, rows, threads_or_all(threads)); });
}

bool add_table(ImportedArrays& arrays, const nb::object& capsule, int64_t columns, int64_t rows, int64_t most_batches) {
  if (columns < 0) throw nb::value_error("columns must be >= 0");
  ArrowArrayStream& stream = stream_of(capsule);
  return without_gil([&] { return arrays.add_table(stream, columns, rows, most_batches); });
}

auto imported_pieces(const ImportedArrays& arrays) {
  size_t count = 0;
  for (const ImportedArrays::Column& column : arrays.columns()) count += column.pieces.size();
  std::vector<int64_t> numbers;
  numbers.reserve(count * field_count<piece_fields>);
  for (const ImportedArrays::Column& column : arrays.columns())
    for (const Piece& piece : column.pieces) append_fields<piece_fields>(numbers, piece);
  return new_array<-1, field_count<piece_fields>>(std::move(numbers), {count, field_count<piece_fields>});
}

// One number of each column.
template <class Of>
NewArray<-1> of_each_column(const ImportedArrays& arrays, const Of& of) {
  std::vector<int64_t> numbers;
  numbers.reserve(arrays.columns().size());
  for (const ImportedArrays::Column& column : arrays.columns()) numbers.push_back(of(column));
  const size_t columns = numbers.size();
  return new_array<-1>(std::move(numbers), {columns});
}

auto imported_counts(const ImportedArrays& arrays) {
  return of_each_column(arrays, [](const auto& column) { return std::ssize(column.pieces); });
}

auto imported_nulls(const ImportedArrays& arrays) {
  return of_each_column(arrays, [](const auto& column) { return column.nulls; });
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
      .def("add_table", &add_table, "stream"_a, "columns"_a, "rows"_a, "most_batches"_a,
           "Add the columns of a stream of batches; False, and no column, if there are more than ``most_batches``.")
      .def("pieces", &imported_pieces, "Shape (pieces, 8): those of the first column first. Strides are 0.")
      .def("piece_counts", &imported_counts, "How many pieces each column has.")
      .def("nulls", &imported_nulls, "How many nulls each column has.");
}

}  // namespace colonnade
