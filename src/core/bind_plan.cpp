// Plans: tables of jobs and pieces from Python, and their results.
#include "bindings.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "execute.h"
#include "kernels.h"
#include "plan.h"

namespace colonnade {
namespace {

template <const auto& fields>
using TableOf = nb::ndarray<const int64_t, nb::shape<-1, field_count<fields>>, nb::c_contig, nb::device::cpu>;
using JobTable = TableOf<job_fields>;
using PieceTable = TableOf<piece_fields>;
using Bytes = nb::ndarray<uint8_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;

template <const auto& fields>
std::vector<std::string> names_of() {
  return std::apply([](const auto&... field) { return std::vector<std::string>{field.name...}; }, fields);
}

Plan decode_tables(const JobTable& jobs, const PieceTable& pieces) {
  return decode({jobs.data(), static_cast<int64_t>(jobs.shape(0))},
                {pieces.data(), static_cast<int64_t>(pieces.shape(0))});
}

NewArray<-1, field_count<result_fields>> run(const Plan& plan, const Sink& sink, int threads, int64_t stream_from) {
  std::vector<Result> results(plan.jobs.size());
  std::vector<int64_t> numbers;
  numbers.reserve(results.size() * field_count<result_fields>);
  const int error = without_gil([&] { return execute(plan, sink, threads_or_all(threads), results, stream_from); });
  if (error != 0) raise_os_error(error);
  for (const Result& result : results) append_fields<result_fields>(numbers, result);
  return new_array<-1, field_count<result_fields>>(std::move(numbers), {results.size(), field_count<result_fields>});
}

auto write_file(const JobTable& jobs, const PieceTable& pieces, int fd, int64_t size, int threads) {
  if (fd < 0) raise_os_error(EBADF);
  const Plan plan = decode_tables(jobs, pieces);
  check(plan, {{0, size}}, Into::file);
  return run(plan, Sink{fd}, threads, streamed_bytes);
}

auto write_memory(const JobTable& jobs, const PieceTable& pieces, const Items<Bytes>& outputs, int threads,
                  int64_t stream_from) {
  std::vector<Stretch> stretches;
  const std::vector<Bytes> arrays = outputs.get();
  stretches.reserve(arrays.size());
  for (const Bytes& output : arrays) {
    const auto first = reinterpret_cast<int64_t>(output.data());
    stretches.emplace_back(first, first + static_cast<int64_t>(output.shape(0)));
  }
  const Plan plan = decode_tables(jobs, pieces);
  check(plan, std::move(stretches), Into::memory);
  return run(plan, Sink{}, threads, stream_from);
}

// Names, and no enumerations of nanobind: making one runs Python code while the module is imported, and an interrupt of
// that code would end the process (nanobind's enum_create).
std::map<std::string, std::vector<std::string>> enumerators() {
  const auto names = [](const auto& list) { return std::vector<std::string>(list.begin(), list.end()); };
  return {{"Values", names(Names<Values>::list)},
          {"Validity", names(Names<Validity>::list)},
          {"PandasBuffer", names(Names<PandasBuffer>::list)},
          {"Element", names(Names<Element>::list)}};
}

}  // namespace

void bind_plan(nb::module_& m) {
  m.def("enumerators", &enumerators, "The names of each enumeration of a plan, in the order of their numbers from 0.");
  m.def("job_fields", &names_of<job_fields>, "The fields of a job, in the order of its table.");
  m.def("piece_fields", &names_of<piece_fields>, "The fields of a piece, in the order of its table.");
  m.def("result_fields", &names_of<result_fields>, "The fields of a result, in the order of its table.");
  m.def(
      "write_file", &write_file, "jobs"_a, "pieces"_a, "fd"_a, "size"_a, "threads"_a = 0,
      "Run a plan into a file of ``size`` bytes, with pwrite; returns the result of each job.\n\n"
      "Raises ValueError if the plan is inconsistent, OSError with the errno of a write that failed, and MemoryError.");
  m.def(
      "write_memory", &write_memory, "jobs"_a, "pieces"_a, "outputs"_a, "threads"_a = 0,
      "stream_from"_a = streamed_bytes,
      "Run a plan whose places are addresses inside of ``outputs`` (uint8 arrays); returns the result of each job.\n\n"
      "Outputs of ``stream_from`` bytes in all, or more, are written past the caches.\n"
      "Raises ValueError if the plan is inconsistent, and MemoryError.");
}

}  // namespace colonnade
