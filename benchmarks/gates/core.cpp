// The core's operations, one for each run, for callgrind to count: `core NAME` runs that one, `core` prints the names.
//
// Only what happens inside of `measured` is counted. One thread and the portable kernels, so that the count is the same on
// every processor. Does not depend on: Python, the clock.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "execute.h"
#include "kernels.h"
#include "key_index.h"
#include "plan.h"

using namespace colonnade;

namespace {

constexpr int64_t rows = 100'000;

// Runs an operation; callgrind counts from its entry to its return.
extern "C" __attribute__((noinline)) void measured(const std::function<void()>& operation) { operation(); }

// Every seventh value is null, in the bitmap and as NaN.
std::vector<double> doubles() {
  std::vector<double> values(rows);
  for (int64_t row = 0; row < rows; ++row)
    values[row] = row % 7 ? static_cast<double>(row) * 0.5 : std::numeric_limits<double>::quiet_NaN();
  return values;
}

std::vector<uint8_t> bitmap() {
  std::vector<uint8_t> bits((rows + 7) / 8);
  for (int64_t row = 0; row < rows; ++row)
    if (row % 7) bits[row / 8] = static_cast<uint8_t>(bits[row / 8] | 1 << row % 8);
  return bits;
}

// Runs one job with all the outputs that it can have.
void run(Job job, const void* values, const void* validity, int64_t stride) {
  job.rows = rows;
  job.piece_count = 1;
  const int64_t values_bytes = job.values == Values::none ? 0 : values_size(job, rows);
  const int64_t pandas_bytes = job.pandas_buffer == PandasBuffer::none ? 0 : pandas_size(job, rows);
  const std::array<int64_t, 4> sizes{values_bytes, job.bitmap_at < 0 ? 0 : (rows + 7) / 8, 0, pandas_bytes};
  const std::array<int64_t*, 4> places{&job.values_at, &job.bitmap_at, &job.mask_at, &job.pandas_at};
  std::vector<char> memory(sizes[0] + sizes[1] + sizes[3] + 5 * 64);
  int64_t at = reinterpret_cast<int64_t>(memory.data()) / 64 * 64 + 64;
  const int64_t start = at;
  for (size_t i = 0; i < sizes.size(); ++i) {
    *places[i] = sizes[i] ? at : -1;
    at += (sizes[i] + 63) / 64 * 64;
  }
  const Piece piece{reinterpret_cast<int64_t>(values), stride, reinterpret_cast<int64_t>(validity), 0, rows, 0, 0, 0};
  const Plan plan{{job}, {piece}};
  std::array<Result, 1> results{};
  measured([&] {
    check(plan, {{start, at}}, Into::memory);
    execute(plan, Sink{}, 1, results, std::numeric_limits<int64_t>::max());
  });
}

Job job_of(Values values, int64_t width, Validity validity, Element element) {
  Job job{};
  job.values = values;
  job.width = width;
  job.out_width = 8;
  job.validity = validity;
  job.element = element;
  job.pandas_element = Element::float64;
  job.operand = rows;
  job.bitmap_at = 0;
  return job;
}

void copy() {
  const auto values = doubles();
  Job job = job_of(Values::fixed, 8, Validity::none, Element::float64);
  job.bitmap_at = -1;
  run(job, values.data(), nullptr, 8);
}

void nan_to_bitmap() {
  const auto values = doubles();
  run(job_of(Values::fixed, 8, Validity::nan64, Element::float64), values.data(), nullptr, 8);
}

void bitmap_to_nan() {
  const auto values = doubles();
  const auto bits = bitmap();
  Job job = job_of(Values::fixed, 8, Validity::bits, Element::float64);
  job.fill = 0x7ff8000000000000;
  run(job, values.data(), bits.data(), 8);
}

void integers_to_floats() {
  const std::vector<int64_t> values(rows, 5);
  const auto bits = bitmap();
  Job job = job_of(Values::fixed, 8, Validity::bits, Element::int64);
  job.pandas_buffer = PandasBuffer::float64;
  run(job, values.data(), bits.data(), 8);
}

void bits_to_bytes() {
  const auto bits = bitmap();
  Job job = job_of(Values::bits, 0, Validity::bits, Element::uint8);
  job.pandas_buffer = PandasBuffer::bytes;
  job.pandas_element = Element::uint8;
  run(job, bits.data(), bits.data(), 0);
}

void bytes_to_bits() {
  std::vector<uint8_t> values(rows);
  for (int64_t row = 0; row < rows; ++row) values[row] = row % 3 == 0;
  run(job_of(Values::bytes_to_bits, 1, Validity::none, Element::uint8), values.data(), nullptr, 1);
}

void indices_to_codes() {
  std::vector<int32_t> values(rows);
  for (int64_t row = 0; row < rows; ++row) values[row] = static_cast<int32_t>(row % 500);
  const auto bits = bitmap();
  Job job = job_of(Values::indices, 4, Validity::bits, Element::int32);
  job.pandas_buffer = PandasBuffer::codes;
  job.pandas_element = Element::int16;
  job.operand = 500;
  run(job, values.data(), bits.data(), 4);
}

void times_scaled() {
  const std::vector<int64_t> values(rows, 1'000'000);
  const auto bits = bitmap();
  Job job = job_of(Values::fixed, 8, Validity::bits, Element::int64);
  job.pandas_buffer = PandasBuffer::scaled;
  job.pandas_element = Element::int64;
  job.operand = 1000;
  run(job, values.data(), bits.data(), 8);
}

void offsets_widened() {
  std::vector<int32_t> values(rows + 1);
  for (int64_t row = 0; row <= rows; ++row) values[row] = static_cast<int32_t>(row * 9);
  Job job = job_of(Values::offsets32, 0, Validity::none, Element::uint8);
  job.bitmap_at = -1;
  run(job, values.data(), nullptr, 0);
}

void key_index() {
  std::vector<int64_t> numbers(rows);
  for (int64_t row = 0; row < rows; ++row) numbers[row] = row * 2654435761 % (1LL << 40);
  const auto* bytes = reinterpret_cast<const uint8_t*>(numbers.data());
  const std::array<KeyColumn, 1> columns{KeyColumn{{bytes, static_cast<size_t>(rows) * 8}, {}, {}, 8}};
  constexpr int64_t bits = 4;
  std::vector<uint64_t> slots(static_cast<size_t>(((rows * 2) >> bits) + 40) << bits);
  std::vector<uint32_t> next(rows);
  std::vector<int64_t> found(rows);
  measured([&] {
    build_key_index(columns, rows, 1, bits, slots, next, 1);
    find_keys({slots, next, bits, 1}, columns, rows, columns, found, 1);
  });
}

constexpr std::array<std::pair<const char*, void (*)()>, 10> operations{{
    {"copy", copy},
    {"nan_to_bitmap", nan_to_bitmap},
    {"bitmap_to_nan", bitmap_to_nan},
    {"integers_to_floats", integers_to_floats},
    {"bits_to_bytes", bits_to_bytes},
    {"bytes_to_bits", bytes_to_bits},
    {"indices_to_codes", indices_to_codes},
    {"times_scaled", times_scaled},
    {"offsets_widened", offsets_widened},
    {"key_index", key_index},
}};

}  // namespace

int main(int count, char** arguments) {
  use_kernels("portable");
  for (const auto& [name, operation] : operations) {
    if (count < 2) std::puts(name);
    if (count == 2 && std::string(arguments[1]) == name) {
      operation();
      return 0;
    }
  }
  return count < 2 ? 0 : 1;
}
