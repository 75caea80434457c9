// How fast this machine copies: nothing of the core is used, so what the core is measured against stands outside of it.
//
// Does not depend on: columns, Python.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include <sys/mman.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

constexpr size_t huge_page = 2 << 20;
constexpr size_t range_bytes = 1 << 20;

void plain(char* to, const char* from, size_t bytes) { std::memcpy(to, from, bytes); }

#if defined(__x86_64__)
// Stores that go past the caches: the lines that they fill need not be read first. Both ends are aligned to 32 bytes.
template <size_t ahead>
__attribute__((target("avx2"))) void streamed(char* to, const char* from, size_t bytes) {
  constexpr size_t line = 64;
  size_t i = 0;
  for (; i + line <= bytes; i += line) {
    if constexpr (ahead > 0) _mm_prefetch(from + i + ahead, _MM_HINT_T0);  // past the end it does nothing
    const __m256i low = _mm256_load_si256(reinterpret_cast<const __m256i*>(from + i));
    const __m256i high = _mm256_load_si256(reinterpret_cast<const __m256i*>(from + i + 32));
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i), low);
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i + 32), high);
  }
  std::memcpy(to + i, from + i, bytes - i);
  _mm_sfence();
}
#endif

using Copy = void (*)(char*, const char*, size_t);

constexpr Copy copies[] = {
    plain,
#if defined(__x86_64__)
    streamed<0>,
    streamed<4096>,
#endif
};

}  // namespace

extern "C" {

// How many of the ways run here; the first always does.
int copy_ways() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") ? 3 : 1;
#else
  return 1;
#endif
}

// Memory whose pages are there and are huge where the kernel has such; null if there is none.
void* warm_memory(size_t bytes) {
  const size_t whole = (bytes + huge_page - 1) / huge_page * huge_page;
  void* memory = std::aligned_alloc(huge_page, std::max(whole, huge_page));
  if (memory == nullptr) return nullptr;
  madvise(memory, whole, MADV_HUGEPAGE);  // advice: where it is not taken, a copy is somewhat slower
  std::memset(memory, 1, whole);
  return memory;
}

void free_memory(void* memory) { std::free(memory); }

// Seconds that one copy takes, starting its threads included, for whatever is compared with it starts threads as well.
double copy_seconds(int way, void* to, const void* from, size_t bytes, int threads) {
  const auto start = std::chrono::steady_clock::now();
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t at; (at = next.fetch_add(range_bytes)) < bytes;) {
      copies[way](static_cast<char*>(to) + at, static_cast<const char*>(from) + at, std::min(range_bytes, bytes - at));
    }
  };
  std::vector<std::thread> helpers;
  const size_t ranges = (bytes + range_bytes - 1) / range_bytes;
  for (size_t helper = 1; helper < std::min<size_t>(threads, ranges); ++helper) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // extern "C"
