// Counts the stores of a process to files that it has mapped, and its system calls that change files; kills it before one.
// Preloaded, in front of the C library's own functions. Linux on x86-64.
//
// Writable shared mappings are made read-only while it counts. A store then traps: it is counted, the page is made writable,
// the one instruction is run (the processor's trap flag stops behind it), and the page is made read-only again.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <ucontext.h>
#include <unistd.h>

enum { MOST = 4096, PAGE = 4096, TRAP_FLAG = 0x100 };

static struct {
  uintptr_t start, end;
} mapped[MOST];
static int mappings;
static volatile long counted, last = -1;
static volatile int counting;
static uintptr_t opened[4];  // pages that the instruction in progress may store to
static int open_pages;

static void step(void) {
  if (counting && counted++ == last) kill(getpid(), SIGKILL);
}

static void protect(uintptr_t start, uintptr_t end, int protection) {
  syscall(SYS_mprotect, start, end - start, protection);
}

static int is_mapped(uintptr_t address) {
  for (int i = 0; i < mappings; i++)
    if (address >= mapped[i].start && address < mapped[i].end) return 1;
  return 0;
}

static void on_store(int number, siginfo_t* info, void* context) {
  uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1);
  if (!counting || !is_mapped(page) || open_pages == 4) {
    signal(number, SIG_DFL);
    return;
  }
  if (!open_pages) step();
  opened[open_pages++] = page;
  protect(page, page + PAGE, PROT_READ | PROT_WRITE);
  ((ucontext_t*)context)->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_trap(int number, siginfo_t* info, void* context) {
  (void)number, (void)info;
  while (open_pages) {
    uintptr_t page = opened[--open_pages];
    if (is_mapped(page)) protect(page, page + PAGE, PROT_READ);
  }
  ((ucontext_t*)context)->uc_mcontext.gregs[REG_EFL] &= ~(long long)TRAP_FLAG;
}

// Kill before step `at`, counted from 0; -1: only count.
void begin_steps(long at) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = on_store;
  sigaction(SIGSEGV, &action, NULL);
  action.sa_sigaction = on_trap;
  sigaction(SIGTRAP, &action, NULL);
  counted = 0, last = at, counting = 1;
  for (int i = 0; i < mappings; i++) protect(mapped[i].start, mapped[i].end, PROT_READ);
}

long end_steps(void) {
  counting = 0;
  for (int i = 0; i < mappings; i++) protect(mapped[i].start, mapped[i].end, PROT_READ | PROT_WRITE);
  return counted;
}

static void forget(uintptr_t start, uintptr_t end) {
  for (int i = 0; i < mappings; i++)
    if (start < mapped[i].end && end > mapped[i].start) mapped[i--] = mapped[--mappings];
}

void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
  void* found = (void*)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
  if (found == MAP_FAILED) return found;
  uintptr_t start = (uintptr_t)found, end = start + (size + PAGE - 1) / PAGE * PAGE;
  forget(start, end);
  if ((flags & MAP_SHARED) && (protection & PROT_WRITE) && fd >= 0) {
    if (mappings == MOST) abort();
    mapped[mappings].start = start, mapped[mappings++].end = end;
    if (counting) protect(start, end, PROT_READ);
  }
  return found;
}
void* mmap64(void* a, size_t s, int p, int f, int fd, off_t o) { return mmap(a, s, p, f, fd, o); }

int munmap(void* address, size_t size) {
  forget((uintptr_t)address, (uintptr_t)address + (size + PAGE - 1) / PAGE * PAGE);
  return (int)syscall(SYS_munmap, address, size);
}

// The kernel refuses to make pages writable that the process may not write to.
int madvise(void* address, size_t size, int advice) {
  uintptr_t start = (uintptr_t)address;
  int guarded = counting && is_mapped(start);
  if (guarded) protect(start, start + size, PROT_READ | PROT_WRITE);
  int result = (int)syscall(SYS_madvise, address, size, advice);
  if (guarded) protect(start, start + size, PROT_READ);
  return result;
}

#define COUNTED(result, name, parameters, arguments)                     \
  result name parameters {                                               \
    static result(*next) parameters;                                     \
    if (!next) next = (result(*) parameters)dlsym(RTLD_NEXT, #name);     \
    step();                                                              \
    return next arguments;                                               \
  }

COUNTED(ssize_t, pwrite, (int fd, const void* data, size_t size, off_t at), (fd, data, size, at))
COUNTED(ssize_t, pwrite64, (int fd, const void* data, size_t size, off_t at), (fd, data, size, at))
COUNTED(int, ftruncate, (int fd, off_t size), (fd, size))
COUNTED(int, ftruncate64, (int fd, off_t size), (fd, size))
COUNTED(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
COUNTED(int, fallocate64, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
COUNTED(int, posix_fallocate, (int fd, off_t at, off_t size), (fd, at, size))
COUNTED(int, posix_fallocate64, (int fd, off_t at, off_t size), (fd, at, size))
COUNTED(int, rename, (const char* from, const char* to), (from, to))
COUNTED(int, renameat, (int from_fd, const char* from, int to_fd, const char* to), (from_fd, from, to_fd, to))
COUNTED(int, renameat2, (int a, const char* from, int b, const char* to, unsigned flags), (a, from, b, to, flags))
COUNTED(int, linkat, (int a, const char* from, int b, const char* to, int flags), (a, from, b, to, flags))
COUNTED(int, unlink, (const char* path), (path))
COUNTED(int, unlinkat, (int fd, const char* path, int flags), (fd, path, flags))
COUNTED(int, mkdirat, (int fd, const char* path, mode_t mode), (fd, path, mode))
COUNTED(int, rmdir, (const char* path), (path))
COUNTED(int, fchmod, (int fd, mode_t mode), (fd, mode))
