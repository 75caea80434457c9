// The only file that knows Python and nanobind. It checks what Python hands over, releases the GIL, and calls the core.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <sched.h>

#include <string>
#include <vector>

#include "execute.h"
#include "mapping.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace colonnade {
namespace {

using JobTable = nb::ndarray<const int64_t, nb::shape<-1, 15>, nb::c_contig, nb::device::cpu>;
using PieceTable = nb::ndarray<const int64_t, nb::shape<-1, 6>, nb::c_contig, nb::device::cpu>;
using NullCounts = nb::ndarray<int64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;

// The processors this process may use, which in a container are fewer than the machine has.
int available_threads() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

[[noreturn]] void raise_os_error(int error) {
  errno = error;
  PyErr_SetFromErrno(PyExc_OSError);
  throw nb::python_error();
}

void map_file(Mapping* self, int fd, size_t size, bool writable) {
  try {
    new (self) Mapping(fd, size, writable);
  } catch (const std::system_error& failed) {
    raise_os_error(failed.code().value());
  }
}

void check_plan(std::span<const Job> jobs, std::span<const Piece> pieces, int64_t size) {
  for (size_t j = 0; j < jobs.size(); ++j) {
    const Job& job = jobs[j];
    const auto fail = [j](const char* what) {
      throw nb::value_error(("job " + std::to_string(j) + ": " + what).c_str());
    };
    const int64_t piece_count = static_cast<int64_t>(pieces.size());
    if (job.first_piece < 0 || job.piece_count < 0 || job.first_piece > piece_count - job.piece_count)
      fail("its pieces are not in the table of pieces");
    int64_t rows = 0;
    for (const Piece& piece : pieces.subspan(job.first_piece, job.piece_count)) {
      if (piece.length < 0 || piece.offset < 0) fail("a piece has a negative length or offset");
      rows += piece.length;
    }
    if (rows != job.rows) fail("its pieces do not add up to its rows");
    if (!outputs_fit(job, size)) fail("an output stands outside of the segment");
  }
}

int run(std::span<const Job> jobs, std::span<const Piece> pieces, const Sink& sink, int threads, NullCounts& counts) {
  if (counts.shape(0) != jobs.size()) throw nb::value_error("one null count a job is needed");
  nb::gil_scoped_release release;
  return execute(jobs, pieces, sink, threads > 0 ? threads : available_threads(), counts.data());
}

std::span<const Job> jobs_of(const JobTable& table) {
  return {reinterpret_cast<const Job*>(table.data()), table.shape(0)};
}

std::span<const Piece> pieces_of(const PieceTable& table) {
  return {reinterpret_cast<const Piece*>(table.data()), table.shape(0)};
}

void write_file(JobTable jobs, PieceTable pieces, NullCounts counts, int fd, int64_t size, int threads) {
  check_plan(jobs_of(jobs), pieces_of(pieces), size);
  const int error = run(jobs_of(jobs), pieces_of(pieces), Sink{nullptr, fd}, threads, counts);
  if (error != 0) {
    raise_os_error(error);
  }
}

void write_memory(JobTable jobs, PieceTable pieces, NullCounts counts,
                  nb::ndarray<uint8_t, nb::shape<-1>, nb::c_contig, nb::device::cpu> memory, int threads) {
  check_plan(jobs_of(jobs), pieces_of(pieces), static_cast<int64_t>(memory.shape(0)));
  const int error = run(jobs_of(jobs), pieces_of(pieces), Sink{reinterpret_cast<char*>(memory.data()), -1}, threads, counts);
  if (error != 0) throw std::bad_alloc();  // memory has no other way to fail
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  const Mapping* mapping = nb::inst_ptr<Mapping>(nb::handle(self));
  return PyBuffer_FillInfo(view, self, mapping->address(), static_cast<Py_ssize_t>(mapping->size()),
                           mapping->writable() ? 0 : 1, flags);
}

PyType_Slot mapping_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)}, {0, nullptr}};

}  // namespace

NB_MODULE(_core, m) {
  // A frame that is still held when the interpreter ends keeps its mapping, as it should: the kernel unmaps it.
  nb::set_leak_warnings(false);
  m.doc() = "Moves bytes. Python decides which.";
  nb::class_<Mapping>(m, "Mapping", nb::type_slots(mapping_slots),
                      "A file's bytes, mapped; gives them by the buffer protocol and keeps no descriptor.\n\n"
                      "``writable``: private to this mapping, copied page by page on the first store.")
      .def("__init__", &map_file, "fd"_a, "size"_a, "writable"_a)
      .def("__len__", &Mapping::size)
      .def_prop_ro("address", [](const Mapping& m) { return reinterpret_cast<uintptr_t>(m.address()); })
      .def_prop_ro("writable", &Mapping::writable);
  m.def("write_file", &write_file, "jobs"_a, "pieces"_a, "null_counts"_a, "fd"_a, "size"_a, "threads"_a = 0,
        "Run a plan into a file of ``size`` bytes, with pwrite; ``null_counts`` (int64, one a job) is added to.\n\n"
        "Raises OSError with the errno of the first write that failed.");
  m.def("write_memory", &write_memory, "jobs"_a, "pieces"_a, "null_counts"_a, "memory"_a, "threads"_a = 0,
        "Run a plan into ``memory`` (uint8).");
  m.def("available_threads", &available_threads, "The processors this process may use.");
}

}  // namespace colonnade
