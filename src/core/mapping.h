// A file's bytes in this process's memory, for as long as anything refers to them.
//
// Knows: mmap. Must not know: names, formats, Python.
// The descriptor is not kept: the mapping alone keeps the inode alive, so an open frame costs no descriptor.
#pragma once
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <system_error>

namespace colonnade {

class Mapping {
 public:
  // Writable: a private copy-on-write view; stores touch this mapping alone and are never seen by the file. No swap is
  // reserved for it, for readers rarely write. Otherwise: shared and read-only.
  Mapping(int fd, size_t size, bool writable) : size_(size), writable_(writable) {
    const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    const int flags = writable ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
    address_ = ::mmap(nullptr, size, protection, flags, fd, 0);
    if (address_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  }
  ~Mapping() { ::munmap(address_, size_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  void* address() const { return address_; }
  size_t size() const { return size_; }
  bool writable() const { return writable_; }

 private:
  void* address_;
  size_t size_;
  bool writable_;
};

}  // namespace colonnade
