// One block of rows: its validity first, then everything that depends on it.
//
// Does not depend on: threads, files, how a block was cut.
// A block is small enough (block_rows) that its validity and its gathered elements stay in the first-level caches.
// There is one table of kernels for each instruction set, all compiled from kernels.cpp.
#pragma once
#include <cstdint>
#include <string_view>

#include "plan.h"

namespace colonnade {

constexpr int64_t block_rows = 2048;
// Words that hold the bits of a block, and one more that may be read and means nothing.
constexpr int64_t block_words = block_rows / 64 + 1;

// What is read after this source: where it ends, and where the next one starts.
struct Prefetch {
  const char* end = nullptr;
  const char* next = nullptr;
};

// A contiguous run of one piece's elements; `row` counts from the piece's start.
struct Run {
  const Job* job = nullptr;
  const Piece* piece = nullptr;
  int64_t row = 0;
  int64_t count = 0;               // at most block_rows
  const char* elements = nullptr;  // the run's elements, contiguous; unused by what reads a separate buffer
  Prefetch prefetch;
  bool streams = false;  // write past the caches: the output is larger than they are
};

// `words`: the run's validity, 1 is valid. `out`: where the run's output starts.
struct Kernels {
  std::string_view name;
  // Copies strided elements to `out`, `width` bytes each.
  void (*gather)(const char* first, int64_t stride, int64_t width, int64_t count, char* out);
  // Fills `words` and returns the number of nulls.
  int64_t (*read_validity)(const Run& run, uint64_t* words);
  // Both at once, where the elements contain their nulls and stay as they are (`scans_as_it_copies`).
  int64_t (*scan_fixed)(const Run& run, uint64_t* words, char* out);
  // Fixed-width elements, null slots replaced by the job's fill.
  void (*write_fixed)(const Run& run, const uint64_t* words, int64_t nulls, char* out);
  // The run's booleans as words of bits, 0 where null.
  void (*read_booleans)(const Run& run, const uint64_t* words, uint64_t* out);
  void (*write_offsets)(const Run& run, char* out);
  // One byte a bit: the bit itself, or its complement for pandas' masks.
  void (*write_bytes)(const uint64_t* words, int64_t count, bool inverts, bool streams, char* out);
  // True if some valid index is outside of [0, the job's operand).
  bool (*check_indices)(const Run& run, const uint64_t* words);
  // The pandas buffers that are made of elements. True if some valid element is not representable in it.
  bool (*write_pandas_buffer)(const Run& run, const uint64_t* words, char* out);
  // The least and the greatest of some numbers, without those that stand for null.
  void (*find_range)(const int32_t* numbers, int64_t count, int32_t null, int32_t& least, int32_t& greatest);
  // Makes streamed stores visible to other threads; a thread calls it once, after its last unit.
  void (*finish)();
};

// NaN and NaT are what pandas wants in a null slot; their very bits are kept.
constexpr bool holds_its_nulls(Validity kind) {
  return kind == Validity::nan16 || kind == Validity::nan32 || kind == Validity::nan64 || kind == Validity::nat;
}

constexpr bool scans_as_it_copies(const Job& job) {
  return is_fixed(job) && job.values_at >= 0 && holds_its_nulls(job.validity);
}

// The fastest kernels that this processor has, unless `use_kernels` named others.
const Kernels& kernels();

// Uses the kernels of this name, or the fastest for "". False if this processor has none of this name.
bool use_kernels(std::string_view name);

}  // namespace colonnade
