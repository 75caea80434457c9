// Jobs that write to the arrays of one call: those of imported columns, and those of arrays.
#include "bindings.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "arrow_stream.h"
#include "execute.h"
#include "plan.h"

namespace colonnade {
namespace {

using JobTable = nb::ndarray<const int64_t, nb::shape<-1, field_count<job_fields>>, nb::c_contig, nb::device::cpu>;

// Runs jobs of columns into writable arrays of any type.
std::vector<Result> move_columns(std::span<const std::span<const Piece>> columns, const JobTable& jobs,
                                 const Items<nb::object>& outputs, int64_t rows, int threads, int64_t stream_from) {
  const std::vector<nb::object> arrays = outputs.get();
  std::vector<std::unique_ptr<BufferView>> views;
  std::vector<Stretch> stretches;
  views.reserve(arrays.size());
  stretches.reserve(arrays.size());
  for (const nb::object& output : arrays) {
    const Py_buffer& view = views.emplace_back(std::make_unique<BufferView>(output, PyBUF_WRITABLE))->get();
    const auto first = reinterpret_cast<int64_t>(view.buf);
    stretches.emplace_back(first, first + view.len);
  }
  const Plan plan = place({jobs.data(), static_cast<int64_t>(jobs.shape(0))}, columns, rows, stretches);
  check(plan, std::move(stretches), Into::memory);
  std::vector<Result> results(plan.jobs.size());
  const int error = without_gil([&] { return execute(plan, Sink{}, threads_or_all(threads), results, stream_from); });
  if (error != 0) raise_os_error(error);
  return results;
}

// The numbers of the jobs that overflowed.
std::vector<int64_t> move_imported(const ImportedArrays& arrays, const JobTable& jobs, const Items<nb::object>& outputs,
                                   int64_t rows, int threads, int64_t stream_from) {
  std::vector<std::span<const Piece>> columns;
  columns.reserve(arrays.columns().size());
  for (const ImportedArrays::Column& column : arrays.columns()) columns.emplace_back(column.pieces);
  const std::vector<Result> results = move_columns(columns, jobs, outputs, rows, threads, stream_from);
  std::vector<int64_t> overflows;
  for (size_t number = 0; number < results.size(); ++number)
    if (results[number].overflows != 0) overflows.push_back(static_cast<int64_t>(number));
  return overflows;
}

// Nulls and overflows of each job that reads an array, which may be strided, and perhaps a byte mask.
std::vector<std::pair<int64_t, bool>> move_arrays(const Items<std::pair<nb::object, nb::object>>& sources,
                                                  const JobTable& jobs, const Items<nb::object>& outputs, int64_t rows,
                                                  int threads) {
  std::vector<std::unique_ptr<BufferView>> views;
  std::vector<Piece> pieces;
  std::vector<std::span<const Piece>> columns;
  const std::vector<std::pair<nb::object, nb::object>> arrays = sources.get();
  views.reserve(2 * arrays.size());
  pieces.reserve(arrays.size());
  columns.reserve(arrays.size());
  for (const auto& [values, mask] : arrays) {
    const Py_buffer& view = views.emplace_back(std::make_unique<BufferView>(values, PyBUF_STRIDES))->get();
    if (view.ndim != 1 || view.shape[0] != rows) throw nb::value_error("an array has another number of rows");
    Piece& piece = pieces.emplace_back();
    piece.values = reinterpret_cast<int64_t>(view.buf);
    piece.stride = view.strides[0];
    piece.length = rows;
    if (!mask.is_none()) {
      const Py_buffer& bytes = views.emplace_back(std::make_unique<BufferView>(mask, PyBUF_SIMPLE))->get();
      if (bytes.len != rows) throw nb::value_error("a mask has another number of rows");
      piece.validity = reinterpret_cast<int64_t>(bytes.buf);
    }
    columns.emplace_back(&piece, 1);
  }
  std::vector<std::pair<int64_t, bool>> counts;
  for (const Result& result : move_columns(columns, jobs, outputs, rows, threads, streamed_bytes))
    counts.emplace_back(result.nulls, result.overflows != 0);
  return counts;
}

}  // namespace

void bind_moves(nb::module_& m) {
  m.def("move_columns", &move_imported, "arrays"_a, "jobs"_a, "outputs"_a, "rows"_a, "threads"_a = 0,
        "stream_from"_a = streamed_bytes,
        "Run jobs (shape (jobs, 16)) of imported columns into writable arrays; returns the numbers of the jobs that "
        "overflowed.\n\nThe ``first_piece`` of a job is the number of its column, and its places are ``output << 32 | "
        "row``, or -1.");
  m.def("move_arrays", &move_arrays, "sources"_a, "jobs"_a, "outputs"_a, "rows"_a, "threads"_a = 0,
        "Run jobs (shape (jobs, 16)) of arrays into writable arrays; returns the nulls of each job, and whether it "
        "overflowed.\n\n``sources`` are an array of shape (rows,), and a contiguous mask of bytes or None. Places are "
        "those of `move_columns`.");
}

}  // namespace colonnade
