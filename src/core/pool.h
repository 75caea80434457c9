// The memory that conversions write to: buffers of huge pages that are used again once nobody holds them.
//
// Does not depend on: what is written there, Python.
//
// A buffer is live from `take` to `give`; the caller of `take` decides when that is: a Python object whose views keep
// it alive. An idle buffer is advised MADV_FREE: the kernel may take its pages when memory runs short, and if it did
// not, they are written again without a fault. Measured for 1 GiB: 0.3 ms, and writing is no slower after it. First
// touch by two threads, 1 GiB of huge pages, then a copy: 103 ms where the pages are populated first, each thread its
// half; 152 to 205 ms where the copy itself faults them in.
//
// Small buffers stay warm, that is without the advice, up to a bound altogether: after it a write of 8 MB takes 0.7 ms
// instead of 0.4.
//
// All functions may be called from any thread. A live buffer is its holder's: the pool neither reads nor writes it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

namespace colonnade {

class Pool {
 public:
  struct Memory {
    char* address = nullptr;
    size_t capacity = 0;
    uint64_t process = 0;  // counts forks: a child does not use again what its parent took
    bool fresh = false;    // no page of it was touched yet
    bool warm = false;     // idle, and not advised MADV_FREE
  };
  struct Usage {
    size_t idle_bytes;
    size_t idle_count;
    size_t live_bytes;
    size_t live_count;
  };

  static Pool& instance();

  // At least `size` bytes, on a 2 MiB boundary; contents are anything. Throws std::bad_alloc.
  Memory take(size_t size);
  // Makes a buffer idle, or unmaps it where the limit or the memory for the list of idle buffers is reached.
  void give(const Memory& memory) noexcept;
  // Faults fresh pages in, each thread an equal share of them.
  static void touch(std::span<const Memory> fresh, int threads) noexcept;

  // The bytes that may stay idle. What is above is unmapped at once, longest idle first.
  void set_limit(size_t bytes);
  // Unmaps all idle buffers; returns their bytes.
  size_t trim();
  Usage usage() const;

 private:
  Pool();
  void trim_to(size_t bytes);
  void cool();
  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();

  mutable std::mutex mutex_;
  std::vector<Memory> idle_;  // longest idle first
  size_t idle_bytes_ = 0;
  size_t live_bytes_ = 0;
  size_t live_count_ = 0;
  size_t limit_ = 0;
  uint64_t process_ = 0;
};

}  // namespace colonnade
