// One block of rows, moved: validity first, then everything that depends on it.
//
// Knows: elements, bits, bytes. Must not know: threads, files, how a block was cut.
// A block is small enough (block_rows) that its validity and its gathered elements stay in the first caches.
#pragma once
#include <cstdint>

#include "plan.h"

namespace colonnade {

constexpr int64_t block_rows = 2048;

// A contiguous run of one piece's elements; `row` counts from the piece's start.
struct Run {
  const Job& job;
  const Piece& piece;
  int64_t row;
  int64_t count;  // at most block_rows
};

// Copies strided elements to `out`, `width` bytes each.
void gather(const char* first, int64_t stride, int64_t width, int64_t count, char* out);

// Fills `words` with the run's validity (1 is valid) and returns the number of nulls. `elements` are the run's
// elements, contiguous; unused by the kinds that read a separate buffer.
int64_t read_validity(const Run& run, const char* elements, uint64_t* words);

// Writes the run's fixed-width elements, null slots replaced by the job's fill.
void write_fixed(const Run& run, const char* elements, const uint64_t* words, int64_t nulls, char* out);

// The run's booleans as words of bits, 0 where null.
void read_booleans(const Run& run, const char* elements, const uint64_t* words, uint64_t* out);

void write_offsets(const Run& run, char* out);

// One byte a bit: the bit itself, or its complement for pandas' masks.
void write_bytes(const uint64_t* words, int64_t count, bool inverted, char* out);

void write_float64(const Run& run, const char* elements, const uint64_t* words, char* out);

void write_codes(const Run& run, const char* elements, const uint64_t* words, char* out);

}  // namespace colonnade
