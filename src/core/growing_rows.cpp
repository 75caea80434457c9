#include "growing_rows.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <system_error>
#include <utility>

namespace colonnade {
namespace {

constexpr int64_t page = 4096, longest_step = 2 << 20;
constexpr int64_t no_time = INT64_MIN;

int64_t bits_to_bytes(int64_t bits) { return (bits + 7) / 8; }
bool bit(const uint8_t* bits, int64_t at) { return bits[at / 8] >> at % 8 & 1; }

template <class Value>
Value load(const uint8_t* from, int64_t at) {
  Value value;
  std::memcpy(&value, from + at * static_cast<int64_t>(sizeof(Value)), sizeof(Value));
  return value;
}

}  // namespace

GrowingRows::GrowingRows(int fd, uint8_t* memory, size_t size, std::vector<GrowingPlaces> columns, int64_t capacity,
                         int64_t text_bytes, int64_t rows)
    : fd_(fd),
      memory_(memory),
      size_(static_cast<int64_t>(size)),
      capacity_(capacity),
      text_bytes_(text_bytes),
      rows_(rows),
      columns_(std::move(columns)),
      state_(columns_.size()) {
  for (size_t number = 0; number < columns_.size(); ++number) {
    const GrowingPlaces& places = columns_[number];
    State& state = state_[number];
    const int64_t width = std::max(places.width, 1), bits = capacity / 8;
    const bool is_bits = places.kind == GrowingKind::boolean || places.kind == GrowingKind::masked_boolean;
    // What is there has pages up to its last row, and the first page is there from the start.
    const auto region = [&](int64_t start, int64_t length, int64_t used) {
      return Region{start, length, start < 0 ? 0 : std::min(std::max(page, (used + page - 1) / page * page), length)};
    };
    state.values =
        region(places.values, is_bits ? bits : capacity * width, is_bits ? bits_to_bytes(rows) : rows * width);
    state.validity = region(places.validity, bits, bits_to_bytes(rows));
    state.pandas = region(places.pandas, capacity * width, rows * width);
    state.mask = region(places.mask, capacity, rows);
    state.offsets = region(places.offsets, 8 * (capacity + 1), 8 * (rows + 1));
    if (places.offsets >= 0) {
      state.text_end = load<int64_t>(memory_ + places.offsets, rows);
      state.text = region(places.text, text_bytes, state.text_end);
    }
    if (places.validity >= 0 && rows > 0) {
      const uint8_t* const valid = memory_ + places.validity;
      int64_t count = 0;
      for (int64_t at = 0; at < rows / 8; ++at) count += std::popcount(valid[at]);
      for (int64_t at = rows / 8 * 8; at < rows; ++at) count += bit(valid, at);
      state.nulls = rows - count;
    }
  }
}

int64_t GrowingRows::fitting(const std::vector<GrowingInput>& inputs, int64_t rows) const {
  int64_t fitting = std::min(rows, capacity_ - rows_);
  for (size_t number = 0; number < columns_.size(); ++number) {
    const GrowingInput& input = inputs[number];
    if (!input.offsets) continue;
    const int64_t room = text_bytes_ - state_[number].text_end;
    if (input.offsets[fitting] - input.offsets[0] > room)
      fitting =
          std::upper_bound(input.offsets, input.offsets + fitting + 1, input.offsets[0] + room) - input.offsets - 1;
  }
  return fitting;
}

void GrowingRows::allocate(int64_t from, int64_t to) {
  from = from / page * page;
  to = std::min((to + page - 1) / page * page, (size_ + page - 1) / page * page);
  if (from >= to) return;
  int error;
  do error = ::posix_fallocate(fd_, from, to - from);
  while (error == EINTR);
  if (error) throw std::system_error(error, std::generic_category());
  // Enter long steps into the page table at once: a fault a page takes longer than to copy it. Where the kernel does
  // not know this, the stores do it.
  if (to - from >= 64 << 10)
    ::madvise(memory_ + from, static_cast<size_t>(std::min(to, size_ / page * page) - from), MADV_POPULATE_WRITE);
}

// Steps double from a page on, so that a small table is small.
void GrowingRows::ensure(Region& region, int64_t end) {
  if (region.start < 0 || end <= region.provided) return;
  const int64_t step = std::clamp(region.provided, page, longest_step);
  const int64_t to = std::min(std::max(end, region.provided + step), region.size);
  allocate(region.start + region.provided, region.start + to);
  region.provided = to;
}

void GrowingRows::provide(const std::vector<GrowingInput>& inputs, int64_t rows) {
  const int64_t end = rows_ + rows;
  for (size_t number = 0; number < columns_.size(); ++number) {
    const GrowingPlaces& places = columns_[number];
    State& state = state_[number];
    const int64_t width = std::max(places.width, 1);
    const bool is_bits = places.kind == GrowingKind::boolean || places.kind == GrowingKind::masked_boolean;
    ensure(state.values, is_bits ? bits_to_bytes(end) : end * width);
    ensure(state.validity, bits_to_bytes(end));
    ensure(state.pandas, end * width);
    ensure(state.mask, end);
    ensure(state.offsets, 8 * (end + 1));
    ensure(state.text, state.text_end + inputs[number].text_size(rows));
  }
}

// Gives the number of bits that are 0.
template <class IsValid>
int64_t GrowingRows::put_bits(int64_t at, int64_t rows, const IsValid& is_valid) {
  uint8_t* const bits = memory_ + at;
  int64_t ones = 0;
  const auto store = [&](int64_t byte, unsigned value) {
    std::atomic_ref<uint8_t>(bits[byte]).store(static_cast<uint8_t>(value), std::memory_order_relaxed);
  };
  int64_t row = 0;
  if (const int64_t kept = rows_ % 8; kept != 0) {
    unsigned value = bits[rows_ / 8] & ((1u << kept) - 1);
    for (int64_t place = kept; place < 8 && row < rows; ++place, ++row) {
      const bool valid = is_valid(row);
      ones += valid;
      value |= static_cast<unsigned>(valid) << place;
    }
    store(rows_ / 8, value);
  }
  int64_t byte = (rows_ + row) / 8;
  for (; row + 8 <= rows; row += 8, ++byte) {
    unsigned value = 0;
    for (int place = 0; place < 8; ++place) value |= static_cast<unsigned>(is_valid(row + place)) << place;
    ones += std::popcount(value);
    store(byte, value);
  }
  if (row < rows) {
    unsigned value = 0;
    for (int place = 0; row < rows; ++place, ++row) {
      const bool valid = is_valid(row);
      ones += valid;
      value |= static_cast<unsigned>(valid) << place;
    }
    store(byte, value);
  }
  return rows - ones;
}

int64_t GrowingRows::write_column(const GrowingPlaces& places, State& state, const GrowingInput& input, int64_t rows) {
  const int64_t width = std::max(places.width, 1);
  switch (places.kind) {
    case GrowingKind::integer:
    case GrowingKind::floating:
    case GrowingKind::time:
    case GrowingKind::masked:
      std::memcpy(memory_ + places.values + rows_ * width, input.values, static_cast<size_t>(rows * width));
      break;
    case GrowingKind::boolean:
    case GrowingKind::masked_boolean:
      std::memcpy(memory_ + places.pandas + rows_, input.values, static_cast<size_t>(rows));
      put_bits(places.values, rows, [&](int64_t row) { return input.values[row] != 0; });
      break;
    case GrowingKind::text: {
      const int64_t size = input.text_size(rows), shift = state.text_end - input.offsets[0];
      if (size > 0)
        std::memcpy(memory_ + places.text + state.text_end, input.text + input.offsets[0], static_cast<size_t>(size));
      int64_t* const offsets = reinterpret_cast<int64_t*>(memory_ + places.offsets) + rows_;
      for (int64_t row = 1; row <= rows; ++row) offsets[row] = input.offsets[row] + shift;
      state.text_end += size;
      break;
    }
    case GrowingKind::category: {
      std::memcpy(memory_ + places.pandas + rows_ * 4, input.values, static_cast<size_t>(rows) * 4);
      int32_t* const indices = reinterpret_cast<int32_t*>(memory_ + places.values) + rows_;
      for (int64_t row = 0; row < rows; ++row) indices[row] = std::max(load<int32_t>(input.values, row), 0);
      break;
    }
  }
  if (places.mask >= 0) std::memcpy(memory_ + places.mask + rows_, input.missing, static_cast<size_t>(rows));
  if (places.validity < 0) return 0;
  const uint8_t* const values = input.values;
  switch (places.kind) {
    case GrowingKind::floating:
      if (width == 8)
        return put_bits(places.validity, rows, [&](int64_t row) { return !std::isnan(load<double>(values, row)); });
      if (width == 4)
        return put_bits(places.validity, rows, [&](int64_t row) { return !std::isnan(load<float>(values, row)); });
      return put_bits(places.validity, rows,
                      [&](int64_t row) { return (load<uint16_t>(values, row) & 0x7fff) <= 0x7c00; });
    case GrowingKind::time:
      return put_bits(places.validity, rows, [&](int64_t row) { return load<int64_t>(values, row) != no_time; });
    case GrowingKind::category:
      return put_bits(places.validity, rows, [&](int64_t row) { return load<int32_t>(values, row) >= 0; });
    case GrowingKind::text:
      if (!input.valid_bits) return put_bits(places.validity, rows, [](int64_t) { return true; });
      return put_bits(places.validity, rows, [&](int64_t row) { return bit(input.valid_bits, input.first_bit + row); });
    default: return put_bits(places.validity, rows, [&](int64_t row) { return input.missing[row] == 0; });
  }
}

void GrowingRows::write(const std::vector<GrowingInput>& inputs, int64_t rows) {
  for (size_t number = 0; number < columns_.size(); ++number)
    state_[number].nulls += write_column(columns_[number], state_[number], inputs[number], rows);
  rows_ += rows;
}

namespace {

template <class Value>
std::optional<int64_t> descent(const uint8_t* values, int64_t rows, const uint8_t* last) {
  if (rows == 0) return std::nullopt;
  Value before = last ? load<Value>(last, 0) : load<Value>(values, 0);
  for (int64_t row = 0; row < rows; ++row) {
    const Value value = load<Value>(values, row);
    if (!(value >= before)) return row;  // NaN is not
    before = value;
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> first_descent(const uint8_t* values, int64_t rows, GrowingKind kind, int width, bool is_signed,
                                     const uint8_t* last) {
  if (kind == GrowingKind::time) {
    for (int64_t row = 0; row < rows; ++row)
      if (load<int64_t>(values, row) == no_time) return row;
    return descent<int64_t>(values, rows, last);
  }
  if (kind == GrowingKind::floating)
    return width == 8 ? descent<double>(values, rows, last) : descent<float>(values, rows, last);
  switch (width) {
    case 1: return is_signed ? descent<int8_t>(values, rows, last) : descent<uint8_t>(values, rows, last);
    case 2: return is_signed ? descent<int16_t>(values, rows, last) : descent<uint16_t>(values, rows, last);
    case 4: return is_signed ? descent<int32_t>(values, rows, last) : descent<uint32_t>(values, rows, last);
    default: return is_signed ? descent<int64_t>(values, rows, last) : descent<uint64_t>(values, rows, last);
  }
}

}  // namespace colonnade
