// The hash index over key columns.
#include "bindings.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "key_index.h"

namespace colonnade {
namespace {

using Words = nb::ndarray<const uint64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using RowNumbers = nb::ndarray<const uint32_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using Positions = nb::ndarray<const int64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using NewWords = nb::ndarray<uint64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using NewRowNumbers = nb::ndarray<uint32_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using NewPositions = nb::ndarray<int64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using KeyBytes = nb::ndarray<const uint8_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using ShortOffsets = nb::ndarray<const int32_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using Offsets = std::variant<Positions, ShortOffsets>;
// (values, bytes of a value or 0 for text, offsets or an empty array, validity bytes or an empty array)
using KeyParts = std::tuple<KeyBytes, int64_t, Offsets, KeyBytes>;

template <class Array>
auto span_of(const Array& array) {
  return std::span{array.data(), array.shape(0)};
}

// Whether offsets never fall, and end within `size` bytes.
template <class Offset>
bool lead_inside(std::span<const Offset> offsets, size_t size) {
  if (offsets.empty()) return true;
  return offsets.front() >= 0 && std::ranges::is_sorted(offsets) && static_cast<size_t>(offsets.back()) <= size;
}

// The columns of a key, each of which has `rows` values.
std::vector<KeyColumn> key_columns(const Items<KeyParts>& parts, int64_t rows) {
  if (rows < 0) throw nb::value_error("a number of rows is below 0");
  std::vector<KeyColumn> columns;
  for (const auto& [values, width, offsets, valid] : parts.get()) {
    const auto size = static_cast<int64_t>(values.shape(0));
    if (width < 0 || (width > 0 && (rows > size / width || size != rows * width)))
      throw nb::value_error("the values of a key column are not as many as its rows");
    KeyColumn column{span_of(values), {}, span_of(valid), width};
    if (const auto* positions = std::get_if<Positions>(&offsets))
      column.offsets = span_of(*positions);
    else
      column.short_offsets = span_of(std::get<ShortOffsets>(offsets));
    if (width == 0 && column.offsets.size() + column.short_offsets.size() != static_cast<size_t>(rows) + 1)
      throw nb::value_error("the offsets of a key column are not one more than its rows");
    if (valid.shape(0) != 0 && static_cast<int64_t>(valid.shape(0)) != rows)
      throw nb::value_error("the validity of a key column is not as long as its rows");
    columns.push_back(column);
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

std::optional<std::pair<int64_t, int64_t>> build_key_index_of(const Items<KeyParts>& parts, int64_t rows, uint64_t seed,
                                                              int64_t bits, NewWords slots, NewRowNumbers next,
                                                              int threads) {
  if (rows < 0 || rows > most_key_rows) throw nb::value_error("a key index has at most 4,294,967,294 rows");
  const std::vector<KeyColumn> columns = key_columns(parts, rows);
  if (bits < 0 || bits > 32 || static_cast<int64_t>(slots.shape(0)) % (INT64_C(1) << bits) != 0 ||
      static_cast<int64_t>(slots.shape(0)) >> bits < 1)
    throw nb::value_error("the slots of a key index do not divide into its regions");
  if (static_cast<int64_t>(next.shape(0)) != rows)
    throw nb::value_error("the chain of a key index is not as long as the table");
  for (const KeyColumn& column : columns)
    if (!lead_inside(column.offsets, column.values.size()) || !lead_inside(column.short_offsets, column.values.size()))
      throw nb::value_error("the offsets of a key column lead outside of its values");
  const std::optional<KeyIndexCounts> counts = without_gil([&] {
    return build_key_index(columns, rows, seed, bits, span_of(slots), span_of(next), threads_or_all(threads));
  });
  if (!counts) return std::nullopt;
  return std::pair{counts->nulls, counts->duplicates};
}

bool find_keys_in(const Words& slots, const RowNumbers& next, int64_t bits, uint64_t seed, const Items<KeyParts>& parts,
                  int64_t rows, const Items<KeyParts>& keys, NewPositions out, int threads) {
  const KeyIndex index = key_index(slots, next, bits, seed, rows);
  const std::vector<KeyColumn> columns = key_columns(parts, rows);
  const std::vector<KeyColumn> key_parts = key_columns(keys, static_cast<int64_t>(out.shape(0)));
  if (columns.size() != key_parts.size()) throw nb::value_error("a key has as many parts as there are key columns");
  for (size_t i = 0; i < columns.size(); ++i)
    if (columns[i].width != key_parts[i].width) throw nb::value_error("a part of a key is not of its column's width");
  return without_gil([&] { return find_keys(index, columns, rows, key_parts, span_of(out), threads_or_all(threads)); });
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

void bind_key_index(nb::module_& m) {
  m.def("build_key_index", &build_key_index_of, "columns"_a, "rows"_a, "seed"_a, "bits"_a, "slots"_a, "next"_a,
        "threads"_a = 0,
        "Index the rows by their key: (rows left out for a null, rows that are not the first of their key), or None "
        "where there "
        "are too few slots.\n\n``columns``: (values as uint8, bytes of a value or 0 for text, int64 or int32 offsets "
        "of text, "
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

}  // namespace colonnade
