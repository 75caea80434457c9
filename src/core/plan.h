// The plan: what Python decides and the core carries out.
//
// Knows: the wire form of a job. A plan is two int64 tables (rows of `Job` and `Piece`, field by field in
// the order below; `core/jobs.py` holds the same order for Python) and addresses of memory that the caller keeps alive.
// Does not depend on: Python, Arrow's C++ types, files, names.
#pragma once
#include <cstdint>

namespace colonnade {

// What the `values` output is made from.
enum class Values : int64_t {
  none = 0,           // not written
  fixed = 1,          // `width` bytes an element; null slots get `fill`, but for NaN and NaT, which stay
  bits = 2,           // bitmap to bitmap
  bytes_to_bits = 3,  // one byte a boolean to bitmap
  offsets32 = 4,      // int32 offsets, moved so that the piece's first becomes its `base`, written `out_width` wide
  offsets64 = 5,      // int64 offsets, the same
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
  negative = 7,  // signed integers of `width` bytes, -1 is null (pandas' categorical codes)
};

// The second physical form of the same column, made of elements of type `element` and written as `pandas_element`.
enum class PandasBuffer : int64_t {
  none = 0,
  bytes = 1,     // booleans, one byte each, 0 where null
  float64 = 2,   // integers, NaN where null
  codes = 3,     // integers as signed codes, -1 where null; those outside of [0, `operand`) are overflows
  scaled = 4,    // int32 or int64 times `operand`, NaT where null; those that pass int64 are overflows
  integers = 5,  // float32 or float64 as integers, 0 where null; those that are not whole or do not fit are overflows
};

enum class Element : int64_t { i8 = 0, i16, i32, i64, u8, u16, u32, u64, f32, f64 };

constexpr int64_t width_of(Element element) {
  constexpr int64_t widths[] = {1, 2, 4, 8, 1, 2, 4, 8, 4, 8};
  return widths[static_cast<int64_t>(element)];
}

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

// What a job found: how many nulls, and whether any value had no form in the output.
struct Result {
  int64_t nulls;
  int64_t overflows;  // 0 or 1
};

static_assert(sizeof(Job) == 16 * sizeof(int64_t));
static_assert(sizeof(Piece) == 8 * sizeof(int64_t));
static_assert(sizeof(Result) == 2 * sizeof(int64_t));

}  // namespace colonnade
