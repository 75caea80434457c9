#include "collapser.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <exception>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "mapping.h"
#include "pages.h"

namespace colonnade {
namespace {

// The bytes of a step. Everything that waits for the thread waits for one step: 0.6 ms where the kernel has huge pages
// ready, 8 ms where a virtual machine gets them from its host.
constexpr size_t step_bytes = 2 * huge_page;
// The processor time that a step may take: more where the kernel moves other pages to make a huge one. What steps take
// beyond it is added up, what they take less is subtracted again, and a sum that is too large means scarce.
constexpr std::chrono::milliseconds worth_step{20}, worth_more{100};
// How often a step is tried, if somebody uses one of its pages at that moment.
constexpr int turns = 4;
// How long no file is taken after that.
constexpr std::chrono::seconds scarce_for{10};
// More files are left as they are.
constexpr size_t most_files = 16;
// The number of files of which it is known what was done.
constexpr size_t most_remembered = 256;

using Clock = std::chrono::steady_clock;

std::atomic<Clock::rep> scarce_until{std::numeric_limits<Clock::rep>::min()};

std::chrono::nanoseconds processor_time() noexcept {
  timespec time{};
  (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

size_t whole_pages(size_t size) noexcept { return size / huge_page * huge_page; }

enum class Step { more, done, scarce };

// Addresses for one step, at a huge page's boundary, for the life of the thread.
class Window {
 public:
  Window() noexcept
      : addresses_(::mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}
  ~Window() {
    if (addresses_ != MAP_FAILED) unmap(addresses_, room);
  }
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  // Puts `size` bytes of a file into huge pages; returns an errno, or 0.
  int collapse(int fd, size_t at, size_t size) noexcept {
    if (addresses_ == MAP_FAILED) return ENOMEM;
    char* const address = reinterpret_cast<char*>(round_up(reinterpret_cast<uintptr_t>(addresses_), huge_page));
    if (::mmap(address, size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, static_cast<off_t>(at)) == MAP_FAILED)
      return lost();
    const int error = ::madvise(address, size, MADV_COLLAPSE) == 0 ? 0 : errno;
    // The addresses stay taken, and the file is not mapped any more.
    if (::mmap(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
      return lost();
    return error;
  }

 private:
  // The kernel may have unmapped the addresses before it failed, and another thread may have them by now: they are
  // left alone.
  int lost() noexcept {
    const int error = errno;
    addresses_ = MAP_FAILED;
    return error;
  }

  static constexpr size_t room = step_bytes + huge_page;
  void* addresses_;
};

// The next step of a file, at `at`; `more` is the time that steps took too long. Nobody cuts the file meanwhile: a
// spare is not claimed while it is open here.
Step next_step(Window& window, int fd, size_t& at, std::chrono::nanoseconds& more) noexcept {
  struct stat file;
  if (::fstat(fd, &file) != 0 || file.st_nlink == 0) return Step::done;
  const size_t whole = whole_pages(static_cast<size_t>(file.st_size));
  if (at >= whole) return Step::done;
  const size_t size = std::min(step_bytes, whole - at);
  const std::chrono::nanoseconds began = processor_time();
  int error = EAGAIN;  // somebody used one of the pages at this moment
  for (int turn = 0; turn < turns && error == EAGAIN; ++turn) error = window.collapse(fd, at, size);
  if (error != 0 && error != EAGAIN) return Step::scarce;
  at += size;  // after several turns they stay small
  more = std::max(std::chrono::nanoseconds{0}, more + (processor_time() - began) - worth_step);
  if (more > worth_more) return Step::scarce;
  return at < whole ? Step::more : Step::done;
}

}  // namespace

Collapser& Collapser::instance() {
  static Collapser* const collapser = new Collapser;  // never destroyed: the thread may run until the process is gone
  return *collapser;
}

Collapser::Collapser() {
  if (::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) != 0)
    throw std::bad_alloc();  // its only error
}

void Collapser::add(int fd) noexcept {
  struct stat status;
  if (Clock::now().time_since_epoch().count() < scarce_until || !in_memory(fd) || ::fstat(fd, &status) != 0) return;
  const Key key{status.st_dev, status.st_ino};
  const size_t size = static_cast<size_t>(status.st_size);
  const std::lock_guard control(control_);
  try {
    {
      const std::lock_guard guard(mutex_);
      if (bytes_done_.size() >= most_remembered) forget_others();
      size_t& bytes = bytes_done_[key];
      bytes = std::min(bytes, whole_pages(size));  // what was cut off is to be done again
      if (bytes < whole_pages(size) && files_.size() < most_files) {
        // Opened again, because the locks of an open file are its publisher's. O_NONBLOCK: a lease is not waited for.
        const std::string path = "/proc/self/fd/" + std::to_string(fd);
        files_.push_back({key, Descriptor::open(AT_FDCWD, path.c_str(), O_RDONLY | O_NONBLOCK, 0)});
      }
    }
    start();  // also after a fork that was not Python's: nobody called `resume` then
  } catch (const std::exception&) {
    // No descriptor, no /proc, no memory: the file stays as it is.
  }
}

// With `mutex_` locked: forgets what was done of files that do not wait.
void Collapser::forget_others() noexcept {
  std::erase_if(bytes_done_, [this](const auto& entry) {
    return std::ranges::none_of(files_, [&](const File& file) { return file.key == entry.first; });
  });
}

void Collapser::release(dev_t device, ino_t inode) noexcept {
  const auto is_it = [key = Key{device, inode}](const File& file) { return file.key == key; };
  const std::lock_guard control(control_);
  {
    const std::lock_guard guard(mutex_);
    if (std::none_of(files_.begin(), files_.end(), is_it)) return;
  }
  stop();
  {
    const std::lock_guard guard(mutex_);
    std::erase_if(files_, is_it);
  }
  start();
}

void Collapser::resume() noexcept {
  const std::lock_guard control(control_);
  start();
}

size_t Collapser::waiting() noexcept {
  const std::lock_guard guard(mutex_);
  return files_.size();
}

// With `control_` locked: sees that the thread runs if there is work.
void Collapser::start() noexcept {
  {
    const std::lock_guard guard(mutex_);
    if (is_running_ || files_.empty()) return;
  }
  stop();  // joins a thread that ended by itself
  // Signals are for the program's own threads: a handler here would not interrupt what they wait for.
  sigset_t all, before;
  ::sigfillset(&all);
  if (::pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return;
  {
    const std::lock_guard guard(mutex_);
    try {
      thread_ = std::thread([this]() noexcept { run(); });
      is_running_ = true;
    } catch (const std::exception&) {
      files_.clear();  // a limit of threads or of memory: they stay as they are
    }
  }
  (void)::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// With `control_` locked: ends the thread after its step.
void Collapser::stop() noexcept {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard guard(mutex_);
    is_stopping_ = true;
  }
  stopping_.notify_one();
  thread_.join();
  is_stopping_ = false;
  // The kernel still counts it for a moment after it was joined, and so does Python.
  // Not for ever: its number may be another thread's by then.
  for (int turn = 0; turn < 1000 && ::syscall(SYS_tgkill, ::getpid(), number_, 0) == 0; ++turn) ::usleep(20);
}

void Collapser::run() noexcept {
  number_ = static_cast<pid_t>(::syscall(SYS_gettid));
  Window window;
  std::chrono::nanoseconds more{0};
  std::unique_lock lock(mutex_);
  while (!files_.empty() && !is_stopping_) {
    // Only this thread removes files while it runs, and what was done stays known while there are files.
    const File& file = files_.front();
    size_t bytes = bytes_done_[file.key];
    lock.unlock();
    const std::chrono::nanoseconds began = processor_time();
    const Step step = next_step(window, file.descriptor.number(), bytes, more);
    lock.lock();
    bytes_done_[file.key] = bytes;
    if (step == Step::scarce) {
      scarce_until = (Clock::now() + scarce_for).time_since_epoch().count();
      files_.clear();
    } else if (step == Step::done) {
      files_.pop_front();
    }
    std::erase_if(files_, [](const File& other) {
      struct stat status;
      return ::fstat(other.descriptor.number(), &status) != 0 || status.st_nlink == 0;
    });
    // It rests as long as it worked, not as long as it waited: on a busy machine it would never be done.
    stopping_.wait_for(lock, processor_time() - began, [this] { return is_stopping_; });
  }
  is_running_ = false;
}

void Collapser::before_fork() noexcept {
  Collapser& collapser = instance();
  collapser.control_.lock();
  collapser.stop();
  collapser.mutex_.lock();
}

void Collapser::after_fork_in_parent() noexcept {
  Collapser& collapser = instance();
  collapser.mutex_.unlock();
  collapser.control_.unlock();
}

void Collapser::after_fork_in_child() noexcept {
  Collapser& collapser = instance();
  collapser.files_.clear();
  collapser.mutex_.unlock();
  collapser.control_.unlock();
}

}  // namespace colonnade
