// Work on threads that are started for one call and joined at its end: fork() has nothing to break, and nothing is left
// behind.
//
// Does not depend on: what the work is, Python.
#pragma once
#include <cxxabi.h>
#include <unistd.h>

#include <cstddef>
#include <exception>
#include <thread>
#include <type_traits>
#include <vector>

namespace colonnade {

// Calls work(0) on this thread and work(1) to work(count - 1) on threads of their own. Where memory or the number of
// threads is limited, this thread makes the remaining calls itself. All threads are joined before this returns. `work`
// is noexcept: an exception that leaves a thread ends the process, so whatever a thread needs is allocated before it
// starts.
template <class Work>
void run_on_threads(size_t count, const Work& work) noexcept {
  static_assert(std::is_nothrow_invocable_v<const Work&, size_t>);
  std::vector<std::thread> threads;
  size_t next = 1;
  try {
    threads.reserve(count);
    for (; next < count; ++next) threads.emplace_back([&work, next]() noexcept { work(next); });
  } catch (const std::exception&) {
    // std::bad_alloc or std::system_error (EAGAIN): go on with the threads that there are.
  }
  work(0);
  for (; next < count; ++next) work(next);
  for (std::thread& thread : threads) thread.join();
}

// Makes a call that may end its thread by pthread_exit. Python (before 3.14) does that to a thread that asks for the
// GIL when the interpreter is ending, and glibc then unwinds the thread's frames. Frames that are noexcept (nanobind's,
// and destructors) turn the unwinding into std::terminate, so the thread stops here instead, as it does in Python 3.14:
// it waits for the end of the process.
template <class Call>
auto stop_where_it_would_unwind(const Call& call) -> decltype(call()) {
#ifdef __GLIBCXX__
  try {
    return call();
  } catch (const abi::__forced_unwind&) {
    for (;;) ::pause();
  }
#else
  return call();
#endif
}

}  // namespace colonnade
