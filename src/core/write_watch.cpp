#include "write_watch.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <system_error>
#include <vector>

#include "pages.h"

namespace colonnade {
namespace {

// linux/fs.h of Linux 6.7, and what linux/userfaultfd.h has had since 5.11 and 6.7: the headers may be older than the
// kernel.
struct PageRegion {
  uint64_t start, end, categories;
};
struct PageScan {
  uint64_t size, flags, start, end, walk_end, regions, region_count, most_pages, inverted, all_of, any_of, returned;
};
static_assert(sizeof(PageScan) == 96);
constexpr unsigned long scan_pages = _IOWR('f', 16, PageScan);
constexpr uint64_t protect_what_matches = 1, only_watched = 2;
constexpr uint64_t is_written = 1 << 1, is_file = 1 << 2, is_present = 1 << 3, is_swapped = 1 << 4;
constexpr int user_mode_only = 1;
constexpr uint64_t asynchronous_protection = 1 << 15;

// An entry of /proc/self/pagemap.
constexpr uint64_t entry_present = 1ULL << 63, entry_swapped = 1ULL << 62, entry_of_file = 1ULL << 61;

[[noreturn]] void fail(int error, const char* what) { throw std::system_error(error, std::generic_category(), what); }

int open_pagemap() {
  const int fd = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(errno, "/proc/self/pagemap");
  return fd;
}

struct OwnedNumber {
  int fd;
  ~OwnedNumber() { ::close(fd); }
};

// Walks a range and says whether any page matches; -1 with errno where the kernel refuses.
int any_page(int pages, PageScan scan) {
  std::array<PageRegion, 64> regions;
  scan.size = sizeof(scan);
  scan.regions = reinterpret_cast<uintptr_t>(regions.data());
  scan.region_count = regions.size();
  int matches = 0;
  while (scan.start < scan.end) {
    const int count = ::ioctl(pages, scan_pages, &scan);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    matches |= count > 0;
    // Where nothing is to be protected the first page that matches is the answer.
    if (matches && (scan.flags & protect_what_matches) == 0) return 1;
    if (scan.walk_end <= scan.start) fail(EIO, "a walk through pages that does not go on");
    scan.start = scan.walk_end;
  }
  return matches;
}

// The same by /proc/self/pagemap, which every kernel has: 8 bytes a page.
bool has_own_pages_in_pagemap(int pages, uintptr_t start, uintptr_t end) {
  std::vector<uint64_t> entries(16384);
  for (uintptr_t page = start / page_size(); page < end / page_size();) {
    const size_t count = std::min<size_t>(entries.size(), end / page_size() - page);
    const ssize_t bytes = ::pread(pages, entries.data(), count * 8, static_cast<off_t>(page * 8));
    if (bytes < 8) fail(bytes < 0 ? errno : EIO, "/proc/self/pagemap");
    for (size_t i = 0; i < static_cast<size_t>(bytes) / 8; ++i)
      if ((entries[i] & (entry_present | entry_swapped)) != 0 && (entries[i] & entry_of_file) == 0) return true;
    page += static_cast<size_t>(bytes) / 8;
  }
  return false;
}

// Whether all of a range is memory that only this process has: private, and of no file.
bool is_private_memory(uintptr_t start, uintptr_t end) {
  const std::unique_ptr<FILE, int (*)(FILE*)> maps(std::fopen("/proc/self/maps", "re"), &std::fclose);
  if (maps == nullptr) fail(errno, "/proc/self/maps");
  char* line = nullptr;
  size_t capacity = 0;
  uintptr_t next = start;
  while (next < end && ::getline(&line, &capacity, maps.get()) > 0) {
    // "FIRST-LAST rw-p OFFSET MAJOR:MINOR INODE PATH"
    char* rest = nullptr;
    const unsigned long first = std::strtoul(line, &rest, 16);
    if (*rest != '-') break;
    const unsigned long last = std::strtoul(rest + 1, &rest, 16);
    if (std::strlen(rest) < 6) break;
    const bool is_private = rest[4] == 'p';
    const char* const device = std::strchr(rest + 6, ' ');
    const char* const inode = device == nullptr ? nullptr : std::strchr(device + 1, ' ');
    if (inode == nullptr) break;
    if (last <= next) continue;
    if (first > next || !is_private || std::strtoul(inode, nullptr, 10) != 0) break;
    next = last;
  }
  std::free(line);
  return next >= end;
}

}  // namespace

bool has_own_pages(uintptr_t address, size_t size) {
  if (size == 0) return false;
  const uintptr_t start = address / page_size() * page_size();
  const uintptr_t end = (address + size + page_size() - 1) / page_size() * page_size();
  const OwnedNumber pages{open_pagemap()};
  const int answer = any_page(pages.fd, {.start = start,
                                         .end = end,
                                         .inverted = is_file,
                                         .all_of = is_file,
                                         .any_of = is_present | is_swapped,
                                         .returned = is_present});
  return answer >= 0 ? answer > 0 : has_own_pages_in_pagemap(pages.fd, start, end);
}

WriteWatch::WriteWatch() : faults_(-1), pages_(-1) {
  faults_ = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | user_mode_only));
  if (faults_ < 0) fail(errno, "userfaultfd");
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = asynchronous_protection;
  const int error = ::ioctl(faults_, UFFDIO_API, &api) < 0 ? errno : 0;
  if (error != 0) {
    ::close(faults_);
    fail(error, "userfaultfd");
  }
  try {
    pages_ = open_pagemap();
  } catch (const std::exception&) {
    ::close(faults_);
    throw;
  }
}

WriteWatch::~WriteWatch() {
  ::close(faults_);
  ::close(pages_);
}

bool WriteWatch::written(uintptr_t address, size_t size) {
  if (address % page_size() != 0 || size % page_size() != 0) fail(EINVAL, "parts of pages");
  const PageScan scan{.flags = protect_what_matches | only_watched,
                      .start = address,
                      .end = address + size,
                      .all_of = is_written,
                      .returned = is_written};
  const int answer = any_page(pages_, scan);
  if (answer >= 0) return answer > 0;
  if (errno != EPERM) fail(errno, "looking at pages");
  // Not watched, or not any more: from here on it is.
  if (!is_private_memory(address, address + size)) fail(EINVAL, "memory that is shared, or a file's");
  uffdio_register watched{};
  watched.range = {address, size};
  watched.mode = UFFDIO_REGISTER_MODE_WP;
  if (::ioctl(faults_, UFFDIO_REGISTER, &watched) < 0) fail(errno, "watching pages");
  if (any_page(pages_, scan) < 0) fail(errno, "looking at pages");
  return true;
}

}  // namespace colonnade
