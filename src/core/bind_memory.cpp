// Memory: mappings of files, buffers of the pool, and the hash of any memory.
#include "bindings.h"

#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <new>
#include <span>
#include <string_view>
#include <tuple>
#include <vector>

#include "collapser.h"
#include "csv_rows.h"
#include "hash.h"
#include "mapping.h"
#include "pages.h"
#include "pool.h"

namespace colonnade {
namespace {

void map_file(Mapping* self, int fd, size_t size, bool writable) {
  or_raise([&] { new (self) Mapping(fd, size, writable ? Mapping::Kind::private_copy : Mapping::Kind::reading); });
}

Mapping* map_draft(int fd, size_t size) {
  return or_raise([&] { return new Mapping(fd, size, Mapping::Kind::writing); });
}

void abandon(Mapping& mapping) {
  or_raise([&] { mapping.abandon(); });
}

bool reserve_pages(const Mapping& mapping, int fd) {
  return without_gil([&] { return reserve(fd, mapping, available_threads()); });
}

bool reserve_part(const Mapping& mapping, int fd, size_t from, size_t to) {
  if (from > to || to > mapping.size() || from % huge_page != 0) throw nb::value_error("not a range of huge pages");
  return without_gil([&] { return reserve(fd, mapping, from, to, available_threads()); });
}

bool collapse(const Mapping& mapping) {
  return without_gil([&] { return mapping.collapse(available_threads()); });
}

bool populate(const Mapping& mapping) {
  return without_gil([&] { return mapping.populate(available_threads()); });
}

// It follows a commit, so nothing is raised.
void collapse_later(int fd) {
  without_gil([&] {
    try {
      Collapser::instance().add(fd);
    } catch (const std::bad_alloc&) {
      // No memory for the list of files: they stay as they are.
    }
  });
}

void detach(Mapping& mapping, int fd) {
  or_raise([&] { mapping.detach(fd); });
}

// Memory of the pool, for as long as Python refers to it or to a view of it.
class Buffer {
 public:
  explicit Buffer(size_t size) : memory_(Pool::instance().take(size)), size_(size) {}
  ~Buffer() { Pool::instance().give(memory_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* address() const { return memory_.address; }
  size_t size() const { return size_; }
  bool writable() const { return true; }
  // Its memory, `fresh` if it was not touched yet. It counts as touched from now on.
  Pool::Memory take_fresh() {
    const Pool::Memory memory = memory_;
    memory_.fresh = false;
    return memory;
  }

 private:
  Pool::Memory memory_;
  size_t size_;
};

void touch(const Items<Buffer*>& buffers, int threads) {
  std::vector<Pool::Memory> fresh;
  const std::vector<Buffer*> all = buffers.get();
  fresh.reserve(all.size());
  for (Buffer* buffer : all)
    if (const Pool::Memory memory = buffer->take_fresh(); memory.fresh) fresh.push_back(memory);
  without_gil([&] { Pool::touch(fresh, threads_or_all(threads)); });
}

std::tuple<size_t, size_t, size_t, size_t> pool_usage() {
  const Pool::Usage usage = Pool::instance().usage();
  return {usage.idle_bytes, usage.idle_count, usage.live_bytes, usage.live_count};
}

template <class Memory>
int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  const Memory* memory = nb::inst_ptr<Memory>(nb::handle(self));
  return PyBuffer_FillInfo(view, self, memory->address(), static_cast<Py_ssize_t>(memory->size()),
                           memory->writable() ? 0 : 1, flags);
}

template <class Memory>
PyType_Slot buffer_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer<Memory>)}, {0, nullptr}};

// A view, and not an nb::ndarray: it takes memory of any kind, and read-only memory.
uint64_t hash_buffer(const nb::object& data, int threads) {
  const BufferView buffer(data, PyBUF_ANY_CONTIGUOUS);
  const std::span bytes{static_cast<const uint8_t*>(buffer.get().buf), static_cast<size_t>(buffer.get().len)};
  return without_gil([&] { return hash_bytes(bytes, threads_or_all(threads)); });
}

int64_t end_of_rows(const nb::object& text, int delimiter) {
  const BufferView buffer(text, PyBUF_SIMPLE);
  const std::string_view view{static_cast<const char*>(buffer.get().buf), static_cast<size_t>(buffer.get().len)};
  return without_gil([&] { return end_of_csv_rows(view, static_cast<char>(delimiter)); });
}

}  // namespace

void bind_memory(nb::module_& m) {
  nb::class_<Mapping>(
      m, "Mapping", nb::type_slots(buffer_slots<Mapping>), nb::is_weak_referenceable(),
      "The bytes of a file, mapped; gives them by the buffer protocol and keeps no descriptor.\n\n"
      "``writable``: private to this mapping, copied page by page on the first store. Threads may share "
      "a mapping and its views; ``detach`` must not run while another thread stores through one.")
      .def("__init__", &map_file, "fd"_a, "size"_a, "writable"_a)
      .def_static("of_draft", &map_draft, "fd"_a, "size"_a,
                  "Map a file whose pages are there: what is stored is stored in the file.")
      .def("reserve", &reserve_pages, "fd"_a,
           "Allocate all pages of the file, as huge pages with any contents; False if the kernel does not.")
      .def("reserve_part", &reserve_part, "fd"_a, "start"_a, "stop"_a,
           "The same of a range, which starts at a huge page and ends at one or with the file.")
      .def("collapse", &collapse, "Put the file's pages into huge pages; False if the kernel does not.")
      .def("populate", &populate,
           "Enter the file's pages into the page table at once, a draft's for writing; False if the kernel does not.")
      .def("detach", &detach, "fd"_a, "Make further stores private to this mapping; views of it stay where they are.")
      .def("abandon", &abandon,
           "Release the file's memory at once; views of it stay where they are, and contain zeros.")
      .def("__len__", &Mapping::size)
      .def_prop_ro("address", [](const Mapping& m) { return reinterpret_cast<uintptr_t>(m.address()); })
      .def_prop_ro("writable", &Mapping::writable);
  nb::class_<Buffer>(m, "Buffer", nb::type_slots(buffer_slots<Buffer>),
                     "Memory of the pool, by the buffer protocol; it returns to the pool with the last view of it.\n\n"
                     "Threads may share a buffer; as with any memory, a thread must not read what another one writes.")
      .def(nb::init<size_t>(), "size"_a)
      .def("__len__", &Buffer::size)
      .def_prop_ro("address", [](const Buffer& b) { return reinterpret_cast<uintptr_t>(b.address()); });
  m.def("touch", &touch, "buffers"_a, "threads"_a = 0, "Fault in the pages of buffers that were not touched yet.");
  m.def("pool_usage", &pool_usage, "(idle bytes, idle buffers, live bytes, live buffers).");
  m.def(
      "set_pool_limit", [](size_t bytes) { Pool::instance().set_limit(bytes); }, "bytes"_a,
      "Set how many bytes may stay idle; the rest is freed.");
  m.def("trim_pool", [] { return Pool::instance().trim(); }, "Free all idle buffers; returns their bytes.");
  m.def("page_size", &page_size, "The bytes of a page of memory.");
  m.def(
      "huge_pages_at_hand", [] { return without_gil([] { return huge_pages_at_hand(available_threads()); }); },
      "Whether the kernel makes huge pages quickly; the answer is remembered for some seconds.");
  m.def("collapse_later", &collapse_later, "fd"_a,
        "Put a file into huge pages on a thread of the core; not if it is not in memory, or where they are scarce.");
  m.def(
      "release_collapsing",
      [](dev_t device, ino_t inode) { without_gil([&] { Collapser::instance().release(device, inode); }); }, "device"_a,
      "inode"_a, "Close a file that waits for huge pages, after the step that it may be in.");
  m.def(
      "resume_collapsing", [] { without_gil([] { Collapser::instance().resume(); }); },
      "Continue after a fork, in the parent: the thread ends before it.");
  m.def(
      "collapsing", [] { return Collapser::instance().waiting(); },
      "The number of files that wait for huge pages, or are being put into them.");
  m.def("in_memory", &in_memory, "fd"_a, "Whether a file is in a file system that is memory (tmpfs).");
  m.def("end_of_csv_rows", &end_of_rows, "text"_a, "delimiter"_a,
        "Where the last row of CSV that ends in a buffer ends: 0 if none does.");
  m.def("hash_bytes", &hash_buffer, "data"_a, "threads"_a = 0,
        "Hash the memory of a contiguous buffer, of any number of axes, as fast as it can be read.\n\n"
        "XXH3 of 64 bits for up to 1 MiB, and XXH3 of the hashes of 1 MiB each for more: ``src/core/hash.h``. The same "
        "for\n"
        "any number of threads. Raises TypeError if ``data`` gives no buffer, BufferError if it is not contiguous "
        "(NumPy's\n"
        "arrays: ValueError).");
}

}  // namespace colonnade
