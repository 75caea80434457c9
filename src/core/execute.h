// Runs a plan: cuts it into units of about 1 MiB and distributes them over threads.
//
// Does not depend on: Python, what a column means.
// Threads are started for the call and joined at its end, so fork() has nothing to break and nothing is left behind.
#pragma once
#include <cstdint>
#include <span>

#include "output.h"
#include "plan.h"

namespace colonnade {

// Outputs in memory of this many bytes, or more, are written past the caches: they would not stay there.
constexpr int64_t streamed_bytes = 8 << 20;

// Runs all jobs of a plan that `check` has passed, and adds what each finds to `results` (one a job). Returns 0, or the
// errno of a write that failed; then some outputs are written and some are not. Throws std::bad_alloc before it writes
// anything.
int execute(const Plan& plan, const Sink& sink, int threads, std::span<Result> results,
            int64_t stream_from = streamed_bytes);

}  // namespace colonnade
