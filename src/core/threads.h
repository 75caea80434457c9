// Work on threads that are started for it and joined at its end: nothing for fork() to break, and nothing left behind.
//
// Knows: threads. Does not depend on: what the work is.
#pragma once
#include <cstddef>
#include <system_error>
#include <thread>
#include <vector>

namespace colonnade {

// Calls work(0) here and work(1) to work(count - 1) on threads of their own; where no more are to be had, here as well.
// `work` must not throw.
template <class Work>
void run_on_threads(size_t count, const Work& work) {
  std::vector<std::thread> helpers;
  helpers.reserve(count);
  size_t started = 1;
  try {
    for (; started < count; ++started) helpers.emplace_back([&work, started] { work(started); });
  } catch (const std::system_error&) {
  }
  work(0);
  for (; started < count; ++started) work(started);
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace colonnade
