// The core alone, for sanitizers: random plans of every operation, run by many threads at once into memory and into files.
//
// Prints nothing and returns 0 where all outputs agree; a sanitizer stops it where something is wrong.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "bitmap.h"
#include "execute.h"

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
    job.width = job.values == Values::bytes_to_bits ? 1 : widths[below(5)];
    job.out_width = below(2) ? 4 : 8;
    job.validity = static_cast<Validity>(below(2));
    job.element = static_cast<Element>(below(8));
    job.twin_width = 1;
    if (job.values == Values::fixed) {
      const Validity kinds[] = {Validity::none, Validity::bits, Validity::mask};
      job.validity = kinds[below(3)];
      if (job.width == 2) job.validity = Validity::nan16;
      if (job.width == 4) job.validity = Validity::nan32;
      if (job.width == 8) job.validity = below(2) ? Validity::nan64 : Validity::nat;
      const int64_t element_widths[] = {1, 2, 4, 8, 1, 2, 4, 8};
      if (job.width == element_widths[static_cast<int>(job.element)]) {
        job.twin = below(2) ? Twin::float64 : Twin::codes;
        job.twin_width = job.twin == Twin::float64 ? 8 : widths[below(4)];
      }
    }
    if (job.values == Values::bits || job.values == Values::bytes_to_bits) job.twin = Twin::bytes;
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
    job.twin_at = job.twin == Twin::none ? -1 : plan.place(job.rows * job.twin_width);
    plan.jobs.push_back(job);
  }
  return plan;
}

bool check(unsigned seed, const char* folder) {
  const Plan plan = make_plan(seed);
  for (const Job& job : plan.jobs)
    if (!outputs_fit(job, plan.size)) return false;
  const auto once = [&](int threads, std::vector<int64_t>& nulls) {
    std::vector<char> memory(plan.size);
    nulls.assign(plan.jobs.size(), 0);
    return execute(plan.jobs, plan.pieces, Sink{memory.data(), -1}, threads, nulls.data()) == 0 ? memory : std::vector<char>{};
  };
  std::vector<int64_t> nulls_alone, nulls_shared, nulls_file(plan.jobs.size());
  const std::vector<char> alone = once(1, nulls_alone);
  const std::vector<char> shared = once(4, nulls_shared);
  const int fd = open(folder, O_TMPFILE | O_RDWR, 0600);
  if (fd < 0 || ftruncate(fd, plan.size) != 0) return false;
  const int error = execute(plan.jobs, plan.pieces, Sink{nullptr, fd}, 3, nulls_file.data());
  std::vector<char> file(plan.size);
  const bool read_back = pread(fd, file.data(), plan.size, 0) == plan.size;
  close(fd);
  return error == 0 && read_back && alone == shared && alone == file && nulls_alone == nulls_shared && nulls_alone == nulls_file;
}

}  // namespace

int main(int count, char** arguments) {
  const unsigned rounds = count > 1 ? static_cast<unsigned>(atoi(arguments[1])) : 24;
  std::atomic<bool> good{true};
  std::vector<std::thread> callers;
  for (unsigned caller = 0; caller < 3; ++caller)
    callers.emplace_back([&, caller] {
      for (unsigned round = caller; round < rounds; round += 3)
        if (!check(round, "/dev/shm")) {
          std::fprintf(stderr, "seed %u: outputs differ\n", round);
          good = false;
        }
    });
  for (std::thread& caller : callers) caller.join();
  return good ? 0 : 1;
}
