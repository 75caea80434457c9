// Text in Arrow's view layout, to and from offsets and data.
//
// A view is 16 bytes: the length (int32), and then either the text itself, of at most 12 bytes, or its first 4 bytes,
// the number of a buffer and the place in it (int32 each). https://arrow.apache.org/docs/format/Columnar.html
//
// Places are 31 bits wide and data may be longer. So the views that are written here count in windows of the data:
// window k begins at byte k * 2^30 and has 2^31 - 1 bytes at most, and a text is in the window in whose first half it
// begins. What is written is a function of offsets and data, so it can be checked by writing it again.
//
// Does not depend on: Python, Arrow's C interface, files.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace colonnade {

constexpr int64_t view_bytes = 16;
constexpr int64_t view_window_step = INT64_C(1) << 30;
constexpr int64_t longest_view = (INT64_C(1) << 30) - 1;

// A column in view layout. `valid`: a byte a row, 0 is null; empty: all are valid. What stands under a null is not
// read.
struct TextViews {
  std::span<const uint8_t> views;
  std::span<const uint8_t> valid;
  std::vector<std::span<const uint8_t>> buffers;
};

// Fills `offsets` (rows + 1 of them) and returns the bytes of all text; -1 where a view leads out of its buffers.
int64_t offsets_of_views(const TextViews& column, std::span<int64_t> offsets, int threads);

// Copies the text to where the offsets say, which `offsets_of_views` filled. False where the views are others by now.
bool data_of_views(const TextViews& column, std::span<const int64_t> offsets, std::span<uint8_t> data, int threads);

// A column in offsets and data. The offsets have 4 or 8 bytes each.
struct OffsetText {
  std::span<const uint8_t> offsets;
  int64_t width = 8;
  std::span<const uint8_t> data;
};

// Writes the views of a column. False where an offset leads out of the data, or a text is longer than `longest_view`.
bool write_views(const OffsetText& column, std::span<uint8_t> views, int threads);

// Whether views are those that `write_views` writes.
bool are_views_of(const OffsetText& column, std::span<const uint8_t> views, int threads);

}  // namespace colonnade
