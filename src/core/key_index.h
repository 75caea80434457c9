// A hash index over the key columns of a table: from the values of a row to the number of the row.
//
// The index is two plain arrays, so that it can stand in a file and be used over a mapping of it:
//
//   slots   one uint64 each: the row's number plus one in the low half (0: empty), the tag in the high half, which is
//   the
//           low half of the key's hash. They are 2^bits regions of equal size. The top `bits` bits of a hash choose the
//           region, the tag chooses the slot where the search begins: tag * slots of a region / 2^32. It goes on to the
//           next slot, and from the last of a region to its first, until it meets the key or an empty slot.
//   next    one uint32 for each row: the number of the next row with the same key, plus one; 0 at the end. Absent where
//   all
//           keys are unique. A slot leads to the first row of its key, so the rows of a key come in ascending order.
//
// The regions make the index quick to build: each is filled by one thread, within its cache (radix partitioning, as in
// Balkesen et al., "Main-Memory Hash Joins on Multi-Core CPUs", ICDE 2013). Linear probing with a part of the hash
// beside the row is the layout of DuckDB's and Velox' join tables: a look-up touches one cache line of slots, and the
// key's own value only where 32 bits of the hash agree.
//
// Rows whose key has a null are not in the index. An index may come from a damaged or hostile file: `find` checks every
// number before it is used as a place, and ends whatever the numbers are.
//
// Does not depend on: Python, Arrow, files.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

namespace colonnade {

// One column of a key: fixed-width values, or text where there are offsets.
struct KeyColumn {
  std::span<const uint8_t> values;
  std::span<const int64_t> offsets;             // rows + 1 of them; empty for fixed width
  std::span<const uint8_t> valid;               // one byte a row, 0 is null; empty: all valid
  int64_t width = 0;                            // bytes of a value; 0: text
  std::span<const int32_t> short_offsets = {};  // instead of `offsets`, where the text has offsets of 32 bits
};

struct KeyIndex {
  std::span<const uint64_t> slots;
  std::span<const uint32_t> next;  // empty: the keys are unique
  int64_t bits = 0;
  uint64_t seed = 0;
};

// What a build found out.
struct KeyIndexCounts {
  int64_t nulls = 0;  // rows that are left out
  int64_t duplicates =
      0;  // rows that are not the first of their key; without any, `next` holds zeros and is not needed
};

// The most rows an index can number.
constexpr int64_t most_key_rows = INT64_C(0xFFFFFFFE);

// Fills `slots` and `next` (`rows` of them), whatever they held. Nothing where a region has too few slots for its keys:
// build again with more slots; hashes are random numbers, so this is where somebody chose the keys to that end. All
// columns have `rows` rows, and offsets that lead inside of their values. Throws std::bad_alloc.
std::optional<KeyIndexCounts> build_key_index(std::span<const KeyColumn> columns, int64_t rows, uint64_t seed,
                                              int64_t bits, std::span<uint64_t> slots, std::span<uint32_t> next,
                                              int threads);

// out[i]: the first row whose key is the i-th of `keys`, or -1. False if the index or the columns are damaged: a number
// that leads outside of them was met. Throws nothing.
bool find_keys(const KeyIndex& index, std::span<const KeyColumn> columns, int64_t rows, std::span<const KeyColumn> keys,
               std::span<int64_t> out, int threads) noexcept;

// The number of rows of each key whose first row is given (-1: none), and then, where `out` is not empty, the rows
// themselves, one key after the other. False as above.
bool count_rows(const KeyIndex& index, int64_t rows, std::span<const int64_t> first,
                std::span<int64_t> counts) noexcept;
bool list_rows(const KeyIndex& index, int64_t rows, std::span<const int64_t> first, std::span<int64_t> out) noexcept;

}  // namespace colonnade
