// File descriptors.
#include "bindings.h"

#include <fcntl.h>

#include <system_error>
#include <utility>

#include "descriptor.h"

namespace colonnade {
namespace {

// Opens a path as os.open does, below an open folder or below the working directory.
//
// A path object would run Python code here, and Python may end the thread in it: see `stop_where_it_would_unwind`.
void open_descriptor(Descriptor* self, nb::object path, int flags, unsigned mode, int folder) {
  if (!PyUnicode_Check(path.ptr()) && !PyBytes_Check(path.ptr())) throw nb::type_error("path must be str or bytes");
  PyObject* bytes = nullptr;
  if (!PyUnicode_FSConverter(path.ptr(), &bytes)) throw nb::python_error();
  const nb::object owner = nb::steal(bytes);
  try {
    new (self) Descriptor(Descriptor::open(folder, PyBytes_AS_STRING(bytes), flags, mode));
  } catch (const std::system_error& error) {
    errno = error.code().value();
    PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path.ptr());
    throw nb::python_error();
  }
}

}  // namespace

void bind_descriptor(nb::module_& m) {
  nb::class_<Descriptor>(m, "Descriptor",
                         "The one owner of a file descriptor: closed when the object is dropped, and never twice.\n\n"
                         "A context manager that gives the number and closes at its end.")
      .def("__init__", &open_descriptor, "path"_a, "flags"_a, "mode"_a = 0, "dir_fd"_a = AT_FDCWD,
           "Open a path as ``os.open`` does.")
      .def_static(
          "duplicate", [](int number) { return or_raise([&] { return Descriptor::duplicate(number); }); }, "number"_a,
          "A second descriptor of the same open file.")
      .def_static(
          "inotify", [] { return or_raise([] { return Descriptor::inotify(); }); },
          "A new inotify instance, which does not block.")
      .def("fileno", &Descriptor::number, "The number; -1 once it is closed.")
      .def("close", &Descriptor::close, "Drop its lock, close what `keep` gave it, and then itself; twice is once.")
      .def(
          "keep", [](Descriptor& self, Descriptor& other) { self.keep(std::move(other)); }, "other"_a,
          "Take over another descriptor and its lock, until this one is closed.")
      .def(
          "try_lock", [](Descriptor& self, bool shared) { return or_raise([&] { return self.try_lock(shared); }); },
          nb::kw_only(), "shared"_a = false,
          "Lock the file (flock) without waiting; False where another open file has it locked.")
      .def("unlock", &Descriptor::unlock, "Drop its lock, if it has one.")
      .def(
          "locked_by_this_thread",
          [](const Descriptor& self) { return or_raise([&] { return self.locked_by_this_thread(); }); },
          "Whether the calling thread has this very file locked by any Descriptor.")
      .def("__enter__", &Descriptor::number)
      .def(
          "__exit__", [](Descriptor& self, nb::args) { self.close(); },
          nb::sig("def __exit__(self, *args: object) -> None"));
}

}  // namespace colonnade
