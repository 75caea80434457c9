// Preloaded into a process: makes chosen allocations of one library fail, those whose caller is in a range of
// addresses. The range is set by `watch_allocations`; until then, and for all other callers, everything is as without
// it.
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void watch_allocations(uintptr_t begin, uintptr_t end, long at, int on);
}

namespace {

std::atomic<uintptr_t> first{0};
std::atomic<uintptr_t> last{0};
std::atomic<long> count{0};
std::atomic<long> failed{0};
std::atomic<long> fail_at{0};
std::atomic<bool> from_then_on{false};

bool fails_now() {
  const long number = ++count;
  const long at = fail_at;
  const bool fails = at > 0 && (number == at || (from_then_on && number > at));
  if (fails) ++failed;
  return fails;
}

bool is_inside(const void* caller) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(caller);
  return address >= first && address < last;
}

bool fails(const void* caller) { return is_inside(caller) && fails_now(); }

// Whether a function of this file was called from the range, maybe through libstdc++, which starts threads for its
// callers. A call that is further above does not count: the core calls the producer of a stream, whose threads are its
// own.
bool is_called_from_range() {
  void* frames[8];
  const int depth = backtrace(frames, 8);
  Dl_info here, info;
  dladdr(reinterpret_cast<void*>(&watch_allocations), &here);
  for (int i = 0; i < depth; ++i) {
    const bool is_known = dladdr(frames[i], &info) != 0;
    if (is_known && (info.dli_fbase == here.dli_fbase || std::strstr(info.dli_fname, "libstdc++") != nullptr)) continue;
    return is_inside(frames[i]);
  }
  return false;
}

}  // namespace

#define FAILS fails(__builtin_return_address(0))

extern "C" {

void watch_allocations(uintptr_t begin, uintptr_t end, long at, int on) {
  last = 0;
  count = failed = 0;
  fail_at = at;
  from_then_on = on != 0;
  first = begin;
  last = end;
}

long allocations_counted() { return count; }
long allocations_failed() { return failed; }

void* malloc(size_t size) {
  if (!FAILS) return __libc_malloc(size);
  errno = ENOMEM;
  return nullptr;
}

void* calloc(size_t number, size_t size) {
  if (!FAILS) return __libc_calloc(number, size);
  errno = ENOMEM;
  return nullptr;
}

void* realloc(void* block, size_t size) {
  if (!FAILS) return __libc_realloc(block, size);
  errno = ENOMEM;
  return nullptr;
}

void* aligned_alloc(size_t alignment, size_t size) {
  if (!FAILS) return __libc_memalign(alignment, size);
  errno = ENOMEM;
  return nullptr;
}

int posix_memalign(void** block, size_t alignment, size_t size) {
  void* const found = FAILS ? nullptr : __libc_memalign(alignment, size);
  if (found == nullptr) return ENOMEM;
  *block = found;
  return 0;
}

void* mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset) {
  if (!FAILS) return reinterpret_cast<void*>(syscall(SYS_mmap, address, length, protection, flags, fd, offset));
  errno = ENOMEM;
  return MAP_FAILED;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const Create create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  if (last != 0 && is_called_from_range() && fails_now()) return EAGAIN;
  return create(thread, attributes, start, argument);
}

}  // extern "C"

namespace {

void* given(size_t size, size_t alignment) {
  return alignment == 0 ? __libc_malloc(size > 0 ? size : 1) : __libc_memalign(alignment, size);
}

void* given_or_thrown(bool fails, size_t size, size_t alignment) {
  void* const block = fails ? nullptr : given(size, alignment);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace

void* operator new(size_t size) { return given_or_thrown(FAILS, size, 0); }
void* operator new[](size_t size) { return given_or_thrown(FAILS, size, 0); }
void* operator new(size_t size, std::align_val_t to) { return given_or_thrown(FAILS, size, static_cast<size_t>(to)); }
void* operator new[](size_t size, std::align_val_t to) { return given_or_thrown(FAILS, size, static_cast<size_t>(to)); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return FAILS ? nullptr : given(size, 0); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return FAILS ? nullptr : given(size, 0); }
