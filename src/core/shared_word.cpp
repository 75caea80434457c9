#include "shared_word.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <ctime>
#include <system_error>
#include <thread>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449  // Linux 5.16
#endif

namespace colonnade {
namespace {

using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC, which the kernel's time-outs are of too

constexpr std::chrono::microseconds looked_before_sleep{20};
constexpr std::chrono::microseconds looked_every{200};
// The kernel takes 128 words in one call, and so does this file.
constexpr size_t most_words = 128;
// linux/futex.h of Linux 5.16: the headers may be older than the kernel.
struct Waiter {
  uint64_t value;
  uint64_t address;
  uint32_t flags;
  uint32_t reserved;
};
constexpr uint32_t word_of_32_bits = 2;

bool differs(std::span<const AwaitedWord> words) {
  return std::any_of(words.begin(), words.end(), [](const AwaitedWord& word) {
    return __atomic_load_n(word.address, __ATOMIC_ACQUIRE) != word.seen;
  });
}

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

timespec as_timespec(Clock::time_point moment) {
  const auto since = moment.time_since_epoch();
  const auto whole = std::chrono::floor<std::chrono::seconds>(since);
  return {.tv_sec = static_cast<time_t>(whole.count()),
          .tv_nsec = static_cast<long>(std::chrono::duration_cast<std::chrono::nanoseconds>(since - whole).count())};
}

// Both return as the system call: negative with errno for anything but a wake.
long wait_for_one(const AwaitedWord& word, const timespec* until) {
  return ::syscall(SYS_futex, word.address, FUTEX_WAIT_BITSET, word.seen, until, nullptr, FUTEX_BITSET_MATCH_ANY);
}

long wait_for_several(std::span<const AwaitedWord> words, const timespec* until) {
  std::array<Waiter, most_words> waiters{};
  for (size_t i = 0; i < words.size(); ++i)
    waiters[i] = {words[i].seen, reinterpret_cast<uintptr_t>(words[i].address), word_of_32_bits, 0};
  return ::syscall(SYS_futex_waitv, waiters.data(), static_cast<unsigned>(words.size()), 0, until, CLOCK_MONOTONIC);
}

Wait look_now_and_then(std::span<const AwaitedWord> words, Clock::time_point until) {
  // In short turns, so that a caller that handles signals gets to it.
  const Clock::time_point turn = std::min(until, Clock::now() + std::chrono::milliseconds{20});
  while (Clock::now() < turn) {
    std::this_thread::sleep_for(looked_every);
    if (differs(words)) return Wait::changed;
  }
  return turn == until ? Wait::timed_out : Wait::interrupted;
}

}  // namespace

Wait wait_for_change(std::span<const AwaitedWord> words, Clock::time_point until) {
  if (words.empty() || words.size() > most_words) throw std::system_error(EINVAL, std::generic_category(), "futex");
  const Clock::time_point spun = std::min(until, Clock::now() + looked_before_sleep);
  do {
    if (differs(words)) return Wait::changed;
    pause();
  } while (Clock::now() < spun);
  if (until <= Clock::now()) return Wait::timed_out;
  const timespec limit = as_timespec(until);
  const timespec* const end = until == Clock::time_point::max() ? nullptr : &limit;
  const long result = words.size() == 1 ? wait_for_one(words.front(), end) : wait_for_several(words, end);
  if (result >= 0) return Wait::changed;
  switch (errno) {
    case EAGAIN: return Wait::changed;
    case ETIMEDOUT: return differs(words) ? Wait::changed : Wait::timed_out;
    case EINTR: return Wait::interrupted;
    case ENOSYS:
    case EPERM: return look_now_and_then(words, until);  // an older kernel, or a container that does not allow it
    default: throw std::system_error(errno, std::generic_category(), "futex");
  }
}

void wake_all(const uint32_t* word) noexcept { ::syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0); }

}  // namespace colonnade
