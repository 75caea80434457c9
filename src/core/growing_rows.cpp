#include "growing_rows.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "pages.h"

namespace colonnade {
namespace {

constexpr int64_t huge = huge_page;
constexpr int64_t longest_step = huge, populated = 64 << 10;
// Nanoseconds of the processor. A huge page takes 0.3 ms where the kernel has some ready, and 7 ms where a virtual
// machine gets the memory from its host. What takes longer is the moving of other pages.
constexpr int64_t worth_waiting = 10'000'000;
const int64_t page = static_cast<int64_t>(page_size());
constexpr int64_t at_once = 64;  // rows
constexpr int64_t no_time = INT64_MIN;

int64_t bits_to_bytes(int64_t bits) { return (bits + 7) / 8; }
bool bit(const uint8_t* bits, int64_t at) { return bits[at / 8] >> at % 8 & 1; }

template <class Value>
Value load(const uint8_t* from, int64_t at) {
  Value value;
  std::memcpy(&value, from + at * static_cast<int64_t>(sizeof(Value)), sizeof(Value));
  return value;
}

// The time that this thread has had a processor: a busy machine does not let it look as if the kernel took long.
int64_t processor_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return int64_t{1'000'000'000} * time.tv_sec + time.tv_nsec;
}

// One register of any processor.
template <class Value>
using Lanes [[gnu::vector_size(16)]] = Value;

// Whether no value of `at_once` rows is one of those that `is_missing` finds: it gives lanes of 0 and -1.
template <class Value, class Mask, class IsMissing>
bool none_is_missing(const uint8_t* values, int64_t row, const IsMissing& is_missing) {
  Lanes<Mask> matches{};
  const uint8_t* from = values + row * static_cast<int64_t>(sizeof(Value));
  for (size_t at = 0; at < at_once * sizeof(Value); at += 16) {
    Lanes<Value> lanes;
    std::memcpy(&lanes, from + at, 16);
    matches |= is_missing(lanes);
  }
  Lanes<int64_t> any;
  std::memcpy(&any, &matches, 16);
  return (any[0] | any[1]) == 0;
}

// The regions that a column of a kind has, and the bytes of its values; 0: 1, 2, 4 or 8, of floats from 2 on. Bits of
// validity are there for nulls, so a column without nulls has none.
struct Form {
  bool values = false, pandas = false, mask = false, text = false, can_be_null = false;
  int width = 0;
};

Form form_of(GrowingKind kind) {
  switch (kind) {
    case GrowingKind::integer: return {.values = true};
    case GrowingKind::floating: return {.values = true, .can_be_null = true};
    case GrowingKind::time: return {.values = true, .can_be_null = true, .width = 8};
    case GrowingKind::boolean: return {.values = true, .pandas = true, .width = 1};
    case GrowingKind::masked: return {.values = true, .mask = true, .can_be_null = true};
    case GrowingKind::masked_boolean:
      return {.values = true, .pandas = true, .mask = true, .can_be_null = true, .width = 1};
    case GrowingKind::text: return {.text = true, .can_be_null = true, .width = 1};
    case GrowingKind::category: return {.values = true, .pandas = true, .can_be_null = true, .width = 4};
  }
  throw std::invalid_argument("a column is of no kind");
}

void check_form(const GrowingPlaces& places) {
  const Form form = form_of(places.kind);
  const int width = std::max(places.width, 1);
  const int least = places.kind == GrowingKind::floating ? 2 : 1;
  const bool is_width =
      form.width != 0 ? width == form.width : width >= least && width <= 8 && std::has_single_bit(unsigned(width));
  if (!is_width) throw std::invalid_argument("the width of a column is not one of its kind");
  if ((places.values >= 0) != form.values || (places.pandas >= 0) != form.pandas || (places.mask >= 0) != form.mask ||
      (places.offsets >= 0) != form.text || (places.text >= 0) != form.text ||
      (places.validity >= 0 && !form.can_be_null))
    throw std::invalid_argument("a column does not have the regions of its kind");
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
  if (capacity < 0 || capacity > most_growing_rows || capacity % 8 != 0)
    throw std::invalid_argument("the capacity is out of range");
  if (rows < 0 || rows > capacity) throw std::invalid_argument("the number of rows is out of range");
  for (size_t number = 0; number < columns_.size(); ++number) {
    const GrowingPlaces& places = columns_[number];
    State& state = state_[number];
    check_form(places);
    const int64_t width = std::max(places.width, 1), bits = capacity / 8;
    const bool is_bits = places.kind == GrowingKind::boolean || places.kind == GrowingKind::masked_boolean;
    // What is there has pages up to its last row, and the first page is there from the start.
    const auto region = [&](int64_t start, int64_t length, int64_t used) {
      if (start >= 0 && (start % 8 != 0 || start > size_ || length < 0 || length > size_ - start))
        throw std::invalid_argument("a region of a column is not inside of the segment");
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
      if (state.text_end < 0 || state.text_end > text_bytes)
        throw std::invalid_argument("the text of a column ends outside of its region");
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
  // Of a segment that was used before, all pages are there. The offset of the file is nobody's.
  if (to - from >= huge && ::lseek(fd_, from, SEEK_HOLE) < to) make_huge_pages(from, to);
  // Long steps are allocated and entered into the page table at once: a fault for each page takes longer than to copy
  // it. Where there is no room, or the kernel does not know this, the other way says why.
  const int64_t whole = std::min(to, size_ / page * page) - from;
  if (whole >= populated && ::madvise(memory_ + from, static_cast<size_t>(whole), MADV_POPULATE_WRITE) == 0) {
    from += whole;
    if (from >= to) return;
  }
  int error;
  do error = ::posix_fallocate(fd_, from, to - from);
  while (error == EINTR);
  if (error) throw std::system_error(error, std::generic_category());
}

// Puts the memory around a part of the file into huge pages where the kernel can: sums over many segments take 1.1
// times as long as over one array then, and 1.5 times with small pages. What stands in the pages stays, and readers may
// look at it meanwhile.
void GrowingRows::make_huge_pages(int64_t from, int64_t to) noexcept {
  from = from / huge * huge;
  to = std::min(static_cast<int64_t>(round_up(static_cast<size_t>(to), huge_page)), size_ / huge * huge);
  if (!has_huge_pages_ || from >= to || reinterpret_cast<uintptr_t>(memory_) % huge_page != 0) return;
  // The kernel wants one page to be there in each, and fills the rest with zeros.
  for (int64_t at = from; at < to; at += huge)
    if (::posix_fallocate(fd_, at, page) != 0) return;
  const int64_t began = processor_time();
  const bool has_moved = ::madvise(memory_ + from, static_cast<size_t>(to - from), MADV_COLLAPSE) == 0;
  has_huge_pages_ = has_moved && processor_time() - began < (to - from) / huge * worth_waiting;
}

// Steps double from a page on, so that a small table is small.
void GrowingRows::ensure(Region& region, int64_t end) {
  if (region.start < 0) return;
  if (end <= region.provided) {
    if (region.provided >= longest_step && !has_prepared_) prepare(region, end);
    return;
  }
  const int64_t step = std::clamp(region.provided, page, longest_step);
  const int64_t to = std::min(std::max(end, region.provided + step), region.size);
  allocate(region.start + region.provided, region.start + to);
  region.provided = to;
}

// What is needed later, one step for each append: columns of one width need their next huge page at the same time, and
// one append would wait for all of them.
void GrowingRows::prepare(Region& region, int64_t end) noexcept {
  if (!region.is_huge) {  // what came in short steps is in small pages
    region.is_huge = has_prepared_ = true;
    make_huge_pages(region.start, region.start + longest_step);
    return;
  }
  if (region.provided == region.size || region.provided - end > longest_step / 2) return;
  has_prepared_ = true;
  const int64_t to = std::min(region.provided + longest_step, region.size);
  try {
    allocate(region.start + region.provided, region.start + to);
    region.provided = to;
  } catch (const std::system_error&) {
    // There is no room. Whoever needs it is told.
  }
}

void GrowingRows::provide(const std::vector<GrowingInput>& inputs, int64_t rows) {
  const int64_t end = rows_ + rows;
  has_prepared_ = false;
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

// Gives the number of bits that are 0. `all_valid(row)` says whether `at_once` rows from one on are all 1, which is
// found out many times as fast as which of them are.
template <class IsValid, class AllValid>
int64_t GrowingRows::put_bits(int64_t at, int64_t first, int64_t rows, const IsValid& is_valid,
                              const AllValid& all_valid) {
  uint8_t* const bits = memory_ + at;
  int64_t zeros = 0, row = 0;
  const auto value_of = [&](int64_t first_place, int64_t last_place) {
    unsigned value = 0;
    for (int64_t place = first_place; place < last_place; ++place, ++row) {
      const bool valid = is_valid(row);
      zeros += !valid;
      value |= static_cast<unsigned>(valid) << place;
    }
    return value;
  };
  if (const int64_t old_bits = first % 8; old_bits != 0) {
    // The byte that published rows are in: one store. Nobody looks at the others before they are published.
    const unsigned before = bits[first / 8] & ((1u << old_bits) - 1);
    const unsigned value = before | value_of(old_bits, std::min<int64_t>(8, old_bits + rows));
    std::atomic_ref<uint8_t>(bits[first / 8]).store(static_cast<uint8_t>(value), std::memory_order_relaxed);
  }
  uint8_t* byte = bits + (first + row) / 8;
  while (row < rows) {
    if (rows - row >= at_once && all_valid(row)) {
      std::memset(byte, 0xff, at_once / 8);
      byte += at_once / 8;
      row += at_once;
      continue;
    }
    // NOLINTNEXTLINE(bugprone-infinite-loop): value_of moves row on
    for (const int64_t end = std::min(rows, row + at_once); row < end;)
      *byte++ = static_cast<uint8_t>(value_of(0, std::min<int64_t>(8, end - row)));
  }
  return zeros;
}

int64_t GrowingRows::write_column(const GrowingPlaces& places, State& state, const GrowingInput& input, int64_t first,
                                  int64_t rows) {
  const int64_t width = std::max(places.width, 1);
  switch (places.kind) {
    case GrowingKind::integer:
    case GrowingKind::floating:
    case GrowingKind::time:
    case GrowingKind::masked:
      std::memcpy(memory_ + places.values + first * width, input.values, static_cast<size_t>(rows * width));
      break;
    case GrowingKind::boolean:
    case GrowingKind::masked_boolean:
      std::memcpy(memory_ + places.pandas + first, input.values, static_cast<size_t>(rows));
      put_bits(
          places.values, first, rows, [&](int64_t row) { return input.values[row] != 0; },
          [](int64_t) { return false; });
      break;
    case GrowingKind::text: {
      const int64_t size = input.text_size(rows), shift = state.text_end - input.offsets[0];
      if (size > 0)
        std::memcpy(memory_ + places.text + state.text_end, input.text + input.offsets[0], static_cast<size_t>(size));
      int64_t* const offsets = reinterpret_cast<int64_t*>(memory_ + places.offsets) + first;
      for (int64_t row = 1; row <= rows; ++row) offsets[row] = input.offsets[row] + shift;
      state.text_end += size;
      break;
    }
    case GrowingKind::category: {
      std::memcpy(memory_ + places.pandas + first * 4, input.values, static_cast<size_t>(rows) * 4);
      int32_t* const indices = reinterpret_cast<int32_t*>(memory_ + places.values) + first;
      for (int64_t row = 0; row < rows; ++row) indices[row] = std::max(load<int32_t>(input.values, row), 0);
      break;
    }
  }
  if (places.mask >= 0) std::memcpy(memory_ + places.mask + first, input.missing, static_cast<size_t>(rows));
  if (places.validity < 0) return 0;
  const uint8_t* const values = input.values;
  const auto never = [](int64_t) { return false; };
  const auto put = [&](const auto& is_valid, const auto& all_valid) {
    return put_bits(places.validity, first, rows, is_valid, all_valid);
  };
  switch (places.kind) {
    case GrowingKind::floating:
      if (width == 8)
        return put([&](int64_t row) { return !std::isnan(load<double>(values, row)); },
                   [&](int64_t row) {
                     return none_is_missing<double, int64_t>(values, row, [](auto lanes) { return lanes != lanes; });
                   });
      if (width == 4)
        return put([&](int64_t row) { return !std::isnan(load<float>(values, row)); },
                   [&](int64_t row) {
                     return none_is_missing<float, int32_t>(values, row, [](auto lanes) { return lanes != lanes; });
                   });
      return put([&](int64_t row) { return (load<uint16_t>(values, row) & 0x7fff) <= 0x7c00; }, never);
    case GrowingKind::time:
      return put([&](int64_t row) { return load<int64_t>(values, row) != no_time; },
                 [&](int64_t row) {
                   // Not every processor compares 64-bit integers in vectors, so halves are compared. The upper half of
                   // NaT is the least int32. Where any half has that value, the rows are checked one by one.
                   return none_is_missing<int32_t, int32_t>(values, row * 2,
                                                            [](auto lanes) { return lanes == INT32_MIN; }) &&
                          none_is_missing<int32_t, int32_t>(values, row * 2 + at_once,
                                                            [](auto lanes) { return lanes == INT32_MIN; });
                 });
    case GrowingKind::category:
      return put([&](int64_t row) { return load<int32_t>(values, row) >= 0; },
                 [&](int64_t row) {
                   return none_is_missing<int32_t, int32_t>(values, row, [](auto lanes) { return lanes < 0; });
                 });
    case GrowingKind::text:
      if (!input.valid_bits) return put([](int64_t) { return true; }, [](int64_t) { return true; });
      return put([&](int64_t row) { return bit(input.valid_bits, input.first_bit + row); }, never);
    default:
      return put([&](int64_t row) { return input.missing[row] == 0; },
                 [&](int64_t row) {
                   return none_is_missing<int8_t, int8_t>(input.missing, row, [](auto lanes) { return lanes != 0; });
                 });
  }
}

// So many rows of a column are written and looked at while they are in the nearest cache.
constexpr int64_t rows_at_once = 2048;

void GrowingRows::write(const std::vector<GrowingInput>& inputs, int64_t rows) {
  for (size_t number = 0; number < columns_.size(); ++number) {
    const GrowingPlaces& places = columns_[number];
    State& state = state_[number];
    if (places.kind == GrowingKind::text) {
      state.nulls += write_column(places, state, inputs[number], rows_, rows);
      continue;
    }
    const int64_t width = std::max(places.width, 1);
    for (int64_t start = 0; start < rows; start += rows_at_once) {
      GrowingInput part = inputs[number];
      part.values += start * width;
      if (part.missing) part.missing += start;
      state.nulls += write_column(places, state, part, rows_ + start, std::min(rows - start, rows_at_once));
    }
  }
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
  if (kind == GrowingKind::floating && width >= 4)
    return width == 8 ? descent<double>(values, rows, last) : descent<float>(values, rows, last);
  if (kind != GrowingKind::integer) throw std::invalid_argument("values of this kind have no order");
  switch (width) {
    case 1: return is_signed ? descent<int8_t>(values, rows, last) : descent<uint8_t>(values, rows, last);
    case 2: return is_signed ? descent<int16_t>(values, rows, last) : descent<uint16_t>(values, rows, last);
    case 4: return is_signed ? descent<int32_t>(values, rows, last) : descent<uint32_t>(values, rows, last);
    default: return is_signed ? descent<int64_t>(values, rows, last) : descent<uint64_t>(values, rows, last);
  }
}

}  // namespace colonnade
