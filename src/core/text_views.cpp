#include "text_views.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "threads.h"

namespace colonnade {
namespace {

constexpr int64_t in_view = 12;  // bytes of text that stand in the view itself
// Rows that a thread takes at a time: 1 MiB of views.
constexpr int64_t rows_at_once = 1 << 16;

struct View {
  int32_t length;
  char first[4];
  int32_t buffer;
  int32_t offset;
};
static_assert(sizeof(View) == view_bytes);

View view_at(std::span<const uint8_t> views, int64_t row) {
  View view;
  std::memcpy(&view, views.data() + row * view_bytes, sizeof(view));
  return view;
}

// Calls work(first, last) with ranges of rows until all are done, or one returns false.
template <class Work>
bool for_ranges(int64_t rows, int threads, const Work& work) {
  const int64_t ranges = (rows + rows_at_once - 1) / rows_at_once;
  std::atomic<int64_t> next{0};
  std::atomic<bool> good{true};
  const auto run = [&](size_t) noexcept {
    while (good.load(std::memory_order_relaxed)) {
      const int64_t range = next.fetch_add(1, std::memory_order_relaxed);
      if (range >= ranges) return;
      const int64_t first = range * rows_at_once;
      if (!work(first, std::min(rows, first + rows_at_once))) good = false;
    }
  };
  run_on_threads(static_cast<size_t>(std::clamp<int64_t>(threads, 1, std::max<int64_t>(ranges, 1))), run);
  return good;
}

// The text of a view; nullptr where it leads out of its buffer.
const uint8_t* text_of(const TextViews& column, int64_t row, const View& view) {
  if (view.length <= in_view) return column.views.data() + row * view_bytes + 4;
  if (view.buffer < 0 || view.buffer >= std::ssize(column.buffers) || view.offset < 0) return nullptr;
  const std::span<const uint8_t> buffer = column.buffers[static_cast<size_t>(view.buffer)];
  if (int64_t{view.offset} + view.length > std::ssize(buffer)) return nullptr;
  return buffer.data() + view.offset;
}

template <class Offset>
Offset offset_at(std::span<const uint8_t> offsets, int64_t row) {
  Offset offset;
  std::memcpy(&offset, offsets.data() + row * static_cast<int64_t>(sizeof(Offset)), sizeof(offset));
  return offset;
}

// Calls each(row, view) with the views of a range of rows; false where one cannot be made, or `each` says so.
template <class Offset, class Each>
bool views_of_range(const OffsetText& column, int64_t first, int64_t last, const Each& each) {
  int64_t begin = offset_at<Offset>(column.offsets, first);
  if (begin < 0) return false;
  for (int64_t row = first; row < last; ++row) {
    const int64_t end = offset_at<Offset>(column.offsets, row + 1);
    if (end < begin || end > std::ssize(column.data) || end - begin > longest_view) return false;
    const int64_t length = end - begin;
    View view{};
    view.length = static_cast<int32_t>(length);
    const uint8_t* const text = column.data.data() + begin;
    if (length <= in_view) {
      // All 12 bytes are read where there are as many: a copy of a fixed length is one instruction.
      if (begin + in_view <= std::ssize(column.data)) {
        char bytes[in_view];
        std::memcpy(bytes, text, in_view);
        std::memset(bytes + length, 0, static_cast<size_t>(in_view - length));
        std::memcpy(view.first, bytes, in_view);
      } else {
        char bytes[in_view] = {};
        if (length > 0) std::memcpy(bytes, text, static_cast<size_t>(length));
        std::memcpy(view.first, bytes, in_view);
      }
    } else {
      std::memcpy(view.first, text, sizeof(view.first));
      view.buffer = static_cast<int32_t>(begin / view_window_step);
      view.offset = static_cast<int32_t>(begin % view_window_step);
    }
    if (!each(row, view)) return false;
    begin = end;
  }
  return true;
}

template <class Each>
bool for_views(const OffsetText& column, int64_t rows, int threads, const Each& each) {
  const bool wide = column.width == 8;
  return for_ranges(rows, threads, [&](int64_t first, int64_t last) {
    return wide ? views_of_range<int64_t>(column, first, last, each)
                : views_of_range<int32_t>(column, first, last, each);
  });
}

}  // namespace

int64_t offsets_of_views(const TextViews& column, std::span<int64_t> offsets, int threads) {
  const int64_t rows = std::ssize(offsets) - 1;
  const auto is_valid = [&](int64_t row) {
    return column.valid.empty() || column.valid[static_cast<size_t>(row)] != 0;
  };
  // The sums of each range on all threads; then the sums before it are added.
  const bool good = for_ranges(rows, threads, [&](int64_t first, int64_t last) {
    int64_t sum = 0;
    for (int64_t row = first; row < last; ++row) {
      if (is_valid(row)) {
        const View view = view_at(column.views, row);
        if (view.length < 0 || text_of(column, row, view) == nullptr) return false;
        sum += view.length;
      }
      offsets[static_cast<size_t>(row + 1)] = sum;
    }
    return true;
  });
  offsets[0] = 0;
  if (!good) return -1;
  std::vector<int64_t> before;
  int64_t total = 0;
  for (int64_t first = 0; first < rows; first += rows_at_once) {
    before.push_back(total);
    total += offsets[static_cast<size_t>(std::min(rows, first + rows_at_once))];
  }
  for_ranges(rows, threads, [&](int64_t first, int64_t last) {
    const int64_t sum = before[static_cast<size_t>(first / rows_at_once)];
    for (int64_t row = first; row < last; ++row) offsets[static_cast<size_t>(row + 1)] += sum;
    return true;
  });
  return total;
}

bool data_of_views(const TextViews& column, std::span<const int64_t> offsets, std::span<uint8_t> data, int threads) {
  return for_ranges(std::ssize(offsets) - 1, threads, [&](int64_t first, int64_t last) {
    if (offsets[static_cast<size_t>(last)] > std::ssize(data)) return false;
    for (int64_t row = first; row < last; ++row) {
      const int64_t begin = offsets[static_cast<size_t>(row)], end = offsets[static_cast<size_t>(row + 1)];
      if (begin < 0 || end < begin || end > std::ssize(data)) return false;
      const int64_t length = end - begin;
      if (length == 0) continue;
      const View view = view_at(column.views, row);
      const uint8_t* const text = view.length == length ? text_of(column, row, view) : nullptr;
      if (text == nullptr) return false;
      uint8_t* const out = data.data() + begin;
      // The last text of a range must not be written past its end: another thread writes there.
      if (length <= in_view && row + 1 < last && offsets[static_cast<size_t>(last)] - begin >= in_view)
        std::memcpy(out, text, in_view);
      else
        std::memcpy(out, text, static_cast<size_t>(length));
    }
    return true;
  });
}

bool write_views(const OffsetText& column, std::span<uint8_t> views, int threads) {
  return for_views(column, std::ssize(views) / view_bytes, threads, [&](int64_t row, const View& view) {
    std::memcpy(views.data() + row * view_bytes, &view, sizeof(view));
    return true;
  });
}

bool are_views_of(const OffsetText& column, std::span<const uint8_t> views, int threads) {
  return for_views(column, std::ssize(views) / view_bytes, threads, [&](int64_t row, const View& view) {
    return std::memcmp(views.data() + row * view_bytes, &view, sizeof(view)) == 0;
  });
}

}  // namespace colonnade
