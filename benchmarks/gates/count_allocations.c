// Counts a process' allocations: preloaded, in front of the C library's own functions. `allocations()` gives the count.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_long count;

long allocations(void) { return count; }

// glibc's own names, so that nothing has to be looked up before the first allocation.
extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

void* malloc(size_t size) { return count++, __libc_malloc(size); }
void* calloc(size_t number, size_t size) { return count++, __libc_calloc(number, size); }
void* realloc(void* memory, size_t size) { return count++, __libc_realloc(memory, size); }
void* aligned_alloc(size_t alignment, size_t size) { return count++, __libc_memalign(alignment, size); }
int posix_memalign(void** memory, size_t alignment, size_t size) {
  count++;
  *memory = __libc_memalign(alignment, size);
  return *memory ? 0 : ENOMEM;
}
