// The core alone, for sanitizers: random plans of every operation, run by many threads at once into memory and into files,
// by every instruction set's kernels; the pool, taken from and given to by all of them; and drafts, written through mappings.
//
// Prints nothing and returns 0 where all outputs agree; a sanitizer stops it where something is wrong.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "bitmap.h"
#include "execute.h"
#include "kernels.h"
#include "mapping.h"
#include "pool.h"
#include "threads.h"

using namespace colonnade;

namespace {

// Sources in allocations of exactly their size, so that a read past the end is seen.
struct Plan {
  std::vector<Job> jobs;
  std::vector<Piece> pieces;
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

Plan make_plan(unsigned seed) {
  std::mt19937 random(seed);
  const auto below = [&](int64_t limit) { return static_cast<int64_t>(random() % limit); };
  Plan plan;
  for (int j = 0; j < 12; ++j) {
    Job job{};
    const int64_t widths[] = {1, 2, 4, 8, 16};
    job.values = static_cast<Values>(below(6));
    const bool elements = job.values == Values::fixed || job.values == Values::none;
    job.width = job.values == Values::bytes_to_bits ? 1 : elements ? widths[below(5)] : 0;
    job.out_width = below(2) ? 4 : 8;
    job.validity = static_cast<Validity>(below(2));
    job.element = static_cast<Element>(below(10));
    job.pandas_element = Element::u8;
    job.operand = below(2) ? below(100) : INT64_MAX;
    if (elements) {
      const Validity kinds[] = {Validity::none, Validity::bits, Validity::mask};
      job.validity = kinds[below(3)];
      if (job.width == 2) job.validity = Validity::nan16;
      if (job.width == 4) job.validity = Validity::nan32;
      if (job.width == 8) job.validity = below(2) ? Validity::nan64 : Validity::nat;
      const bool floats = job.element == Element::f32 || job.element == Element::f64;
      const bool times = job.element == Element::i32 || job.element == Element::i64;
      if (job.width == width_of(job.element)) {
        job.pandas_buffer = floats ? PandasBuffer::integers : below(3) ? PandasBuffer::codes : times && below(2) ? PandasBuffer::scaled : PandasBuffer::float64;
        job.pandas_element = job.pandas_buffer == PandasBuffer::float64  ? Element::f64
                           : job.pandas_buffer == PandasBuffer::scaled ? Element::i64
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
      const int64_t source = bits ? (reach + 7) / 8 : offsets ? reach * (job.values == Values::offsets32 ? 4 : 8) : reach * piece.stride;
      piece.values = reinterpret_cast<int64_t>(plan.random_bytes(random, source + 8));
      if (job.validity == Validity::bits && below(4)) piece.validity = reinterpret_cast<int64_t>(plan.random_bytes(random, (reach + 7) / 8));
      if (job.validity == Validity::mask && below(4)) piece.validity = reinterpret_cast<int64_t>(plan.random_bytes(random, reach));
      job.rows += piece.length;
      plan.pieces.push_back(piece);
    }
    const int64_t bitmap = (job.rows + 7) / 8;
    const bool booleans = job.values == Values::bits || job.values == Values::bytes_to_bits;
    const bool offsets = job.values == Values::offsets32 || job.values == Values::offsets64;
    job.values_at = job.values == Values::none ? -1 : plan.place(booleans ? bitmap : job.rows * (offsets ? job.out_width : job.width));
    job.bitmap_at = below(3) ? plan.place(bitmap) : -1;
    job.mask_at = below(3) ? -1 : plan.place(job.rows);
    job.pandas_at = job.pandas_buffer == PandasBuffer::none ? -1 : plan.place(job.rows * width_of(job.pandas_element));
    plan.jobs.push_back(job);
  }
  return plan;
}

struct Outcome {
  std::vector<char> bytes;
  std::vector<int64_t> found;
  bool operator==(const Outcome&) const = default;
};

Outcome run_in_memory(const Plan& plan, int threads, const char* kernels, int64_t stream_from) {
  use_kernels(kernels);  // another thread may choose others meanwhile: the outcome is the same
  Outcome made{std::vector<char>(plan.size), std::vector<int64_t>(2 * plan.jobs.size())};
  std::vector<Job> jobs = plan.jobs;
  const auto base = reinterpret_cast<int64_t>(made.bytes.data());
  for (Job& job : jobs)
    for (int64_t* at : {&job.values_at, &job.bitmap_at, &job.mask_at, &job.pandas_at})
      if (*at >= 0) *at += base;
  execute(jobs, plan.pieces, Sink{}, threads, reinterpret_cast<Result*>(made.found.data()), stream_from);
  return made;
}

bool check(unsigned seed, const char* folder) {
  const Plan plan = make_plan(seed);
  const Outcome alone = run_in_memory(plan, 1, "portable", INT64_MAX);
  for (const char* kernels : {"portable", ""})
    for (const int64_t stream_from : {int64_t{0}, INT64_MAX})
      if (run_in_memory(plan, 4, kernels, stream_from) != alone) return false;
  const int fd = open(folder, O_TMPFILE | O_RDWR, 0600);
  if (fd < 0 || ftruncate(fd, plan.size) != 0) return false;
  Outcome file{std::vector<char>(plan.size), std::vector<int64_t>(2 * plan.jobs.size())};
  const int error = execute(plan.jobs, plan.pieces, Sink{fd}, 3, reinterpret_cast<Result*>(file.found.data()));
  const bool read_back = pread(fd, file.bytes.data(), plan.size, 0) == plan.size;
  close(fd);
  return error == 0 && read_back && file == alone;
}

// Buffers of sizes that fit each other, filled with their owner's mark while they are held.
bool check_pool(unsigned seed) {
  std::mt19937 random(seed);
  Pool& pool = Pool::instance();
  std::vector<Pool::Memory> held;
  for (int step = 0; step < 60; ++step) {
    if (held.size() < 8 && random() % 2) {
      held.push_back(pool.take(1 + random() % (3 << 20)));
      if (held.back().fresh) Pool::touch({&held.back(), 1}, 2);
      std::memset(held.back().address, static_cast<int>(seed), held.back().capacity);
    } else if (!held.empty()) {
      for (size_t i = 0; i < held.back().capacity; i += 4096)
        if (held.back().address[i] != static_cast<char>(seed)) return false;
      pool.give(held.back());
      held.pop_back();
    }
    if (step % 20 == 0) pool.set_limit(random() % (8 << 20));
  }
  for (const Pool::Memory& memory : held) pool.give(memory);
  return true;
}

// A draft that threads of its own write to through a mapping, as `put` does; then readers' views of it, and a late writer.
bool check_draft(unsigned seed, const char* folder) {
  std::mt19937 random(seed);
  const size_t size = 1 + random() % (9 << 20);
  const int fd = open(folder, O_TMPFILE | O_RDWR, 0600);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(size)) != 0) return false;
  Mapping draft(fd, size, Mapping::Kind::writing);
  if (!reserve(fd, draft, 3) && posix_fallocate(fd, 0, static_cast<off_t>(size)) != 0) return false;
  char* const bytes = static_cast<char*>(draft.address());
  run_on_threads(3, [&](size_t thread) {
    for (size_t at = thread * 64; at < size; at += 3 * 64) std::memset(bytes + at, static_cast<int>(seed), std::min<size_t>(64, size - at));
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

}  // namespace

int main(int count, char** arguments) {
  const unsigned rounds = count > 1 ? static_cast<unsigned>(atoi(arguments[1])) : 24;
  std::atomic<bool> good{true};
  std::vector<std::thread> callers;
  for (unsigned caller = 0; caller < 3; ++caller)
    callers.emplace_back([&, caller] {
      for (unsigned round = caller; round < rounds; round += 3)
        if (!check(round, "/dev/shm") || !check_pool(round) || !check_draft(round, "/dev/shm")) {
          std::fprintf(stderr, "seed %u: outputs differ\n", round);
          good = false;
        }
    });
  for (std::thread& caller : callers) caller.join();
  Pool::instance().trim();
  const Pool::Usage usage = Pool::instance().usage();
  if (usage.live_count != 0 || usage.idle_bytes != 0) {
    std::fprintf(stderr, "the pool has lost count\n");
    good = false;
  }
  return good ? 0 : 1;
}
