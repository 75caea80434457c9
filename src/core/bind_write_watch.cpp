// Whether memory was written to.
#include "bindings.h"
#include "write_watch.h"

namespace colonnade {

void bind_write_watch(nb::module_& m) {
  nb::class_<WriteWatch>(m, "WriteWatch",
                         "Says whether memory was written to; OSError where the kernel cannot watch it.\n\n"
                         "It belongs to the process that made it, not to one that is forked.")
      .def("__init__", [](WriteWatch* self) { or_raise([&] { new (self) WriteWatch(); }); })
      .def(
          "written",
          [](WriteWatch& self, uintptr_t address, size_t size) {
            return or_raise([&] { return without_gil([&] { return self.written(address, size); }); });
          },
          "address"_a, "size"_a,
          "Whether any of these whole pages was written to since this was last asked; at first they were.");
  m.def(
      "has_own_pages",
      [](uintptr_t address, size_t size) {
        return or_raise([&] { return without_gil([&] { return has_own_pages(address, size); }); });
      },
      "address"_a, "size"_a, "Whether a private mapping of a file has pages that were written to.");
}

}  // namespace colonnade
