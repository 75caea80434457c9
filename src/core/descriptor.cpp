#include "descriptor.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <system_error>
#include <utility>

namespace colonnade {
namespace {

[[noreturn]] void fail() { throw std::system_error(errno, std::generic_category()); }

pid_t this_thread() { return static_cast<pid_t>(::syscall(SYS_gettid)); }

}  // namespace

// One lock that a Descriptor of this process has. A list of all of them says which thread has which file.
struct Descriptor::Lock {
  dev_t device;
  ino_t inode;
  pid_t process;
  pid_t thread;
  Lock* next;

  static std::mutex mutex;
  static Lock* first;
};

std::mutex Descriptor::Lock::mutex;
Descriptor::Lock* Descriptor::Lock::first = nullptr;

Descriptor Descriptor::open(int folder, const char* path, int flags, mode_t mode) {
  int number;
  do number = ::openat(folder, path, flags | O_CLOEXEC, mode);
  while (number < 0 && errno == EINTR);
  if (number < 0) fail();
  return Descriptor(number);
}

Descriptor Descriptor::duplicate(int number) {
  const int copy = ::fcntl(number, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) fail();
  return Descriptor(copy);
}

Descriptor Descriptor::inotify() {
  const int number = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (number < 0) fail();
  return Descriptor(number);
}

Descriptor::Descriptor(int number) : number_(number) {}

Descriptor::~Descriptor() { close(); }

Descriptor::Descriptor(Descriptor&& other) noexcept
    : number_(std::exchange(other.number_, -1)),
      lock_(std::move(other.lock_)),
      companion_(std::move(other.companion_)) {}

void Descriptor::close() noexcept {
  companion_.reset();
  unlock();
  // Not again after EINTR: the number is free by then, and may be another thread's.
  if (const int number = std::exchange(number_, -1); number >= 0) ::close(number);
}

void Descriptor::keep(Descriptor&& other) { companion_ = std::make_unique<Descriptor>(std::move(other)); }

bool Descriptor::try_lock(bool shared) {
  struct stat stat;
  if (::fstat(number_, &stat) != 0) fail();
  auto lock = std::make_unique<Lock>(Lock{stat.st_dev, stat.st_ino, ::getpid(), this_thread(), nullptr});
  int result;
  do result = ::flock(number_, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB);
  while (result != 0 && errno == EINTR);
  if (result != 0) {
    if (errno == EWOULDBLOCK) return false;
    fail();
  }
  if (!shared && !lock_) {
    const std::lock_guard guard(Lock::mutex);
    lock->next = std::exchange(Lock::first, lock.get());
    lock_ = std::move(lock);
  }
  return true;
}

void Descriptor::unlock() noexcept {
  if (!lock_) return;
  const std::unique_ptr<Lock> lock = std::move(lock_);
  {
    const std::lock_guard guard(Lock::mutex);
    Lock** place = &Lock::first;
    while (*place && *place != lock.get()) place = &(*place)->next;
    if (*place) *place = lock->next;
  }
  // A child that was forked meanwhile shares the lock: closing does not drop it, and dropping it is its parent's to do.
  if (lock->process == ::getpid()) ::flock(number_, LOCK_UN);
}

bool Descriptor::locked_by_this_thread() const {
  struct stat stat;
  if (::fstat(number_, &stat) != 0) fail();
  const pid_t process = ::getpid(), thread = this_thread();
  const std::lock_guard guard(Lock::mutex);
  for (const Lock* lock = Lock::first; lock; lock = lock->next)
    if (lock->inode == stat.st_ino && lock->device == stat.st_dev && lock->process == process && lock->thread == thread)
      return true;
  return false;
}

}  // namespace colonnade
