#include "key_index.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "pool.h"
#include "threads.h"

namespace colonnade {
namespace {

constexpr uint64_t row_mask = 0xFFFFFFFF;
constexpr int64_t threaded_rows = 1 << 16;  // below, a thread costs more to start than it saves

// The mixing step of wyhash (Wang Yi, https://github.com/wangyi-fudan/wyhash, public domain).
inline uint64_t mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

constexpr uint64_t secret_0 = 0xa0761d6478bd642f, secret_1 = 0xe7037ed1a0b428db;

inline uint64_t load(const uint8_t* at, size_t size) {
  uint64_t word = 0;
  std::memcpy(&word, at, size);
  return word;
}

uint64_t hash_bytes(const uint8_t* at, size_t size, uint64_t seed) {
  uint64_t hash = seed ^ mix(size ^ secret_1, secret_0);
  size_t left = size;
  for (; left > 16; left -= 16, at += 16) hash = mix(load(at, 8) ^ secret_1, load(at + 8, 8) ^ hash);
  const uint64_t low = load(at, std::min<size_t>(left, 8));
  const uint64_t high = left > 8 ? load(at + 8, left - 8) : 0;
  return mix(low ^ secret_1, high ^ hash);
}

// A row's value in one column; `bad` where the offsets lead outside of the values.
struct Value {
  const uint8_t* at;
  size_t size;
  bool bad;
};

inline Value value_of(const KeyColumn& column, int64_t row) {
  if (column.width != 0) return {column.values.data() + row * column.width, static_cast<size_t>(column.width), false};
  const bool is_short = column.offsets.empty();
  const int64_t first = is_short ? column.short_offsets[row] : column.offsets[row];
  const int64_t end = is_short ? column.short_offsets[row + 1] : column.offsets[row + 1];
  if (first < 0 || end < first || end > static_cast<int64_t>(column.values.size())) return {nullptr, 0, true};
  return {column.values.data() + first, static_cast<size_t>(end - first), false};
}

inline uint64_t hash_word(uint64_t word, uint64_t seed) { return mix(word ^ secret_0, seed ^ secret_1); }

inline uint64_t hash_of(const KeyColumn& column, int64_t row, uint64_t seed, bool& bad) {
  const Value value = value_of(column, row);
  if (value.bad) {
    bad = true;
    return 0;
  }
  switch (column.width) {  // of a size that the compiler knows, a load is one instruction
    case 8: return hash_word(load(value.at, 8), seed);
    case 4: return hash_word(load(value.at, 4), seed);
    default: return hash_bytes(value.at, value.size, seed);
  }
}

inline bool has_null(std::span<const KeyColumn> columns, int64_t row) {
  for (const KeyColumn& column : columns)
    if (!column.valid.empty() && column.valid[row] == 0) return true;
  return false;
}

// The hash of a row's key, no part of which is null.
inline uint64_t hash_row(std::span<const KeyColumn> columns, int64_t row, uint64_t seed, bool& bad) {
  uint64_t hash = seed;
  for (const KeyColumn& column : columns) hash = hash_of(column, row, hash, bad);
  return mix(hash, secret_0);  // the region and the tag are other ends of it: each needs all bits mixed in
}

inline bool equal_rows(std::span<const KeyColumn> left, int64_t left_row, std::span<const KeyColumn> right,
                       int64_t right_row, bool& bad) {
  for (size_t i = 0; i < left.size(); ++i) {
    const Value a = value_of(left[i], left_row), b = value_of(right[i], right_row);
    if (a.bad || b.bad) {
      bad = true;
      return false;
    }
    if (a.size != b.size || std::memcmp(a.at, b.at, a.size) != 0) return false;
  }
  return true;
}

inline int64_t region_of(uint64_t hash, int64_t bits) {
  return bits == 0 ? 0 : static_cast<int64_t>(hash >> (64 - bits));
}

// What a slot holds: the low half of a hash, and a row.
inline uint64_t slot_of(uint64_t hash, int64_t row) { return hash << 32 | static_cast<uint64_t>(row + 1); }
inline int64_t row_of(uint64_t slot) { return static_cast<int64_t>(slot & row_mask) - 1; }

// The slot of a region where the search for a tag begins.
inline int64_t start_of(uint64_t slot, int64_t region_slots) {
  return static_cast<int64_t>((slot >> 32) * static_cast<uint64_t>(region_slots) >> 32);
}

// Memory for the time of a build: the pool's, whose huge pages are touched in a quarter of the time of small ones.
template <class Element>
class Scratch {
 public:
  explicit Scratch(int64_t count) : memory_(Pool::instance().take(count * sizeof(Element))) {}
  ~Scratch() { Pool::instance().give(memory_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  Element* data() { return reinterpret_cast<Element*>(memory_.address); }

 private:
  Pool::Memory memory_;
};

size_t threads_for(int64_t rows, int threads) {
  return rows < threaded_rows ? 1 : static_cast<size_t>(std::max(threads, 1));
}

// Puts a region's rows into its slots, the last row first, so that a slot ends up with the first row of its key.
// `entries` are what the slots will hold. False if there are more keys than slots.
bool fill_region(std::span<uint64_t> slots, std::span<const uint64_t> entries, std::span<const KeyColumn> columns,
                 uint32_t* next, int64_t& duplicates) {
  const auto region_slots = static_cast<int64_t>(slots.size());
  int64_t used = 0;
  for (size_t i = entries.size(); i-- > 0;) {
    const uint64_t entry = entries[i];
    for (int64_t at = start_of(entry, region_slots);; at = at + 1 == region_slots ? 0 : at + 1) {
      uint64_t& slot = slots[at];
      if (slot == 0) {
        if (++used >= region_slots)
          return false;  // one slot stays empty: a search for a key that is missing ends there
        slot = entry;
        break;
      }
      bool bad = false;
      if ((slot ^ entry) <= row_mask && equal_rows(columns, row_of(entry), columns, row_of(slot), bad)) {
        next[row_of(entry)] = static_cast<uint32_t>(slot & row_mask);
        slot = entry;
        ++duplicates;
        break;
      }
    }
  }
  return true;
}

// Builds an index. `hash(row)` is called for each row that is not null, and then `hash_again(row)`.
//
// The entries of a region are listed first, in its own slots. So nothing is needed beside the index, except a copy
// of one region for each thread. Where many rows have one key, a region has more entries than slots, and the list is
// apart.
template <class Hash, class HashAgain, class IsNull>
std::optional<KeyIndexCounts> build(std::span<const KeyColumn> columns, int64_t rows, int64_t bits,
                                    std::span<uint64_t> slots, std::span<uint32_t> next, size_t workers,
                                    const Hash& hash, const HashAgain& hash_again, const IsNull& is_null) {
  const int64_t regions = INT64_C(1) << bits;
  const int64_t region_slots = static_cast<int64_t>(slots.size()) >> bits;

  // All memory is had outside of the threads: none of them can fail.
  std::vector<std::vector<int64_t>> places(workers, std::vector<int64_t>(regions));  // a vector each: no shared lines
  std::vector<std::vector<uint64_t>> copies(workers, std::vector<uint64_t>(region_slots));
  std::vector<int64_t> counts(regions), starts(regions), nulls(workers), duplicates(regions);

  const auto part = [&](size_t worker) noexcept { return static_cast<int64_t>(rows * worker / workers); };
  run_on_threads(workers, [&](size_t worker) noexcept {
    int64_t* const own = places[worker].data();
    int64_t left_out = 0;
    std::memset(next.data() + part(worker), 0, (part(worker + 1) - part(worker)) * sizeof(uint32_t));
    for (int64_t row = part(worker); row < part(worker + 1); ++row) {
      if (is_null(row))
        ++left_out;
      else
        ++own[region_of(hash(row), bits)];
    }
    nulls[worker] = left_out;
  });
  for (const std::vector<int64_t>& own : places)
    for (int64_t region = 0; region < regions; ++region) counts[region] += own[region];
  std::optional<Scratch<uint64_t>> apart;
  if (*std::max_element(counts.begin(), counts.end()) > region_slots) apart.emplace(rows);
  uint64_t* const lists = apart ? apart->data() : slots.data();
  // Turns counts into places: region by region, and within a region worker by worker, so that rows stay in order.
  int64_t place = 0;
  for (int64_t region = 0; region < regions; ++region) {
    starts[region] = place;
    for (std::vector<int64_t>& own : places) place += std::exchange(own[region], place);
    if (!apart) place = starts[region] + region_slots;
  }
  run_on_threads(workers, [&](size_t worker) noexcept {
    int64_t* const own = places[worker].data();
    for (int64_t row = part(worker); row < part(worker + 1); ++row) {
      if (is_null(row)) continue;
      const uint64_t key_hash = hash_again(row);
      lists[own[region_of(key_hash, bits)]++] = slot_of(key_hash, row);
    }
  });
  std::atomic<int64_t> next_region = 0;
  std::atomic<bool> full = false;
  run_on_threads(workers, [&](size_t worker) noexcept {
    for (int64_t region = next_region++; region < regions; region = next_region++) {
      const std::span<uint64_t> own = slots.subspan(region * region_slots, region_slots);
      const uint64_t* entries = lists + starts[region];
      if (!apart) {
        std::copy_n(entries, counts[region], copies[worker].data());
        entries = copies[worker].data();
      }
      std::fill(own.begin(), own.end(), 0);
      const std::span region_entries{entries, static_cast<size_t>(counts[region])};
      if (!fill_region(own, region_entries, columns, next.data(), duplicates[region])) full = true;
    }
  });
  if (full) return std::nullopt;
  return KeyIndexCounts{std::reduce(nulls.begin(), nulls.end()), std::reduce(duplicates.begin(), duplicates.end())};
}

}  // namespace

std::optional<KeyIndexCounts> build_key_index(std::span<const KeyColumn> columns, int64_t rows, uint64_t seed,
                                              int64_t bits, std::span<uint64_t> slots, std::span<uint32_t> next,
                                              int threads) {
  const size_t workers = threads_for(rows, threads);
  const auto built = [&](const auto& hash, const auto& hash_again, const auto& is_null) {
    return build(columns, rows, bits, slots, next, workers, hash, hash_again, is_null);
  };
  const KeyColumn& column = columns.front();
  if (columns.size() == 1 && column.width == 8 && column.valid.empty()) {  // the most common key
    const auto hash = [values = column.values.data(), seed](int64_t row) noexcept {
      return mix(hash_word(load(values + row * 8, 8), seed), secret_0);
    };
    return built(hash, hash, [](int64_t) noexcept { return false; });
  }
  // Hashes that take longer are kept.
  Scratch<uint64_t> hashes(rows);
  const auto hash = [&, row_hashes = hashes.data()](int64_t row) noexcept {
    bool bad = false;  // the caller has checked the offsets
    return row_hashes[row] = hash_row(columns, row, seed, bad);
  };
  const auto hash_again = [row_hashes = hashes.data()](int64_t row) noexcept { return row_hashes[row]; };
  return built(hash, hash_again, [&](int64_t row) noexcept { return has_null(columns, row); });
}

namespace {

// Finds keys in groups. Their slots are prefetched together: each is a cache miss, and none has to wait for another.
bool find_part(const KeyIndex& index, std::span<const KeyColumn> columns, int64_t rows, std::span<const KeyColumn> keys,
               std::span<int64_t> out, int64_t from, int64_t to) noexcept {
  constexpr int64_t group = 16;
  const int64_t region_slots = static_cast<int64_t>(index.slots.size()) >> index.bits;
  uint64_t hashes[group];
  int64_t starts[group];
  bool bad = false;
  for (int64_t first = from; first < to; first += group) {
    const int64_t count = std::min(group, to - first);
    for (int64_t i = 0; i < count; ++i) {
      starts[i] = -1;
      if (has_null(keys, first + i)) continue;
      hashes[i] = hash_row(keys, first + i, index.seed, bad);
      if (bad) return false;
      starts[i] = region_of(hashes[i], index.bits) * region_slots + start_of(hashes[i] << 32, region_slots);
      __builtin_prefetch(&index.slots[starts[i]]);
    }
    for (int64_t i = 0; i < count; ++i) {
      out[first + i] = -1;
      if (starts[i] < 0) continue;
      const int64_t region_first = starts[i] / region_slots * region_slots;
      int64_t at = starts[i];
      for (int64_t step = 0; step < region_slots; ++step) {
        const uint64_t slot = index.slots[at];
        if (slot == 0) break;
        if (((slot >> 32) ^ (hashes[i] & row_mask)) == 0) {
          const int64_t row = row_of(slot);
          if (row < 0 || row >= rows) return false;
          if (equal_rows(columns, row, keys, first + i, bad)) {
            out[first + i] = row;
            break;
          }
          if (bad) return false;
        }
        at = at + 1 == region_first + region_slots ? region_first : at + 1;
      }
    }
  }
  return true;
}

constexpr int64_t damaged = -2;

// The row after one; -1 at the end. Rows ascend, so every chain ends.
inline int64_t next_row(const KeyIndex& index, int64_t rows, int64_t row) {
  if (index.next.empty()) return -1;
  const int64_t after = static_cast<int64_t>(index.next[row]) - 1;
  if (after == -1) return -1;
  return after > row && after < rows ? after : damaged;
}

}  // namespace

bool find_keys(const KeyIndex& index, std::span<const KeyColumn> columns, int64_t rows, std::span<const KeyColumn> keys,
               std::span<int64_t> out, int threads) noexcept {
  const auto count = static_cast<int64_t>(out.size());
  if (count == 0) return true;
  const size_t workers = threads_for(count, threads);
  if (workers == 1) return find_part(index, columns, rows, keys, out, 0, count);
  std::atomic<bool> sound = true;
  const auto work = [&](size_t worker) noexcept {
    const auto from = static_cast<int64_t>(count * worker / workers),
               to = static_cast<int64_t>(count * (worker + 1) / workers);
    if (!find_part(index, columns, rows, keys, out, from, to)) sound = false;
  };
  run_on_threads(workers, work);
  return sound;
}

bool count_rows(const KeyIndex& index, int64_t rows, std::span<const int64_t> first,
                std::span<int64_t> counts) noexcept {
  for (size_t i = 0; i < first.size(); ++i) {
    counts[i] = 0;
    int64_t row = first[i];
    for (; row >= 0; row = next_row(index, rows, row)) ++counts[i];
    if (row == damaged) return false;
  }
  return true;
}

bool list_rows(const KeyIndex& index, int64_t rows, std::span<const int64_t> first, std::span<int64_t> out) noexcept {
  size_t at = 0;
  for (const int64_t begin : first)
    for (int64_t row = begin; row >= 0; row = next_row(index, rows, row)) {
      if (at == out.size()) return false;
      out[at++] = row;
    }
  return at == out.size();
}

}  // namespace colonnade
