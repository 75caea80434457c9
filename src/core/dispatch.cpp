// Which kernels run: the fastest that the processor has, or those that were asked for by name.
#include <atomic>
#include <initializer_list>

#include "kernels.h"

namespace colonnade {

extern const Kernels kernels_portable;
#ifdef COLONNADE_X86
extern const Kernels kernels_avx2;
#endif

namespace {

const Kernels& fastest() {
#ifdef COLONNADE_X86
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2")) return kernels_avx2;
#endif
  return kernels_portable;
}

std::atomic<const Kernels*>& chosen() {
  static std::atomic<const Kernels*> one{&fastest()};
  return one;
}

}  // namespace

const Kernels& kernels() { return *chosen(); }

bool use_kernels(std::string_view name) {
  for (const Kernels* known : {&fastest(), &kernels_portable}) {
    if (!name.empty() && known->name != name) continue;
    chosen() = known;
    return true;
  }
  return false;
}

}  // namespace colonnade
