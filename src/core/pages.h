// Pages of memory: their sizes, and how they are returned to the kernel.
//
// Does not depend on: what the memory holds, threads, Python.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

namespace colonnade {

// Transparent huge pages of x86-64, and of aarch64 with base pages of 4 KiB.
constexpr size_t huge_page = 2 << 20;

// The machine's page: 4 KiB on x86-64, up to 64 KiB on aarch64.
inline size_t page_size() noexcept {
  static const size_t size = static_cast<size_t>(std::max(::sysconf(_SC_PAGESIZE), 4096L));
  return size;
}

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1; older kernels return EINVAL, and files stay in pages of 4 KiB
#endif

constexpr size_t round_up(size_t size, size_t step) { return (size + step - 1) / step * step; }

// Unmaps [address, address + size). The kernel refuses this (ENOMEM) where it would split a mapping in two and the
// process has vm.max_map_count mappings. The pages are then returned, and only the addresses stay taken: the callers
// are destructors, which have nobody to report an error to.
inline void unmap(void* address, size_t size) noexcept {
  if (size > 0 && ::munmap(address, size) != 0) ::madvise(address, size, MADV_DONTNEED);
}

}  // namespace colonnade
