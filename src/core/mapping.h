// Maps a file's bytes into this process, for as long as anything refers to them.
//
// Does not depend on: names, formats, Python.
// The descriptor is not kept: the mapping alone keeps the inode alive, so an open frame costs no descriptor.
#pragma once
#include <chrono>
#include <cstddef>

namespace colonnade {

class Mapping {
 public:
  enum class Kind {
    reading,       // shared and read-only
    private_copy,  // stores change this mapping alone, page by page, and never the file
    writing,       // stores change the file; its pages must be there, see `reserve`
  };

  // Maps the file at a 2 MiB boundary, because huge pages can be mapped only there: a first scan of 1 GiB takes 37 ms
  // with them, and 94 ms with pages of 4 KiB. Throws std::system_error.
  Mapping(int fd, size_t size, Kind kind);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  void* address() const { return address_; }
  size_t size() const { return size_; }
  bool writable() const { return kind_ != Kind::reading; }

  // Asks the kernel to put the file into huge pages, by so many threads at most. False where it does not do so with all
  // of the file, or where a step takes longer than `patience`: 16 MiB, or all of a smaller file.
  bool collapse(int threads, std::chrono::milliseconds patience = std::chrono::milliseconds::max()) const noexcept {
    return collapse(0, size_, threads, patience);
  }
  // Does the same with a range of the file, which starts at a huge page.
  bool collapse(size_t from, size_t to, int threads, std::chrono::milliseconds patience) const noexcept;
  // Enters the file's pages into this process' page table, which stores would do one page at a time; of a
  // mapping that is written, pages that are not there are allocated. False where the kernel is older than 5.14 or has
  // no room; then some pages are entered and some are not.
  bool populate(int threads) const noexcept;
  // From here on stores change this mapping alone. Views of it stay where they are. Throws std::system_error. Not safe
  // to call while another thread uses the mapping's memory.
  void detach(int fd);
  // Releases the file's memory at once; views of it stay where they are and contain zeros. Throws std::system_error.
  void abandon();

 private:
  char* address_;
  size_t size_;
  Kind kind_;
};

// Whether a file is in a file system that keeps its pages in memory (tmpfs).
bool in_memory(int fd) noexcept;

// Allocates all of a file's pages, as huge pages, so that stores through a mapping cannot fail; their contents are
// anything. False if the kernel has no huge pages, makes them slowly, or has no room for them. Then some pages are
// there and some are not. Where it has just been slow, this is found out without trying: see `huge_pages_at_hand`.
//
// Measured for 1 GiB of fresh tmpfs, two threads: 45 ms, and 42 ms to copy into it; pwrite takes 360 ms, and makes
// pages of 4 KiB.
bool reserve(int fd, const Mapping& mapping, int threads) noexcept;
// The same of a range of the file, which starts at a huge page and ends at one or with the file.
bool reserve(int fd, const Mapping& mapping, size_t from, size_t to, int threads) noexcept;

// Whether the kernel makes huge pages of shared memory as fast as `reserve` wants them: it is asked for a few, and the
// answer is remembered for some seconds, "no" for longer than "yes".
bool huge_pages_at_hand(int threads) noexcept;

}  // namespace colonnade
