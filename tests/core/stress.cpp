// The core alone, for sanitizers: random plans of every operation, run by many threads at once into memory and into
// files, by the kernels of every instruction set; the pool, used by all of them; drafts, written through mappings;
// files that are put into huge pages meanwhile; Arrow streams; key indices; and hashes. Then each allocation of these
// fails in turn, and each must end in std::bad_alloc with nothing leaked.
//
// Prints nothing and returns 0 if all outputs agree; a sanitizer stops it where something is wrong.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "arrow_stream.h"
#include "bitmap.h"
#include "collapser.h"
#include "execute.h"
#include "hash.h"
#include "kernels.h"
#include "key_index.h"
#include "mapping.h"
#include "plan.h"
#include "pool.h"
#include "threads.h"

using namespace colonnade;

namespace {

// The allocations that are left until one fails, in any thread; negative: none fails.
std::atomic<int64_t> allocations_left{-1};

void* allocate(size_t size) {
  if (allocations_left.load() >= 0 && allocations_left.fetch_sub(1) == 0) return nullptr;
  return std::malloc(size > 0 ? size : 1);
}

}  // namespace

void* operator new(size_t size) {
  if (void* const memory = allocate(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace {

// Sources in allocations of exactly their size, so that a read past the end is seen.
struct RandomPlan : Plan {
  std::vector<std::unique_ptr<uint8_t[]>> memory;
  int64_t size = 0;

  uint8_t* random_bytes(std::mt19937& random, int64_t count) {
    memory.push_back(std::make_unique<uint8_t[]>(count));
    for (int64_t i = 0; i < count; ++i) memory.back()[i] = static_cast<uint8_t>(random());
    return memory.back().get();
  }

  int64_t place(int64_t bytes) {
    const int64_t at = size;
    size += (bytes + 63) / 64 * 64;
    return at;
  }
};

RandomPlan make_plan(unsigned seed) {
  std::mt19937 random(seed);
  const auto below = [&](int64_t limit) { return static_cast<int64_t>(random() % limit); };
  RandomPlan plan;
  for (int j = 0; j < 12; ++j) {
    Job job{};
    const int64_t widths[] = {1, 2, 4, 8, 16};
    job.values = static_cast<Values>(below(7));
    const bool elements = is_fixed(job) || job.values == Values::none;
    job.width = job.values == Values::bytes_to_bits ? 1 : elements ? widths[below(5)] : 0;
    job.out_width = below(2) ? 4 : 8;
    job.validity = static_cast<Validity>(below(2));
    job.element = static_cast<Element>(below(10));
    job.pandas_element = Element::uint8;
    job.operand = below(2) ? 1 + below(100) : INT64_MAX;
    if (job.values == Values::indices && (is_float(job.element) || job.width != width_of(job.element)))
      job.values = Values::fixed;
    if (elements) {
      const Validity kinds[] = {Validity::none, Validity::bits, Validity::mask};
      job.validity = kinds[below(3)];
      if (job.width == 2) job.validity = Validity::nan16;
      if (job.width == 4) job.validity = Validity::nan32;
      if (job.width == 8) job.validity = below(2) ? Validity::nan64 : Validity::nat;
      const bool floats = job.element == Element::float32 || job.element == Element::float64;
      const bool times = job.element == Element::int32 || job.element == Element::int64;
      if (job.width == width_of(job.element)) {
        job.pandas_buffer = floats              ? PandasBuffer::integers
                            : below(3)          ? PandasBuffer::codes
                            : times && below(2) ? PandasBuffer::scaled
                                                : PandasBuffer::float64;
        job.pandas_element = job.pandas_buffer == PandasBuffer::float64  ? Element::float64
                             : job.pandas_buffer == PandasBuffer::scaled ? Element::int64
                                                                         : static_cast<Element>(below(floats ? 8 : 4));
      }
    }
    if (job.values == Values::bits || job.values == Values::bytes_to_bits) job.pandas_buffer = PandasBuffer::bytes;
    job.fill = -1;
    job.first_piece = static_cast<int64_t>(plan.pieces.size());
    job.piece_count = 1 + below(4);
    for (int64_t p = 0; p < job.piece_count; ++p) {
      Piece piece{};
      piece.length = below(3) ? below(200000) : below(70);
      piece.offset = below(70);
      const int64_t reach = piece.offset + piece.length;
      const bool bits = job.values == Values::bits;
      const bool offsets = job.values == Values::offsets32 || job.values == Values::offsets64;
      piece.stride = job.width * (below(4) ? 1 : 2);
      piece.base = below(3) - 1;
      if (job.pandas_buffer == PandasBuffer::codes && below(3) == 0) {
        piece.map_length = 1 + below(300);
        piece.map = reinterpret_cast<int64_t>(plan.random_bytes(random, piece.map_length * 4));
      }
      const int64_t source = bits      ? (reach + 7) / 8
                             : offsets ? reach * (job.values == Values::offsets32 ? 4 : 8)
                                       : reach * piece.stride;
      piece.values = reinterpret_cast<int64_t>(plan.random_bytes(random, source + 8));
      if (job.validity == Validity::bits && below(4))
        piece.validity = reinterpret_cast<int64_t>(plan.random_bytes(random, (reach + 7) / 8));
      if (job.validity == Validity::mask && below(4))
        piece.validity = reinterpret_cast<int64_t>(plan.random_bytes(random, reach));
      job.rows += piece.length;
      plan.pieces.push_back(piece);
    }
    const int64_t bitmap = (job.rows + 7) / 8;
    const bool booleans = job.values == Values::bits || job.values == Values::bytes_to_bits;
    const bool offsets = job.values == Values::offsets32 || job.values == Values::offsets64;
    job.values_at = job.values == Values::none
                        ? -1
                        : plan.place(booleans ? bitmap : job.rows * (offsets ? job.out_width : job.width));
    job.bitmap_at = below(3) ? plan.place(bitmap) : -1;
    job.mask_at = below(3) ? -1 : plan.place(job.rows);
    job.pandas_at = job.pandas_buffer == PandasBuffer::none ? -1 : plan.place(job.rows * width_of(job.pandas_element));
    plan.jobs.push_back(job);
  }
  return plan;
}

struct Outcome {
  std::vector<char> bytes;
  std::vector<Result> results;
  bool operator==(const Outcome& other) const {
    const auto same = [](const Result& a, const Result& b) { return a.nulls == b.nulls && a.overflows == b.overflows; };
    return bytes == other.bytes &&
           std::equal(results.begin(), results.end(), other.results.begin(), other.results.end(), same);
  }
};

Outcome run_in_memory(const RandomPlan& plan, int threads, const char* kernels, int64_t stream_from) {
  use_kernels(kernels);  // another thread may choose other kernels at the same time: the outcome must be the same
  // Aligned to 64 bytes, as the memory that Python passes is.
  Outcome made{std::vector<char>(plan.size), std::vector<Result>(plan.jobs.size())};
  std::vector<char> room(plan.size + 64);
  char* const memory = room.data() + (64 - reinterpret_cast<uintptr_t>(room.data()) % 64);
  Plan placed{plan.jobs, plan.pieces};
  const auto base = reinterpret_cast<int64_t>(memory);
  for (Job& job : placed.jobs)
    for (int64_t* at : {&job.values_at, &job.bitmap_at, &job.mask_at, &job.pandas_at})
      if (*at >= 0) *at += base;
  check(placed, {{base, base + plan.size}}, Into::memory);
  execute(placed, Sink{}, threads, made.results, stream_from);
  std::copy_n(memory, plan.size, made.bytes.begin());
  return made;
}

bool check(unsigned seed, const char* folder) {
  const RandomPlan plan = make_plan(seed);
  const Outcome alone = run_in_memory(plan, 1, "portable", INT64_MAX);
  for (const char* kernels : {"portable", ""})
    for (const int64_t stream_from : {int64_t{0}, INT64_MAX})
      if (run_in_memory(plan, 4, kernels, stream_from) != alone) return false;
  const int fd = open(folder, O_TMPFILE | O_RDWR, 0600);
  if (fd < 0 || ftruncate(fd, plan.size) != 0) return false;
  Outcome file{std::vector<char>(plan.size), std::vector<Result>(plan.jobs.size())};
  check(plan, {{0, plan.size}}, Into::file);
  const int error = execute(plan, Sink{fd}, 3, file.results);
  const bool read_back = pread(fd, file.bytes.data(), plan.size, 0) == plan.size;
  close(fd);
  return error == 0 && read_back && file == alone;
}

// Buffers of sizes that fit each other, filled with their owner's mark while they are buffers.
bool check_pool(unsigned seed) {
  std::mt19937 random(seed);
  Pool& pool = Pool::instance();
  std::vector<Pool::Memory> buffers;
  for (int step = 0; step < 60; ++step) {
    if (buffers.size() < 8 && random() % 2) {
      buffers.push_back(pool.take(1 + random() % (3 << 20)));
      if (buffers.back().fresh) Pool::touch({&buffers.back(), 1}, 2);
      std::memset(buffers.back().address, static_cast<int>(seed), buffers.back().capacity);
    } else if (!buffers.empty()) {
      for (size_t i = 0; i < buffers.back().capacity; i += 4096)
        if (buffers.back().address[i] != static_cast<char>(seed)) return false;
      pool.give(buffers.back());
      buffers.pop_back();
    }
    if (step % 20 == 0) pool.set_limit(random() % (8 << 20));
  }
  for (const Pool::Memory& memory : buffers) pool.give(memory);
  return true;
}

// A draft that threads of its own write to through a mapping, as `put` does; then readers' views of it, and a late
// writer.
bool check_draft(unsigned seed, const char* folder) {
  std::mt19937 random(seed);
  const size_t size = 1 + random() % (9 << 20);
  const int fd = open(folder, O_TMPFILE | O_RDWR, 0600);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(size)) != 0) return false;
  Mapping draft(fd, size, Mapping::Kind::writing);
  if (!reserve(fd, draft, 3) && posix_fallocate(fd, 0, static_cast<off_t>(size)) != 0) return false;
  char* const bytes = static_cast<char*>(draft.address());
  run_on_threads(3, [&](size_t thread) noexcept {
    for (size_t at = thread * 64; at < size; at += 3 * 64)
      std::memset(bytes + at, static_cast<int>(seed), std::min<size_t>(64, size - at));
  });
  const Mapping reading(fd, size, Mapping::Kind::reading);
  const Mapping own(fd, size, Mapping::Kind::private_copy);
  reading.collapse(2);
  std::memset(own.address(), ~static_cast<int>(seed), size);
  draft.detach(fd);
  std::memset(bytes, ~static_cast<int>(seed), size);
  const char* const seen = static_cast<const char*>(reading.address());
  close(fd);
  return std::all_of(seen, seen + size, [&](char byte) { return byte == static_cast<char>(seed); });
}

// A file that is written, taken back and left to forks while it is put into huge pages; at last it loses its name.
bool check_collapser(unsigned seed, const char* folder) {
  std::mt19937 random(seed);
  const size_t size = (size_t{2} << 20) * (2 + random() % 6) + random() % 5000;
  std::string path = std::string(folder) + "/colonnade-stress-XXXXXX";
  const int fd = mkstemp(path.data());
  struct stat status;
  if (fd < 0 || posix_fallocate(fd, 0, static_cast<off_t>(size)) != 0 || fstat(fd, &status) != 0) return false;
  const Mapping draft(fd, size, Mapping::Kind::writing);
  char* const bytes = static_cast<char*>(draft.address());
  Collapser& collapser = Collapser::instance();
  bool good = true;
  for (int round = 0; round < 6; ++round) {
    collapser.add(fd);
    std::memset(bytes, static_cast<int>(seed) + round, size);
    if (round % 3 == 1) collapser.release(status.st_dev, status.st_ino);
    if (round % 3 == 2) {
      const pid_t child = fork();
      if (child == 0) _exit(static_cast<int>(collapser.waiting()));
      int code = -1;
      good = waitpid(child, &code, 0) == child && code == 0 && good;
      collapser.resume();
    }
    const auto is_written = [=](char byte) { return byte == static_cast<char>(seed + round); };
    good = std::all_of(bytes, bytes + size, is_written) && good;
  }
  unlink(path.c_str());
  collapser.release(status.st_dev, status.st_ino);
  close(fd);
  return good;
}

// A stream of so many arrays of 100 values, or of batches of so many columns; it counts the arrays that are not
// released.
class Producer {
 public:
  Producer(int arrays, int columns) : left_(arrays), columns_(columns) {
    stream = {nullptr, get_next, get_last_error, release_stream, this};
  }

  ArrowArrayStream stream{};
  int live = 0;
  bool is_released = false;

 private:
  static constexpr int64_t rows = 100;
  struct Contents {
    Producer* producer;
    const void* buffers[2] = {nullptr, values};
    std::vector<ArrowArray> children;
    std::vector<ArrowArray*> pointers;
  };

  // What a producer allocates is not the core's, so it does not fail.
  template <class Make>
  static auto aside(const Make& make) {
    const int64_t left = allocations_left.exchange(-1);
    auto made = make();
    allocations_left = left;
    return made;
  }

  static int get_next(ArrowArrayStream* stream, ArrowArray* out) {
    auto* const self = static_cast<Producer*>(stream->private_data);
    *out = {};
    if (self->left_-- == 0) return 0;
    auto* const contents = aside([&] {
      auto* const made = new Contents{self, {nullptr, values}, {}, {}};
      made->children.resize(self->columns_);
      for (ArrowArray& child : made->children) {
        child = {rows, 0, 0, 2, 0, made->buffers, nullptr, nullptr, [](ArrowArray*) {}, nullptr};
        made->pointers.push_back(&child);
      }
      return made;
    });
    *out = {rows,          0,       0, 2, self->columns_, contents->buffers, contents->pointers.data(), nullptr,
            release_array, contents};
    ++self->live;
    return 0;
  }
  static const char* get_last_error(ArrowArrayStream*) { return nullptr; }
  static void release_stream(ArrowArrayStream* stream) {
    static_cast<Producer*>(stream->private_data)->is_released = true;
    stream->release = nullptr;
  }
  static void release_array(ArrowArray* array) {
    auto* const contents = static_cast<Contents*>(array->private_data);
    --contents->producer->live;
    delete contents;
    array->release = nullptr;
  }

  static inline const int64_t values[rows] = {};
  int left_;
  int columns_;
};

// Key indices of random numbers and texts, against a map; then with wrong numbers in every part, where each search must
// end inside of the columns.
bool check_key_index(unsigned seed) {
  std::mt19937_64 random(seed);
  const auto rows = static_cast<int64_t>(seed % 3 == 0 ? random() % 50 : 60'000 + random() % 60'000);
  std::vector<int64_t> numbers(rows), offsets(rows + 1);
  std::vector<uint8_t> text;
  for (int64_t row = 0; row < rows; ++row) {
    numbers[row] = static_cast<int64_t>(random() % (static_cast<uint64_t>(rows) * 2 + 1));
    for (int64_t left = numbers[row] % 23; left > 0; --left)
      text.push_back(static_cast<uint8_t>('a' + numbers[row] % 26));
    offsets[row + 1] = static_cast<int64_t>(text.size());
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(numbers.data());
  const KeyColumn number{{bytes, static_cast<size_t>(rows) * 8}, {}, {}, 8};
  const std::array<KeyColumn, 2> columns{number, KeyColumn{text, offsets, {}, 0}};
  constexpr int64_t bits = 4;
  std::vector<uint64_t> slots(static_cast<size_t>(((rows * 2) >> bits) + 40) << bits);
  std::vector<uint32_t> next(rows);
  const auto counts = build_key_index(columns, rows, seed, bits, slots, next, 3);
  std::unordered_map<int64_t, int64_t> expected;
  for (int64_t row = rows; row-- > 0;) expected[numbers[row]] = row;
  if (!counts || counts->duplicates != rows - static_cast<int64_t>(expected.size())) return false;
  std::vector<int64_t> found(rows), row_counts(rows);
  KeyIndex index{slots, next, bits, seed};
  if (!find_keys(index, columns, rows, columns, found, 3)) return false;
  for (int64_t row = 0; row < rows; ++row)
    if (found[row] != expected[numbers[row]]) return false;
  for (int wrong = 0; wrong < 200 && rows > 0; ++wrong) {
    slots[random() % slots.size()] = random() >> (random() % 64);
    next[random() % next.size()] = static_cast<uint32_t>(random() >> (random() % 64));
    offsets[random() % offsets.size()] = static_cast<int64_t>(random() >> (random() % 64));
  }
  const KeyColumn numbers_alone[] = {number};
  if (!find_keys(index, columns, rows, columns, found, 3)) std::fill(found.begin(), found.end(), -1);
  if (!find_keys(index, numbers_alone, rows, numbers_alone, found, 3)) std::fill(found.begin(), found.end(), -1);
  for (const int64_t row : found)
    if (row < -1 || row >= rows) return false;
  return !count_rows(index, rows, found, row_counts) ||
         std::ranges::all_of(row_counts, [](int64_t n) { return n >= 0; });
}

// The same hash by any number of threads, and another one where a bit differs.
bool check_hash(unsigned seed) {
  std::mt19937 random(seed);
  const size_t size = (seed % 4 + 1) * hash_part + random() % 3 - 1;
  const auto data = std::make_unique<uint8_t[]>(size);
  for (size_t i = 0; i < size; i += 1 + random() % 50) data[i] = static_cast<uint8_t>(random());
  const uint64_t hash = hash_bytes({data.get(), size}, 1);
  if (hash_bytes({data.get(), size}, 5) != hash) return false;
  data[random() % size] ^= static_cast<uint8_t>(1 << random() % 8);
  return hash_bytes({data.get(), size}, 3) != hash;
}

bool import_streams() {
  std::vector<std::unique_ptr<Producer>> producers;
  std::vector<ArrowArrayStream*> streams;
  const int64_t left = allocations_left.exchange(-1);
  for (int i = 0; i < 12; ++i) streams.push_back(&producers.emplace_back(std::make_unique<Producer>(3, 0))->stream);
  Producer table(5, 7);
  allocations_left = left;
  const auto all_released = [&] {
    return table.live == 0 && std::ranges::all_of(producers, [](const auto& producer) { return producer->live == 0; });
  };
  bool good = true;
  try {
    ImportedArrays arrays;
    arrays.add_columns(streams, 300, 3);
    constexpr int64_t chosen[] = {0, 1, 2, 3, 4, 5, 6};
    good = arrays.add_table(table.stream, chosen, 7, 500, 10) && arrays.columns().size() == 19;
  } catch (const std::bad_alloc&) {
    if (!all_released()) std::fprintf(stderr, "arrays were leaked\n"), std::abort();
    throw;
  }
  return good && all_released();
}

// Fails the first allocation of an operation, then the second, and so on until the operation succeeds. Each failure
// must be std::bad_alloc: whatever else happens ends this process.
template <class Operation>
bool fail_each_allocation(const Operation& operation) {
  for (int64_t count = 0; count < 100000; ++count) {
    allocations_left = count;
    try {
      const bool good = operation();
      const bool was_reached = allocations_left.exchange(-1) < 0;
      if (!good) return false;
      if (!was_reached) return count > 0;
      // It succeeded without the allocation that failed: a thread less, or a buffer that was unmapped.
    } catch (const std::bad_alloc&) {
      allocations_left = -1;
    }
  }
  return false;
}

bool check_failing_allocations(const char* folder) {
  const RandomPlan plan = make_plan(7);
  const Outcome expected = run_in_memory(plan, 1, "", INT64_MAX);
  const int fd = open(folder, O_TMPFILE | O_RDWR, 0600);
  if (fd < 0 || ftruncate(fd, plan.size) != 0) return false;
  std::vector<Result> results(plan.jobs.size());
  std::vector<int64_t> numbers;
  for (const Job& job : plan.jobs)
    std::apply([&](const auto&... field) { (numbers.push_back(static_cast<int64_t>(job.*field.member)), ...); },
               job_fields);
  const std::vector<int64_t> pieces(plan.pieces.size() * field_count<piece_fields>);
  const bool good =
      fail_each_allocation([&] { return run_in_memory(plan, 4, "", 0) == expected; }) &&
      fail_each_allocation([&] { return execute(plan, Sink{fd}, 3, results) == 0; }) && fail_each_allocation([&] {
        const Table jobs{numbers.data(), static_cast<int64_t>(plan.jobs.size())};
        return decode(jobs, {pieces.data(), static_cast<int64_t>(plan.pieces.size())}).jobs.size() == plan.jobs.size();
      }) &&
      fail_each_allocation([&] {
        Collapser::instance().add(fd);
        const pid_t child = fork();  // which joins the thread
        if (child == 0) _exit(0);
        return child > 0 && waitpid(child, nullptr, 0) == child;
      }) &&
      fail_each_allocation(import_streams) && fail_each_allocation([] {
        const std::vector<uint8_t> data(3 * hash_part);
        return hash_bytes(data, 3) == hash_bytes(data, 1);
      }) &&
      fail_each_allocation([] {
        std::array<Pool::Memory, 40> memories;
        size_t taken = 0;
        try {
          for (; taken < memories.size(); ++taken) memories[taken] = Pool::instance().take(1 << 16);
          Pool::touch(memories, 2);
        } catch (const std::bad_alloc&) {
        }
        for (size_t i = 0; i < taken; ++i) Pool::instance().give(memories[i]);
        const bool shrinks = Pool::instance().trim() > 0;
        return shrinks || taken < memories.size() || allocations_left < 0;
      });
  close(fd);
  return good;
}

}  // namespace

int main(int count, char** arguments) {
  const unsigned rounds = count > 1 ? static_cast<unsigned>(atoi(arguments[1])) : 24;
  std::atomic<bool> good{true};
  std::vector<std::thread> callers;
  for (unsigned caller = 0; caller < 3; ++caller)
    callers.emplace_back([&, caller] {
      for (unsigned round = caller; round < rounds; round += 3)
        if (!check(round, "/dev/shm") || !check_pool(round) || !check_draft(round, "/dev/shm") ||
            !check_collapser(round, "/dev/shm") || !check_key_index(round) || !check_hash(round)) {
          std::fprintf(stderr, "seed %u: outputs differ\n", round);
          good = false;
        }
    });
  for (std::thread& caller : callers) caller.join();
  Pool::instance().set_limit(64 << 20);
  if (!check_failing_allocations("/dev/shm")) {
    std::fprintf(stderr, "an allocation that fails is not survived\n");
    good = false;
  }
  Pool::instance().trim();
  const Pool::Usage usage = Pool::instance().usage();
  if (usage.live_count != 0 || usage.idle_bytes != 0) {
    std::fprintf(stderr, "the pool has buffers that nobody holds\n");
    good = false;
  }
  return good ? 0 : 1;
}
