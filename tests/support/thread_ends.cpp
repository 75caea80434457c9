// Loaded into a process: ends a thread where it asks for the GIL, as Python before 3.14 does while the interpreter is
// ending. That shows whether a frame of the thread cannot be unwound, at each such place and without any luck.
//
// The places are those in compiled libraries: their calls of Python's functions are led here. Python code has more such
// places, and any library may call it: `is_called_by` finds that.
#include <atomic>
#include <cstring>
#include <initializer_list>

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern "C" {
int PyGILState_Check(void);
int PyGILState_Ensure(void);
void PyEval_RestoreThread(void*);
void PyEval_AcquireThread(void*);
void watch_gil();
void end_thread();
}

namespace {

std::atomic<bool> armed{false};
std::atomic<long> count{0};
std::atomic<long> end_at{0};
std::atomic<bool> ended{false};
std::atomic<int> waited_for{0};

// The main thread is the one that ends the process. It waits for calls that are finished before that.
void may_end() {
  if (!armed || waited_for > 0 || ::getpid() == ::syscall(SYS_gettid)) return;
  if (++count != end_at) return;
  end_thread();
}

void restore(void* thread) {
  may_end();
  PyEval_RestoreThread(thread);
}

void acquire(void* thread) {
  may_end();
  PyEval_AcquireThread(thread);
}

int ensure() {
  if (!PyGILState_Check()) may_end();  // who has the GIL does not wait for it
  return PyGILState_Ensure();
}

void* replacement_of(const char* name) {
  if (std::strcmp(name, "PyEval_RestoreThread") == 0) return reinterpret_cast<void*>(&restore);
  if (std::strcmp(name, "PyEval_AcquireThread") == 0) return reinterpret_cast<void*>(&acquire);
  if (std::strcmp(name, "PyGILState_Ensure") == 0) return reinterpret_cast<void*>(&ensure);
  return nullptr;
}

#ifdef __x86_64__
bool is_slot(unsigned long type) { return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT; }
#else
bool is_slot(unsigned long type) { return type == R_AARCH64_JUMP_SLOT || type == R_AARCH64_GLOB_DAT; }
#endif

// Where a library keeps the addresses of functions of other libraries.
struct Slots {
  const ElfW(Rela) * first;
  size_t bytes;
};

void lead_here(uintptr_t base, const ElfW(Dyn) * entry) {
  const ElfW(Sym)* symbols = nullptr;
  const char* names = nullptr;
  Slots lazy{}, early{};
  for (; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const ElfW(Sym)*>(entry->d_un.d_ptr);
    if (entry->d_tag == DT_STRTAB) names = reinterpret_cast<const char*>(entry->d_un.d_ptr);
    if (entry->d_tag == DT_JMPREL) lazy.first = reinterpret_cast<const ElfW(Rela)*>(entry->d_un.d_ptr);
    if (entry->d_tag == DT_PLTRELSZ) lazy.bytes = entry->d_un.d_val;
    if (entry->d_tag == DT_RELA) early.first = reinterpret_cast<const ElfW(Rela)*>(entry->d_un.d_ptr);
    if (entry->d_tag == DT_RELASZ) early.bytes = entry->d_un.d_val;
  }
  if (symbols == nullptr || names == nullptr) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (const Slots& slots : {lazy, early}) {
    if (slots.first == nullptr) continue;
    for (size_t i = 0; i < slots.bytes / sizeof(ElfW(Rela)); ++i) {
      const ElfW(Rela) & relocation = slots.first[i];
      if (!is_slot(ELF64_R_TYPE(relocation.r_info))) continue;
      void* const function = replacement_of(names + symbols[ELF64_R_SYM(relocation.r_info)].st_name);
      if (function == nullptr) continue;
      auto* const slot = reinterpret_cast<void**>(base + relocation.r_offset);
      const uintptr_t start = reinterpret_cast<uintptr_t>(slot) & ~(page - 1);
      ::mprotect(reinterpret_cast<void*>(start), page, PROT_READ | PROT_WRITE);
      *slot = function;
    }
  }
}

bool contains(const dl_phdr_info& library, const void* address) {
  for (int i = 0; i < library.dlpi_phnum; ++i) {
    const auto& part = library.dlpi_phdr[i];
    const uintptr_t offset = reinterpret_cast<uintptr_t>(address) - library.dlpi_addr;
    if (part.p_type == PT_LOAD && offset - part.p_vaddr < part.p_memsz) return true;
  }
  return false;
}

int look_at(dl_phdr_info* library, size_t, void*) {
  const bool is_python = std::strstr(library->dlpi_name, "libpython") != nullptr;
  if (is_python || std::strstr(library->dlpi_name, ".so") == nullptr) return 0;
  if (contains(*library, reinterpret_cast<const void*>(&watch_gil))) return 0;
  for (int i = 0; i < library->dlpi_phnum; ++i) {
    const auto& part = library->dlpi_phdr[i];
    if (part.p_type == PT_DYNAMIC)
      lead_here(library->dlpi_addr, reinterpret_cast<const ElfW(Dyn)*>(library->dlpi_addr + part.p_vaddr));
  }
  return 0;
}

}  // namespace

extern "C" {

// All libraries that are loaded by now.
void watch_gil() { dl_iterate_phdr(look_at, nullptr); }

// Ends the thread that calls it.
void end_thread() {
  ended = true;
  ::pthread_exit(nullptr);
}

// 0: no thread ends, and all places are counted.
void end_thread_at(long number) {
  count = 0;
  end_at = number;
  armed = true;
}

void stop_counting() { armed = false; }
long gil_asked_for() { return count; }
int thread_has_ended() { return ended; }
void wait_for_call(int by) { waited_for += by; }

// Whether a function of the library that has this address is among the callers.
int is_called_by(const void* address) {
  Dl_info library, caller;
  if (dladdr(address, &library) == 0) return 0;
  void* frames[200];
  const int depth = backtrace(frames, 200);
  for (int i = 0; i < depth; ++i)
    if (dladdr(frames[i], &caller) != 0 && caller.dli_fbase == library.dli_fbase) return 1;
  return 0;
}

}  // extern "C"
