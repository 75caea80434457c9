// Whether memory was written to, as the kernel knows it: nothing is read, and nothing is hashed.
//
// Does not depend on: Python, what is in the memory.
//
// 1. **Private mappings of a file.** A page that was written to is a page of the process: it is anonymous. All others
//    are the file's (or are not there). `has_own_pages` asks for anonymous pages.
// 2. **Any other private memory.** `WriteWatch` lets the kernel write-protect pages (userfaultfd in its asynchronous
//    mode, Linux 6.7). The first store to a page removes its protection, inside of the kernel and without a signal: it
//    costs that store 2 us. What has no protection any more was written to. Memory that was unmapped and mapped again
//    is not registered any more, and memory that the kernel dropped has no protection, so both count as written.
//
// What is not seen: a device that stores into memory by itself (DMA), if the memory was pinned for it before.
#pragma once
#include <cstddef>
#include <cstdint>

namespace colonnade {

// Whether a private mapping of a file has pages that were written to. Throws std::system_error where the kernel does
// not say.
bool has_own_pages(uintptr_t address, size_t size);

class WriteWatch {
 public:
  // Throws std::system_error where the kernel has no asynchronous write protection, or does not allow it.
  WriteWatch();
  ~WriteWatch();
  WriteWatch(const WriteWatch&) = delete;
  WriteWatch& operator=(const WriteWatch&) = delete;

  // Whether any of these whole pages was written to since this was last asked; at first they were. Throws
  // std::system_error where they cannot be watched: EINVAL for memory that other processes may write to.
  bool written(uintptr_t address, size_t size);

 private:
  int faults_;
  int pages_;
};

}  // namespace colonnade
