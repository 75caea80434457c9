// A plan, run: cut into ranges of about 1 MiB and shared out over threads.
//
// Knows: jobs, sinks, threads. Does not depend on: Python, what a column means.
// Threads are started for the call and joined at its end, so there is nothing for fork() to break and nothing left behind.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "plan.h"
#include "output.h"

namespace colonnade {

// From here on outputs in memory are written past the caches: they would not stay there.
constexpr int64_t streamed_bytes = 8 << 20;

// Runs all jobs and adds what each found to `found` (one a job). Returns 0, or the first errno of a write.
int execute(std::span<const Job> jobs, std::span<const Piece> pieces, const Sink& sink, int threads, Result* found,
            int64_t stream_from = streamed_bytes);

struct Extent {
  int64_t at;  // -1: not written
  int64_t size;
};

// Where a job writes: checked before anything runs.
std::array<Extent, 4> outputs_of(const Job& job);

}  // namespace colonnade
