// A file's bytes in this process's memory, for as long as anything refers to them.
//
// Knows: mmap, huge pages. Does not depend on: names, formats, Python.
// The descriptor is not kept: the mapping alone keeps the inode alive, so an open frame costs no descriptor.
#pragma once
#include <chrono>
#include <cstddef>

namespace colonnade {

class Mapping {
 public:
  enum class Kind {
    reading,       // shared and read-only
    private_copy,  // stores touch this mapping alone, page by page, and the file never sees them
    writing,       // stores are the file's; its pages must be there, see `reserve`
  };

  // At a 2 MiB boundary, for only there can huge pages be mapped: a first scan of 1 GiB takes 37 ms so, and 94 ms with
  // pages of 4 KiB. Throws std::system_error.
  Mapping(int fd, size_t size, Kind kind);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  void* address() const { return address_; }
  size_t size() const { return size_; }
  bool writable() const { return kind_ != Kind::reading; }

  // Asks the kernel to put the file into huge pages, by so many threads at most; false where it does not, or not all,
  // or where 64 MiB take longer than `patience`.
  bool collapse(int threads, std::chrono::milliseconds patience = std::chrono::milliseconds::max()) const;
  // From here on stores are this mapping's alone. Views of it stay where they are. Throws std::system_error.
  void detach(int fd);
  // Gives the file's memory back, of which nothing is wanted any more: zeros stand where it was. Throws std::system_error.
  void abandon();

 private:
  char* address_;
  size_t size_;
  Kind kind_;
};

// Whether a file's only pages are memory's: it is in a tmpfs.
bool in_memory(int fd);

// Has all of a file's pages there, as huge pages, so that stores through a mapping cannot fail; what they hold is anything.
// False where the kernel has no huge pages to give, takes its time for them, or there is no room: then some are there and
// some are not.
//
// Measured for 1 GiB of fresh tmpfs, two threads: 45 ms, and 42 ms to copy into it; pwrite takes 360 ms, and what is
// then there are pages of 4 KiB.
bool reserve(int fd, const Mapping& mapping, int threads);

}  // namespace colonnade
