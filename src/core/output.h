// Where outputs go: memory that is there already, or a file that is written piece by piece.
//
// Does not depend on: jobs.
// A file is written with pwrite from a buffer that stays in the second-level cache, not through a mapping. A full file
// system is then an error code and never a signal, and there is no mapping to fault in and to tear down. Measured, 1
// GiB into fresh tmpfs by two threads: 0.31 to 0.36 s; fallocate and stores take 0.44 s; MADV_POPULATE_WRITE and stores
// take 0.33 s, and then 0.08 s to unmap.
#pragma once
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace colonnade {

struct Sink {
  int fd = -1;  // -1: into memory, and the places of outputs are addresses
  bool to_file() const { return fd >= 0; }
};

// One output of one unit of work: the memory to write it to, and the write to the file.
class Output {
 public:
  Output() = default;
  // `buffer` holds `size` bytes as long as the output is used; it is unused where the sink is memory.
  Output(const Sink& sink, int64_t at, int64_t size, char* buffer)
      : fd_(sink.fd), at_(at), size_(size), begin_(sink.to_file() ? buffer : reinterpret_cast<char*>(at)) {}

  char* begin() const { return begin_; }

  // Returns 0, or the errno of the write that failed.
  int flush() const {
    if (fd_ < 0) return 0;
    for (int64_t at = 0; at < size_;) {
      const ssize_t count = ::pwrite(fd_, begin_ + at, size_ - at, at_ + at);
      if (count < 0) {
        if (errno == EINTR) continue;
        return errno;
      }
      if (count == 0) return ENOSPC;
      at += count;
    }
    return 0;
  }

 private:
  int fd_ = -1;
  int64_t at_ = 0;
  int64_t size_ = 0;
  char* begin_ = nullptr;
};

}  // namespace colonnade
