#include "growing.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>

namespace colonnade {

void store_word(uint64_t* word, uint64_t value) noexcept {
  std::atomic_ref<uint64_t>(*word).store(value, std::memory_order_release);
}

void store_half_word(uint32_t* word, uint32_t value) noexcept {
  std::atomic_ref<uint32_t>(*word).store(value, std::memory_order_release);
}

uint64_t load_word(const uint64_t* word) noexcept {
  return std::atomic_ref<uint64_t>(*const_cast<uint64_t*>(word)).load(std::memory_order_acquire);
}

void wake_word(const uint64_t* word) noexcept {
  // Little-endian: the low half is the first. Readers map the file read-only and shared, so not a private futex.
  ::syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void publish_word(uint64_t* word, uint64_t value) noexcept {
  store_word(word, value);
  wake_word(word);
}

}  // namespace colonnade
