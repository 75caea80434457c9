// Numbers that another process changes: read in order, and waited for.
//
// Does not depend on: Python, files, what the numbers mean.
//
// 1. `load_acquire` of a number that the producer stored with release order: all that the producer stored before is
//    seen after it.
// 2. `wait_for_change` sleeps in the kernel (futex) until a word differs from what the caller has seen. The word may be
//    in a mapping that is shared and read-only: that was tried on tmpfs. It must not be in a writable private mapping,
//    whose waiters are never woken. So the flag FUTEX_PRIVATE is never used.
// 3. There is no lost wake-up: the kernel compares the word with what was seen after it has queued the waiter.
#pragma once
#include <chrono>
#include <cstdint>
#include <span>

namespace colonnade {

// A number of 64 bits, aligned, in memory that another process may write to. On the processors that are supported an
// aligned load is one access; the reference is never stored through, so the mapping may be read-only.
inline uint64_t load_acquire(const void* address) {
  return __atomic_load_n(static_cast<const uint64_t*>(address), __ATOMIC_ACQUIRE);
}

// A word of 32 bits, and what the caller has seen there.
struct AwaitedWord {
  const uint32_t* address;
  uint32_t seen;
};

enum class Wait { changed, timed_out, interrupted };

// Waits until any of the words differs from what was seen: looks for 20 us first, then sleeps. `interrupted`: a signal
// came. Wakes without a change are possible only as `changed`, so the caller looks again. Throws std::system_error.
// For more than one word it needs futex_waitv (Linux 5.16); elsewhere it looks every 200 us.
Wait wait_for_change(std::span<const AwaitedWord> words, std::chrono::steady_clock::time_point until);

// Wakes all waiters of a word in memory of this process.
void wake_all(const uint32_t* word) noexcept;

}  // namespace colonnade
