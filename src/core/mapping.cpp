#include "mapping.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <system_error>

#include "pages.h"
#include "threads.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22  // Linux 5.14
#endif

namespace colonnade {
namespace {

// The bytes that one call collapses: the kernel drains every processor's page lists in each call, which costs as much
// as tens of pages. One call is also lost before the kernel is known to be slow: 75 ms with 16 MiB, 300 with 64.
constexpr size_t collapsed_at_once = 16 << 20;
// The kernel takes 1 to 8 ms for 16 MiB of huge pages that it has ready, and 25 ms and more where it must move other
// pages, or where a virtual machine gets the memory from its host. In 6 ms pwrite has written as much.
constexpr std::chrono::milliseconds worth_waiting{15};
// The bytes of the first call, which shows whether huge pages are available. If so it takes 0.5 ms, else 15 ms or more.
constexpr size_t probe_bytes = 8 << 20;
constexpr std::chrono::milliseconds worth_probing{4};
// How long that answer is used. A kernel without huge pages moves other pages to make some, and may soon have many.
constexpr std::chrono::milliseconds scarce_for{500};
constexpr std::chrono::seconds plenty_for{1};
// The bytes that one call enters into the page table: a thread takes the next ones when it is done with them.
constexpr size_t populated_at_once = 4 << 20;

using Clock = std::chrono::steady_clock;

// Until when the last answer is used: that huge pages are scarce, or that there are plenty.
std::atomic<Clock::rep> scarce_until{std::numeric_limits<Clock::rep>::min()};
std::atomic<Clock::rep> plenty_until{std::numeric_limits<Clock::rep>::min()};

Clock::rep now() { return Clock::now().time_since_epoch().count(); }

void remember(bool at_hand) {
  const Clock::duration span = at_hand ? Clock::duration{plenty_for} : Clock::duration{scarce_for};
  (at_hand ? plenty_until : scarce_until) = now() + span.count();
}

// The kernel collapses a range where at least one page is there, and fills the holes around it with zeros.
bool touch_huge_pages(int fd, size_t from, size_t to) {
  for (size_t at = from; at < to; at += huge_page)
    if (::pwrite(fd, "", 1, static_cast<off_t>(at)) != 1) return false;
  return true;
}

bool probe(int threads) noexcept {
  const int fd = ::memfd_create("colonnade-probe", MFD_CLOEXEC);
  if (fd < 0) return false;
  bool is_quick = false;
  try {
    if (::ftruncate(fd, probe_bytes) == 0 && touch_huge_pages(fd, 0, probe_bytes)) {
      const Mapping mapping(fd, probe_bytes, Mapping::Kind::writing);
      const Clock::time_point began = Clock::now();
      is_quick = mapping.collapse(threads) && Clock::now() - began <= worth_probing;
    }
  } catch (const std::exception&) {
    // No room to map it, or not even for the error that says so: it is not quick.
  }
  ::close(fd);
  return is_quick;
}

int protection_of(Mapping::Kind kind) { return kind == Mapping::Kind::reading ? PROT_READ : PROT_READ | PROT_WRITE; }

// No swap is reserved for a private copy, because readers rarely write.
int flags_of(Mapping::Kind kind) {
  return kind == Mapping::Kind::private_copy ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
}

[[noreturn]] void fail() { throw std::system_error(errno, std::generic_category(), "mmap"); }

}  // namespace

Mapping::Mapping(int fd, size_t size, Kind kind) : size_(size), kind_(kind) {
  if (size < huge_page) {
    void* const mapping = ::mmap(nullptr, size, protection_of(kind), flags_of(kind), fd, 0);
    if (mapping == MAP_FAILED) fail();
    address_ = static_cast<char*>(mapping);
    return;
  }
  if (size > SIZE_MAX / 2) throw std::system_error(ENOMEM, std::generic_category(), "mmap");
  // Addresses with a boundary in them; the file is mapped there, and the addresses around it are unmapped.
  const size_t room = size + huge_page;
  void* const reservation = ::mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reservation == MAP_FAILED) fail();
  char* const first = static_cast<char*>(reservation);
  char* const target = first + (huge_page - reinterpret_cast<uintptr_t>(first) % huge_page) % huge_page;
  if (::mmap(target, size, protection_of(kind), flags_of(kind) | MAP_FIXED, fd, 0) == MAP_FAILED) {
    const int error = errno;
    unmap(first, room);
    errno = error;
    fail();
  }
  address_ = target;
  char* const end = target + round_up(size, page_size());
  unmap(first, target - first);
  unmap(end, first + room - end);
}

Mapping::~Mapping() { unmap(address_, size_); }

bool Mapping::collapse(size_t from, size_t to, int threads, std::chrono::milliseconds patience) const noexcept {
  const size_t whole = (to - from) / huge_page * huge_page;
  const size_t steps = (whole + collapsed_at_once - 1) / collapsed_at_once;
  std::atomic<size_t> next{0};
  std::atomic<bool> is_collapsed{true};
  const auto work = [&](size_t) noexcept {
    for (size_t step = next++; step < steps && is_collapsed; step = next++) {
      const size_t at = step * collapsed_at_once;
      const Clock::time_point began = Clock::now();
      if (::madvise(address_ + from + at, std::min(collapsed_at_once, whole - at), MADV_COLLAPSE) != 0)
        is_collapsed = false;
      if (patience != std::chrono::milliseconds::max() && Clock::now() - began > patience && next < steps)
        is_collapsed = false;
    }
  };
  run_on_threads(std::clamp<size_t>(steps, 1, static_cast<size_t>(std::max(threads, 1))), work);
  return is_collapsed;
}

// To write as well: the kernel enters pages that are there 16 at a time when they are read, and one by one when they
// are written. In shared memory both are entered writable. 128 MiB of small pages, then copied over: 29 ms, 50 ms when
// populated for writing, 75 ms when each page faults by itself, 32 ms with pwrite.
bool Mapping::populate(int threads) const noexcept {
  const size_t steps = (size_ + populated_at_once - 1) / populated_at_once;
  std::atomic<size_t> next{0};
  std::atomic<bool> is_populated{true};
  const auto work = [&](size_t) noexcept {
    for (size_t step = next++; step < steps && is_populated; step = next++) {
      const size_t at = step * populated_at_once;
      if (::madvise(address_ + at, std::min(populated_at_once, size_ - at), MADV_POPULATE_READ) != 0)
        is_populated = false;
    }
  };
  run_on_threads(std::clamp<size_t>(steps, 1, static_cast<size_t>(std::max(threads, 1))), work);
  return is_populated;
}

void Mapping::detach(int fd) {
  const int flags = flags_of(Kind::private_copy) | MAP_FIXED;
  if (::mmap(address_, size_, protection_of(Kind::private_copy), flags, fd, 0) == MAP_FAILED) fail();
  kind_ = Kind::private_copy;
}

void Mapping::abandon() {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  if (::mmap(address_, size_, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) fail();
  kind_ = Kind::private_copy;
}

bool in_memory(int fd) noexcept {
  struct statfs system;
  return ::fstatfs(fd, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

bool reserve(int fd, const Mapping& mapping, size_t from, size_t to, int threads) noexcept {
  const size_t whole = from + (to - from) / huge_page * huge_page;
  if (!touch_huge_pages(fd, from, whole)) return false;
  if (whole < to && ::fallocate(fd, 0, static_cast<off_t>(whole), static_cast<off_t>(to - whole)) != 0) return false;
  if (mapping.collapse(from, whole, threads, worth_waiting)) return true;
  remember(false);
  return false;
}

bool reserve(int fd, const Mapping& mapping, int threads) noexcept {
  const size_t size = mapping.size();
  // A small file is its own probe.
  if (size >= probe_bytes + huge_page && !huge_pages_at_hand(threads)) return false;
  if (!reserve(fd, mapping, 0, size, threads)) return false;
  struct stat file;
  return ::fstat(fd, &file) == 0 && static_cast<size_t>(file.st_blocks) * 512 >= size;
}

bool huge_pages_at_hand(int threads) noexcept {
  const Clock::rep moment = now();
  if (moment < scarce_until) return false;
  if (moment < plenty_until) return true;
  const bool is_quick = probe(threads);
  remember(is_quick);
  return is_quick;
}

}  // namespace colonnade
