// The plan: what Python decides and the core carries out.
//
// A plan comes from Python as two int64 tables, one row for each job and one for each piece, and as addresses of memory
// that the caller keeps alive. The order of the fields and the names of the enumerators are defined here alone; Python
// reads them from the extension (`core/jobs.py`). `plan.cpp` decodes and checks the tables. Does not depend on: Python,
// Arrow's C++ types, files, names.
#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace colonnade {

// What the `values` output is made from. It also describes the source, so `bits` and `bytes_to_bits` are set where only
// a pandas buffer is written.
enum class Values : int64_t {
  none = 0,           // not written
  fixed = 1,          // `width` bytes an element; null slots get `fill`, except NaN and NaT, which stay
  bits = 2,           // bitmap to bitmap
  bytes_to_bits = 3,  // one byte a boolean to bitmap
  offsets32 = 4,      // int32 offsets, shifted so that the piece's first becomes its `base`, written `out_width` wide
  offsets64 = 5,      // int64 offsets, the same
  indices = 6,        // as `fixed`; valid indices outside of [0, `operand`) are overflows, and are written as they are
};

// Where an element's validity is read from.
enum class Validity : int64_t {
  none = 0,  // all valid
  bits = 1,  // an Arrow bitmap; a piece whose address is 0 is all valid
  nan16 = 2,
  nan32 = 3,
  nan64 = 4,
  nat = 5,       // int64 minimum
  mask = 6,      // one byte an element, non-zero is null (pandas' masked arrays)
  negative = 7,  // signed integers of `width` bytes, negative is null (pandas' categorical codes)
};

// The second physical form of the same column, made of elements of type `element` and written as `pandas_element`.
enum class PandasBuffer : int64_t {
  none = 0,
  bytes = 1,     // booleans, one byte each, 0 where null
  float64 = 2,   // integers, NaN where null
  codes = 3,     // integers as signed codes, -1 where null; those outside of [0, `operand`) are overflows
  scaled = 4,    // int32 or int64 times `operand`, NaT where null; those that exceed int64 are overflows
  integers = 5,  // float32 or float64 as integers, 0 where null; those that are not whole or do not fit are overflows
};

enum class Element : int64_t { int8 = 0, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64 };

// The names that Python gives to the enumerators; each one's place is its number.
template <class Enum>
struct Names;
template <>
struct Names<Values> {
  static constexpr std::array list{"NONE", "FIXED", "BITS", "BYTES_TO_BITS", "OFFSETS32", "OFFSETS64", "INDICES"};
};
template <>
struct Names<Validity> {
  static constexpr std::array list{"NONE", "BITS", "NAN16", "NAN32", "NAN64", "NAT", "MASK", "NEGATIVE"};
};
template <>
struct Names<PandasBuffer> {
  static constexpr std::array list{"NONE", "BYTES", "FLOAT64", "CODES", "SCALED", "INTEGERS"};
};
template <>
struct Names<Element> {
  static constexpr std::array list{"INT8",   "INT16",  "INT32",  "INT64",   "UINT8",
                                   "UINT16", "UINT32", "UINT64", "FLOAT32", "FLOAT64"};
};

constexpr int64_t width_of(Element element) {
  constexpr int64_t widths[] = {1, 2, 4, 8, 1, 2, 4, 8, 4, 8};
  return widths[static_cast<int64_t>(element)];
}

constexpr bool is_float(Element element) { return element == Element::float32 || element == Element::float64; }
constexpr bool is_signed_integer(Element element) { return element <= Element::int64; }

struct Job {
  int64_t rows;
  int64_t first_piece;
  int64_t piece_count;
  Values values;
  int64_t width;      // bytes of a source element, where there are elements
  int64_t out_width;  // bytes of a written offset (offsets32, offsets64)
  Validity validity;
  int64_t fill;  // bit pattern for null slots, low bytes first; repeated for wider elements
  Element element;
  PandasBuffer pandas_buffer;
  Element pandas_element;
  int64_t operand;
  int64_t values_at;  // where outputs go: a place in the file, or an address; -1: not written
  int64_t bitmap_at;
  int64_t mask_at;  // one byte an element, 1 where null
  int64_t pandas_at;
};

// The stride of pieces whose elements follow each other, where their width is not known yet: see `place`.
constexpr int64_t stride_of_width = std::numeric_limits<int64_t>::min();

// One run of source elements; a chunked column has several.
struct Piece {
  int64_t values;    // address of the buffer that `offset` counts from
  int64_t stride;    // bytes from one element to the next; may be negative. Ignored for bits and offsets.
  int64_t validity;  // address of the bitmap or of the byte mask; 0: all valid
  int64_t offset;    // elements (bits, for bitmaps) before the first one, in both buffers
  int64_t length;
  int64_t base;  // offsets: the number that the piece's first offset becomes; -1: the one it has
  int64_t map;   // codes: address of int32 numbers that replace the indices (dictionaries that were united); 0: none
  int64_t map_length;
};

// What a job found out about its column.
struct Result {
  int64_t nulls;
  int64_t overflows;  // 1 if some value is not representable in an output, else 0
};

template <class Row, class Member>
struct Field {
  const char* name;
  Member Row::* member;
};
template <class Row, class Member>
Field(const char*, Member Row::*) -> Field<Row, Member>;

constexpr std::tuple job_fields{
    Field{"rows", &Job::rows},
    Field{"first_piece", &Job::first_piece},
    Field{"piece_count", &Job::piece_count},
    Field{"values", &Job::values},
    Field{"width", &Job::width},
    Field{"out_width", &Job::out_width},
    Field{"validity", &Job::validity},
    Field{"fill", &Job::fill},
    Field{"element", &Job::element},
    Field{"pandas_buffer", &Job::pandas_buffer},
    Field{"pandas_element", &Job::pandas_element},
    Field{"operand", &Job::operand},
    Field{"values_at", &Job::values_at},
    Field{"bitmap_at", &Job::bitmap_at},
    Field{"mask_at", &Job::mask_at},
    Field{"pandas_at", &Job::pandas_at},
};
constexpr std::tuple piece_fields{
    Field{"values", &Piece::values}, Field{"stride", &Piece::stride},         Field{"validity", &Piece::validity},
    Field{"offset", &Piece::offset}, Field{"length", &Piece::length},         Field{"base", &Piece::base},
    Field{"map", &Piece::map},       Field{"map_length", &Piece::map_length},
};
constexpr std::tuple result_fields{Field{"nulls", &Result::nulls}, Field{"overflows", &Result::overflows}};

template <const auto& fields>
constexpr int64_t field_count = std::tuple_size_v<std::remove_cvref_t<decltype(fields)>>;

// A table forgets no field: each is one int64 of its struct.
static_assert(sizeof(Job) == field_count<job_fields> * sizeof(int64_t));
static_assert(sizeof(Piece) == field_count<piece_fields> * sizeof(int64_t));
static_assert(sizeof(Result) == field_count<result_fields> * sizeof(int64_t));

// A plan that is the core's own: the tables may change while it runs. The pieces of a job follow those of the job
// before.
struct Plan {
  std::vector<Job> jobs;
  std::vector<Piece> pieces;
};

// A stretch of memory, or of a file, that a plan may write to: its first place and the one after its last.
using Stretch = std::pair<int64_t, int64_t>;

// Rows of a table, as they come from Python.
struct Table {
  const int64_t* rows;
  int64_t count;
};

// Decodes a plan field by field. Throws std::invalid_argument where an enumerator has no name, or a job's pieces are
// not in the table.
Plan decode(Table jobs, Table pieces);

enum class Into { file, memory };

// Whether a decoded plan can be run: every field is in its range, agrees with the others, and each output is inside of
// one stretch. What it cannot see is whether the sources are as long as the pieces say, and whether two outputs
// overlap. Throws std::invalid_argument, with the number of the job.
void check(const Plan& plan, std::vector<Stretch> stretches, Into into);

struct Extent {
  int64_t at;  // -1: not written
  int64_t size;
};

// A plan whose places are not known yet: decodes jobs that read so many rows of columns, which are given as pieces. The
// first piece of a job is the number of its column, and each of its places is `output << 32 | row`: it writes that row
// of that output, whose rows are as long as what it writes. A job without a place does nothing. Throws
// std::invalid_argument.
Plan place(Table jobs, std::span<const std::span<const Piece>> columns, int64_t rows, std::span<const Stretch> outputs);

// The sizes of what a job writes for `rows` rows.
int64_t values_size(const Job& job, int64_t rows);
int64_t pandas_size(const Job& job, int64_t rows);
// Where a job writes: values, bitmap, mask, pandas buffer.
std::array<Extent, 4> outputs_of(const Job& job);

constexpr bool is_boolean(const Job& job) { return job.values == Values::bits || job.values == Values::bytes_to_bits; }
constexpr bool is_offsets(const Job& job) { return job.values == Values::offsets32 || job.values == Values::offsets64; }
constexpr bool is_fixed(const Job& job) { return job.values == Values::fixed || job.values == Values::indices; }

constexpr bool is_in_elements(Validity validity) {
  return validity != Validity::none && validity != Validity::bits && validity != Validity::mask;
}

// Whether the source's elements of `width` bytes are read, in place or gathered.
constexpr bool reads_elements(const Job& job) {
  const bool is_used = is_fixed(job) || job.values == Values::bytes_to_bits || is_in_elements(job.validity) ||
                       (job.pandas_buffer != PandasBuffer::none && job.pandas_buffer != PandasBuffer::bytes);
  return job.width > 0 && is_used;
}

}  // namespace colonnade
