// The module `_core`: see bindings.h.
#include <nanobind/stl/string.h>
#include <sched.h>

#include <string>

#include "bindings.h"
#include "kernels.h"

namespace colonnade {

int available_threads() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

namespace {

// Raised by one, here and in src/colonnade/__init__.py, when a binding changes.
constexpr int interface_number = 3;

// In a checkout the package may be newer than what was built, and would fail anywhere.
void check_interface() {
  const nb::object expectation = nb::getattr(nb::module_::import_("colonnade"), "_CORE_INTERFACE", nb::none());
  if (!expectation.equal(nb::int_(interface_number)))
    throw nb::import_error("the compiled core does not belong to this version of the package; pip install -e .");
}

}  // namespace

NB_MODULE(_core, m) {
  check_interface();
  // A frame that still exists when the interpreter ends keeps its mapping; the kernel unmaps it.
  nb::set_leak_warnings(false);
  m.doc() = "Moves bytes. Python decides which.";
  bind_plan(m);
  bind_memory(m);
  bind_descriptor(m);
  bind_arrow(m);
  bind_moves(m);
  bind_objects(m);
  bind_growing(m);
  bind_growing_direct(m);
  bind_growing_reader(m);
  bind_key_index(m);
  bind_text_views(m);
  bind_write_watch(m);
  m.def("available_threads", &available_threads, "The number of processors this process may use.");
  m.def("kernels", [] { return std::string(kernels().name); }, "The name of the kernels in use.");
  m.def(
      "use_kernels", [](const std::string& name) { return use_kernels(name); }, "name"_a,
      "Use the kernels of this name ('portable', 'avx2'; '': the fastest); False if this processor has none.");
}

}  // namespace colonnade
