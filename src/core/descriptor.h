// A file descriptor with one owner: nothing leaks and nothing is closed twice, wherever an exception arises.
//
// Does not depend on: Python, names, what is in a file.
//
// Python runs signal handlers between any two of its steps, so an exception may arise between `os.open` and the
// assignment of its result, or between `os.close` and the assignment of -1. Here both halves are one step: an object
// that is dropped closes its descriptor, and the number is taken away before it is closed.
#pragma once
#include <sys/types.h>

#include <memory>

namespace colonnade {

class Descriptor {
 public:
  // All throw std::system_error.
  static Descriptor open(int folder, const char* path, int flags, mode_t mode);
  static Descriptor duplicate(int number);
  static Descriptor inotify();

  explicit Descriptor(int number);
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();

  // -1 once it is closed.
  int number() const { return number_; }
  // Drops its lock, closes what `keep` gave it, and then itself.
  void close() noexcept;
  // Has another descriptor, maybe with its lock, until this one is closed.
  void keep(Descriptor&& other);

  // Locks the file (flock) without waiting; false where another open file description has it locked. A shared lock is
  // shared with forked children too: it ends when all of them have closed it.
  bool try_lock(bool shared);
  // Drops the lock, if it has one that is not shared.
  void unlock() noexcept;
  // Whether the calling thread has the same file locked by any Descriptor: waiting for it would never end.
  bool locked_by_this_thread() const;

 private:
  struct Lock;

  int number_;
  std::unique_ptr<Lock> lock_;
  std::unique_ptr<Descriptor> companion_;
};

}  // namespace colonnade
