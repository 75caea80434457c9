// A plan, run: cut into ranges of about 1 MiB and shared out over threads.
//
// Knows: jobs, sinks, threads. Must not know: Python, what a column means.
// Threads are started for the call and joined at its end, so there is nothing for fork() to break and nothing left behind.
#pragma once
#include <cstdint>
#include <span>

#include "plan.h"
#include "sink.h"

namespace colonnade {

// Runs all jobs and adds each one's nulls to `null_counts` (one slot a job). Returns 0, or the first errno of a write.
int execute(std::span<const Job> jobs, std::span<const Piece> pieces, const Sink& sink, int threads,
            int64_t* null_counts);

// The bytes that a job's outputs take: checked against the output's size before anything runs.
bool outputs_fit(const Job& job, int64_t size);

}  // namespace colonnade
