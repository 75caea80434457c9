// Puts published files into huge pages, on a thread of its own, so that nobody waits for it.
//
// Does not depend on: what is in a file, its names, Python.
//
// A put whose kernel has no huge pages at hand writes into small ones. Readers then take three times as long for a
// first scan, and so does each later put that uses the file's pages again. MADV_COLLAPSE moves a file that is in use
// into huge pages: what its readers and writers see stays the same, at every moment.
//
// 1. **The thread exists while there is work.** An idle process has none.
// 2. **It may end anywhere**: with the process, by a signal, in the middle of a step. Nothing has to be put in order.
// 3. **A fork waits for the end of a step**, and then there is no thread: Python warns programs that fork while they
//    have several. The child has no work and keeps none of its parent's files open. `resume` continues in the parent.
//    After a fork by C code alone the next `add` does.
// 4. **A file is open here, and a few MiB of it are mapped, until it is done.** So the kernel refuses a lease on
//    it, and its memory is not free. `release` ends that for a file that this process wants to write again. A file that
//    has no name any more is closed at the end of a step.
// 5. **It gives up where huge pages are scarce**: at the first step for which the kernel has none, or when steps take
//    long. All files are dropped, and none is taken for some seconds.
// 6. **It needs one free huge page at a time**, and few addresses: a file is mapped in small windows. A limit of memory
//    or of addresses that leaves no room for that counts as scarce too, as in 5.
#pragma once
#include <sys/types.h>

#include <compare>
#include <condition_variable>
#include <cstddef>
#include <list>
#include <map>
#include <mutex>
#include <thread>

#include "descriptor.h"

namespace colonnade {

class Collapser {
 public:
  // Of this process; never destroyed.
  static Collapser& instance();

  // Puts a file into huge pages later, unless it is not in memory, or there is too much to do already. It is only a
  // favour, so whatever fails is not reported.
  void add(int fd) noexcept;
  // Closes a file here; afterwards no step with it runs.
  void release(dev_t device, ino_t inode) noexcept;
  // Continues after a fork, in the parent.
  void resume() noexcept;
  // The number of files that are to be done, or are being done.
  size_t waiting() noexcept;

 private:
  struct Key {
    dev_t device;
    ino_t inode;
    auto operator<=>(const Key&) const = default;
  };
  struct File {
    Key key;
    Descriptor descriptor;
  };

  Collapser();
  void forget_others() noexcept;
  void start() noexcept;
  void stop() noexcept;
  void run() noexcept;
  static void before_fork() noexcept;
  static void after_fork_in_parent() noexcept;
  static void after_fork_in_child() noexcept;

  std::mutex control_;  // whoever starts and stops the thread, or adds and removes files, has it; the thread never
  std::thread thread_;
  pid_t number_ = 0;  // the thread's, as the kernel counts threads
  std::mutex mutex_;  // of what follows; held for moments
  std::list<File> files_;
  // How many bytes of a file are done. This is kept after the file is done, because it is put again and again. If that
  // is wrong, because numbers of files are used again, or because another process wrote the file, some pages stay
  // small.
  std::map<Key, size_t> bytes_done_;
  bool is_running_ = false;
  bool is_stopping_ = false;
  std::condition_variable stopping_;
};

}  // namespace colonnade
