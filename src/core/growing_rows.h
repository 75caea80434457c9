// Writes rows into a segment of a growing table, behind those that are published.
//
// Does not depend on: Python, names, how the places were decided, who publishes.
//
// 1. Pages come first: `provide` allocates the memory of all regions that the rows touch. So no store meets a hole
//    of the file, and a full file system is an error before anything is written.
// 2. The order inside a batch: text before the offsets that lead to it. Everything comes before the rows are published
//    (growing.h).
// 3. A byte of bits is replaced by one store, which keeps the bits of the rows before `rows()`; what stood in the
//    others does not matter. See growing.h for why readers of that byte are right.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace colonnade {

enum class GrowingKind : int { integer, floating, time, boolean, masked, masked_boolean, text, category };

// More rows than any memory holds. Sizes of so many rows do not overflow.
inline constexpr int64_t most_growing_rows = int64_t{1} << 48;

// Where a column is in the segment, in bytes from its start; -1 where it has no such region.
struct GrowingPlaces {
  GrowingKind kind;
  int width;
  int64_t values, validity, pandas, mask, offsets, text;
};

// Rows of one column, from a caller. Of text: `rows + 1` offsets into `text`, and the bits of those that are not null,
// from bit `first_bit` on (null pointer: all). Of masked columns: a byte a row in `missing`, 1 for a null.
struct GrowingInput {
  const uint8_t* values = nullptr;
  const uint8_t* missing = nullptr;
  const int64_t* offsets = nullptr;
  const uint8_t* text = nullptr;
  const uint8_t* valid_bits = nullptr;
  int64_t first_bit = 0;
  int64_t text_size(int64_t rows) const { return offsets ? offsets[rows] - offsets[0] : 0; }
};

class GrowingRows {
 public:
  // `memory` is the segment, mapped for writing; `fd` is its file. Counts the nulls of the rows that it has. Throws
  // std::invalid_argument where a region is not inside of the memory, a column does not have the regions of its kind,
  // or the file says that text is outside of its region.
  GrowingRows(int fd, uint8_t* memory, size_t size, std::vector<GrowingPlaces> columns, int64_t capacity,
              int64_t text_bytes, int64_t rows);

  int64_t rows() const { return rows_; }
  int64_t capacity() const { return capacity_; }
  const std::vector<GrowingPlaces>& columns() const { return columns_; }
  int64_t nulls(size_t column) const { return state_[column].nulls; }
  // The address of the last row's value in a column of values; null where there is no row.
  const uint8_t* last_value(size_t column) const {
    const int64_t width = columns_[column].width;
    return rows_ ? memory_ + columns_[column].values + (rows_ - 1) * width : nullptr;
  }
  int64_t text_end(size_t column) const { return state_[column].text_end; }

  // How many of the rows the segment has room for, by its capacity and the room for text.
  int64_t fitting(const std::vector<GrowingInput>& inputs, int64_t rows) const;
  // Allocates the pages that rows need. Throws std::system_error (ENOSPC); nothing is written then.
  void provide(const std::vector<GrowingInput>& inputs, int64_t rows);
  // The pages of some bytes, of no column: of a dictionary.
  void provide(int64_t from, int64_t to) { allocate(from, to); }
  // Writes rows, for which there is room and memory.
  void write(const std::vector<GrowingInput>& inputs, int64_t rows);

 private:
  struct Region {
    int64_t start = -1, size = 0, provided = 0;  // `provided`: bytes from the start that have pages
    bool is_huge = false;                        // whether its first pages were put into huge ones
  };
  struct State {
    int64_t nulls = 0, text_end = 0;
    Region values, validity, pandas, mask, offsets, text;
  };
  void ensure(Region& region, int64_t end);
  void allocate(int64_t from, int64_t to);
  void make_huge_pages(int64_t from, int64_t to) noexcept;
  void prepare(Region& region, int64_t end) noexcept;
  template <class IsValid, class AllValid>
  int64_t put_bits(int64_t at, int64_t first, int64_t rows, const IsValid& is_valid, const AllValid& all_valid);
  int64_t write_column(const GrowingPlaces& places, State& state, const GrowingInput& input, int64_t first,
                       int64_t rows);

  int fd_;
  uint8_t* memory_;
  int64_t size_, capacity_, text_bytes_, rows_;
  std::vector<GrowingPlaces> columns_;
  std::vector<State> state_;
  bool has_huge_pages_ = true;  // until the kernel has none, or takes long
  bool has_prepared_ = false;   // in this append
};

// The first of some values that is less than the one before it, or than `last`; none if they ascend. NaN and NaT do not
// ascend. `width` and `kind` are the column's. Throws std::invalid_argument for a kind that has no order.
std::optional<int64_t> first_descent(const uint8_t* values, int64_t rows, GrowingKind kind, int width, bool is_signed,
                                     const uint8_t* last);

}  // namespace colonnade
