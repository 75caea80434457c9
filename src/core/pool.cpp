#include "pool.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "pages.h"
#include "threads.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE \
  23  // Linux 5.14; older kernels return EINVAL, and pages are faulted in when they are written
#endif

namespace colonnade {
namespace {

// Below this, starting a thread costs more than it saves.
constexpr size_t touched_by_threads = 16 << 20;

// Idle buffers of at most the first number of bytes stay warm: the last ones that were given, up to the second number
// of bytes altogether.
constexpr size_t warm_buffer = 16 << 20;
constexpr size_t warm_buffers = 64 << 20;

char* map(size_t capacity) {
  const size_t room = capacity + huge_page;
  void* const mapping = ::mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  char* const first = static_cast<char*>(mapping);
  char* const address = reinterpret_cast<char*>(round_up(reinterpret_cast<uintptr_t>(first), huge_page));
  unmap(first, address - first);
  unmap(address + capacity, first + room - (address + capacity));
  // Only advice: a kernel without transparent huge pages (EINVAL) uses small ones.
  (void)::madvise(address, capacity, MADV_HUGEPAGE);
  return address;
}

}  // namespace

Pool& Pool::instance() {
  static Pool* const pool = new Pool;  // never destroyed: buffers may outlive everything else
  return *pool;
}

Pool::Pool() {
  if (::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) != 0)
    throw std::bad_alloc();  // its only error
}

Pool::Memory Pool::take(size_t size) {
  if (size > SIZE_MAX / 2) throw std::bad_alloc();  // rounding up would overflow
  const size_t capacity = round_up(size > 0 ? size : 1, page_size());
  {
    const std::lock_guard guard(mutex_);
    // The tightest fit, and nothing that would waste more than an eighth.
    size_t best = idle_.size();
    for (size_t i = 0; i < idle_.size(); ++i) {
      const size_t bytes = idle_[i].capacity;
      if (bytes >= capacity && bytes <= capacity + capacity / 8 &&
          (best == idle_.size() || bytes < idle_[best].capacity))
        best = i;
    }
    if (best < idle_.size()) {
      const Memory memory = idle_[best];
      idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(best));
      idle_bytes_ -= memory.capacity;
      live_bytes_ += memory.capacity;
      ++live_count_;
      return memory;
    }
  }
  char* const address = map(capacity);
  const std::lock_guard guard(mutex_);
  live_bytes_ += capacity;
  ++live_count_;
  return {address, capacity, process_, true};
}

void Pool::give(const Memory& memory) noexcept {
  const std::lock_guard guard(mutex_);
  live_bytes_ -= memory.capacity;
  --live_count_;
  if (memory.process == process_ && memory.capacity <= limit_) {
    try {
      trim_to(limit_ - memory.capacity);
      idle_.push_back({memory.address, memory.capacity, memory.process, false, true});
      idle_bytes_ += memory.capacity;
      cool();
      return;
    } catch (const std::bad_alloc&) {
      // The list cannot grow: the buffer is unmapped, which frees memory.
    }
  }
  unmap(memory.address, memory.capacity);
}

void Pool::touch(std::span<const Memory> fresh, int threads) noexcept {
  size_t size = 0;
  for (const Memory& memory : fresh) size += memory.capacity;
  if (size < touched_by_threads || threads < 1) threads = 1;
  const size_t share = round_up(size / threads + 1, huge_page);
  // Each thread goes through all of the memory, and faults in what lies in its share.
  const auto populate = [=](size_t thread) noexcept {
    const size_t from = thread * share;
    size_t start = 0;
    for (const Memory& memory : fresh) {
      const size_t first = std::max(start, from);
      const size_t last = std::min(start + memory.capacity, from + share);
      // Only advice: pages that are not populated now (an older kernel, a limit of memory) are faulted in when written.
      if (first < last) (void)::madvise(memory.address + (first - start), last - first, MADV_POPULATE_WRITE);
      start += memory.capacity;
    }
  };
  run_on_threads(static_cast<size_t>(threads), populate);
}

void Pool::set_limit(size_t bytes) {
  const std::lock_guard guard(mutex_);
  limit_ = bytes;
  trim_to(bytes);
}

size_t Pool::trim() {
  const std::lock_guard guard(mutex_);
  const size_t bytes = idle_bytes_;
  trim_to(0);
  return bytes;
}

Pool::Usage Pool::usage() const {
  const std::lock_guard guard(mutex_);
  return {idle_bytes_, idle_.size(), live_bytes_, live_count_};
}

// Lets the kernel take the pages of idle buffers, except the small ones that were given last.
void Pool::cool() {
  size_t warm = 0;
  for (auto memory = idle_.rbegin(); memory != idle_.rend(); ++memory) {
    if (!memory->warm) continue;
    if (memory->capacity <= warm_buffer) {
      warm += memory->capacity;
      if (warm <= warm_buffers) continue;
    }
    memory->warm = false;
    // Only advice: without it (EINVAL before Linux 4.5) the pages stay this process's until they are trimmed.
    (void)::madvise(memory->address, memory->capacity, MADV_FREE);
  }
}

void Pool::trim_to(size_t bytes) {
  size_t count = 0;
  for (; count < idle_.size() && idle_bytes_ > bytes; ++count) {
    unmap(idle_[count].address, idle_[count].capacity);
    idle_bytes_ -= idle_[count].capacity;
  }
  idle_.erase(idle_.begin(), idle_.begin() + static_cast<std::ptrdiff_t>(count));
}

// fork() copies only the calling thread. The lock is held across it, so that the pool of the child is consistent. The
// child shares its idle pages with its parent, and each would be copied when it is written: the child unmaps them.
void Pool::before_fork() { instance().mutex_.lock(); }

void Pool::after_fork_in_parent() { instance().mutex_.unlock(); }

void Pool::after_fork_in_child() {
  Pool& pool = instance();
  ++pool.process_;
  pool.trim_to(0);
  pool.mutex_.unlock();
}

}  // namespace colonnade
