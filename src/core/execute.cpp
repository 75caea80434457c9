#include "execute.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "bitmap.h"
#include "kernels.h"
#include "threads.h"

namespace colonnade {
namespace {

// Large enough that a write's cost is its bytes, small enough that it is still in the second-level cache when written.
constexpr int64_t unit_bytes = 1 << 20;
// A unit starts at a multiple of this many rows, so that no two units share a byte, or a cache line, of a bitmap.
constexpr int64_t unit_row_step = 512;
// Columns that are interleaved in memory (a NumPy array of shape (rows, columns)) are cut short and taken in turn, so that
// the cache lines that one column brings in are still there for the next.
constexpr int64_t strided_unit_rows = 4096;
// Below this, starting a thread costs more than it saves.
constexpr int64_t threaded_bytes = 2 << 20;
constexpr int64_t line_bytes = 64;

struct Unit {
  int64_t job;
  int64_t row;
  int64_t count;
  int64_t piece;        // the one that `row` is in, counted from the job's first
  int64_t piece_start;  // the row of the job that it starts at
};

int64_t values_size(const Job& job, int64_t rows) {
  switch (job.values) {
    case Values::none: return 0;
    case Values::fixed: return rows * job.width;
    case Values::bits:
    case Values::bytes_to_bits: return (rows + 7) / 8;
    case Values::offsets32:
    case Values::offsets64: return rows * job.out_width;
  }
  return 0;
}

int64_t pandas_size(const Job& job, int64_t rows) {
  return job.pandas_buffer == PandasBuffer::none ? 0 : rows * width_of(job.pandas_element);
}

int64_t widest(const Job& job) {
  return std::max<int64_t>({1, job.width, values_size(job, 8) / 8, pandas_size(job, 1)});
}

// Whether the source has elements of `width` bytes, which are read in place or gathered.
bool has_elements(const Job& job) { return job.width > 0; }

bool is_strided(const Job& job, std::span<const Piece> pieces) {
  return has_elements(job) && job.piece_count == 1 && pieces[job.first_piece].stride != job.width;
}

std::vector<Unit> cut(std::span<const Job> jobs, std::span<const Piece> pieces) {
  std::vector<Unit> units;
  std::vector<Unit> strided;
  for (size_t j = 0; j < jobs.size(); ++j) {
    const Job& job = jobs[j];
    const bool interleaved = is_strided(job, pieces);
    int64_t rows = interleaved ? strided_unit_rows : unit_bytes / widest(job) / unit_row_step * unit_row_step;
    rows = std::max(rows, unit_row_step);
    int64_t piece = 0;
    int64_t piece_start = 0;
    for (int64_t row = 0; row < job.rows; row += rows) {
      while (row >= piece_start + pieces[job.first_piece + piece].length)
        piece_start += pieces[job.first_piece + piece++].length;
      (interleaved ? strided : units)
          .push_back({static_cast<int64_t>(j), row, std::min(rows, job.rows - row), piece, piece_start});
    }
  }
  std::stable_sort(strided.begin(), strided.end(), [](const Unit& a, const Unit& b) { return a.row < b.row; });
  units.insert(units.end(), strided.begin(), strided.end());
  return units;
}

// What one thread needs besides its unit; grows to the largest unit it meets.
struct Scratch {
  std::vector<char> outputs;
  std::vector<char> elements;
  std::vector<uint64_t> validity_bits;
  std::vector<uint64_t> boolean_bits;
};

class UnitRun {
 public:
  UnitRun(const Job& job, std::span<const Piece> pieces, const Sink& sink, Scratch& scratch, bool streams)
      : job_(job),
        pieces_(pieces.subspan(job.first_piece, job.piece_count)),
        sink_(sink),
        scratch_(scratch),
        kernels_(kernels()),
        streams_(streams) {}

  // Returns 0 or an errno; adds to `found`.
  int operator()(const Unit& unit, Result& found) {
    const int64_t values = values_size(job_, unit.count);
    const int64_t bitmap = (unit.count + 7) / 8;
    const int64_t pandas_buffer = pandas_size(job_, unit.count);
    // Each part starts on a cache line of its own.
    const auto room = [](int64_t bytes) { return (bytes + 63) / 64 * 64; };
    if (sink_.to_file())
      scratch_.outputs.resize(room(values) + room(bitmap) + room(unit.count) + room(pandas_buffer));
    char* next = scratch_.outputs.data();
    const auto span = [&](int64_t at, int64_t start, int64_t size) {
      const Output made(sink_, at + start, at < 0 ? 0 : size, next);
      next += room(size);
      return made;
    };
    // Values that are written as they are go from the source to the file; staging them would be a copy for nothing.
    char* const as_they_are = sink_.to_file() ? unchanged_source(unit) : nullptr;
    const bool booleans = job_.values == Values::bits || job_.values == Values::bytes_to_bits;
    const Output values_out = as_they_are != nullptr
                                ? Output(sink_, job_.values_at + values_size(job_, unit.row), values, as_they_are)
                                : span(job_.values_at, values_size(job_, unit.row), values);
    const Output bitmap_out = span(job_.bitmap_at, unit.row / 8, bitmap);
    const Output mask_out = span(job_.mask_at, unit.row, unit.count);
    const Output pandas_out = span(job_.pandas_at, pandas_size(job_, unit.row), pandas_buffer);

    scratch_.validity_bits.resize(words_for(unit.count) + 1);
    scratch_.boolean_bits.resize(words_for(unit.count) + 1);
    scratch_.elements.resize(block_rows * std::max<int64_t>(job_.width, 1));

    const bool pandas_alone = job_.values_at < 0;
    for_each_run(unit, (pandas_alone ? pandas_out : values_out).begin(), [&](Run run, int64_t row) {
      run.elements = elements_of(run);
      run.prefetch = prefetch_of(run);
      uint64_t words[block_words];
      const bool at_once = as_they_are == nullptr && scans_as_it_copies(job_);
      const int64_t run_nulls = at_once ? kernels_.scan_fixed(run, words, values_out.begin() + row * job_.width)
                                        : kernels_.read_validity(run, words);
      found.nulls += run_nulls;
      if (job_.bitmap_at >= 0) append_bits(scratch_.validity_bits.data(), row, words, run.count);
      if (job_.mask_at >= 0) kernels_.write_bytes(words, run.count, true, streams_, mask_out.begin() + row);
      if (job_.values == Values::fixed && job_.values_at >= 0 && as_they_are == nullptr && !at_once)
        kernels_.write_fixed(run, words, run_nulls, values_out.begin() + row * job_.width);
      if (job_.values == Values::offsets32 || job_.values == Values::offsets64)
        kernels_.write_offsets(run, values_out.begin() + row * job_.out_width);
      if (booleans) {
        uint64_t bits[block_words];
        kernels_.read_booleans(run, words, bits);
        if (job_.values_at >= 0) append_bits(scratch_.boolean_bits.data(), row, bits, run.count);
        if (job_.pandas_buffer == PandasBuffer::bytes) kernels_.write_bytes(bits, run.count, false, streams_, pandas_out.begin() + row);
      } else if (job_.pandas_buffer != PandasBuffer::none) {
        found.overflows |= kernels_.write_pandas_buffer(run, words, pandas_out.begin() + pandas_size(job_, row));
      }
    });

    if (job_.bitmap_at >= 0) put_bits(scratch_.validity_bits, unit.count, bitmap_out.begin());
    if (booleans && job_.values_at >= 0) put_bits(scratch_.boolean_bits, unit.count, values_out.begin());
    for (const Output& out : {values_out, bitmap_out, mask_out, pandas_out})
      if (const int error = out.flush(); error != 0) return error;
    return 0;
  }

 private:
  // Bits above `count` in the last byte are zero, as Arrow asks for.
  static void put_bits(std::vector<uint64_t>& words, int64_t count, char* out) {
    if (count % word_bits != 0) words[count / word_bits] &= low_bits(count % word_bits);
    std::memcpy(out, words.data(), (count + 7) / 8);
  }

  // The unit's elements, where they stand together in one piece and no null slot of theirs needs a fill; else nullptr.
  char* unchanged_source(const Unit& unit) const {
    if (job_.values != Values::fixed || job_.values_at < 0) return nullptr;
    int64_t start = 0;
    for (const Piece& piece : pieces_) {
      if (unit.row < start + piece.length) {
        const bool together = unit.row + unit.count <= start + piece.length && piece.stride == job_.width;
        const bool separate = job_.validity == Validity::bits || job_.validity == Validity::mask;
        const bool filled = separate ? piece.validity != 0 : job_.validity == Validity::negative;
        if (!together || filled) return nullptr;
        return reinterpret_cast<char*>(piece.values) + (piece.offset + unit.row - start) * job_.width;
      }
      start += piece.length;
    }
    return nullptr;
  }

  const char* elements_of(const Run& run) {
    if (!has_elements(job_)) return nullptr;
    const char* first =
        reinterpret_cast<const char*>(run.piece.values) + (run.piece.offset + run.row) * run.piece.stride;
    if (run.piece.stride == job_.width) return first;
    kernels_.gather(first, run.piece.stride, job_.width, run.count, scratch_.elements.data());
    return scratch_.elements.data();
  }

  const char* first_of(const Piece& piece) const {
    return reinterpret_cast<const char*>(piece.values) + piece.offset * piece.stride;
  }

  // Where the run's piece ends, and where the next one starts; the last goes on where it ends.
  Prefetch prefetch_of(const Run& run) const {
    if (run.piece.stride != job_.width) return {};
    const char* const end = first_of(run.piece) + run.piece.length * job_.width;
    const bool is_last = &run.piece == &pieces_.back();
    return {end, is_last ? end : first_of(*(&run.piece + 1))};
  }

  // The unit's rows as runs that neither cross a piece nor exceed a block; `visit` gets the row within the unit. The first
  // run of a piece ends where the output begins a cache line, so that the others write whole lines.
  template <class Visit>
  void for_each_run(const Unit& unit, const char* output, Visit visit) {
    const int64_t width = job_.values_at < 0 ? pandas_size(job_, 1) : values_size(job_, 8) / 8;
    int64_t row = unit.row;
    int64_t piece_start = unit.piece_start;
    for (int64_t p = unit.piece; row < unit.row + unit.count; ++p) {
      const Piece& piece = pieces_[p];
      const int64_t end = std::min(unit.row + unit.count, piece_start + piece.length);
      while (row < end) {
        int64_t count = block_rows;
        if (streams_ && width > 0 && line_bytes % width == 0)
          count -= static_cast<int64_t>((reinterpret_cast<uintptr_t>(output) + (row - unit.row) * width) % line_bytes) / width;
        count = std::min(count, end - row);
        visit(Run{job_, piece, row - piece_start, count, nullptr, {}, streams_}, row - unit.row);
        row += count;
      }
      piece_start += piece.length;
    }
  }

  const Job& job_;
  std::span<const Piece> pieces_;
  const Sink& sink_;
  Scratch& scratch_;
  const Kernels& kernels_;
  const bool streams_;
};

}  // namespace

std::array<Extent, 4> outputs_of(const Job& job) {
  return {Extent{job.values_at, values_size(job, job.rows)}, Extent{job.bitmap_at, (job.rows + 7) / 8},
          Extent{job.mask_at, job.rows}, Extent{job.pandas_at, pandas_size(job, job.rows)}};
}

int execute(std::span<const Job> jobs, std::span<const Piece> pieces, const Sink& sink, int threads, Result* found,
            int64_t stream_from) {
  const std::vector<Unit> units = cut(jobs, pieces);
  int64_t read = 0;
  int64_t written = 0;
  for (const Job& job : jobs) {
    read += job.rows * std::max<int64_t>(job.width, 1);
    for (const Extent& output : outputs_of(job)) written += output.at < 0 ? 0 : output.size;
  }
  if (std::max(read, written) < threaded_bytes) threads = 1;
  const bool streams = !sink.to_file() && written >= stream_from;

  std::vector<std::atomic<int64_t>> nulls(jobs.size());
  std::vector<std::atomic<int64_t>> overflows(jobs.size());
  std::atomic<size_t> next{0};
  std::atomic<int> error{0};
  const auto work = [&](size_t) {
    Scratch scratch;
    for (size_t u = next++; u < units.size() && error == 0; u = next++) {
      const Unit& unit = units[u];
      Result here{};
      int expected = 0;
      int failed = 0;
      try {
        failed = UnitRun(jobs[unit.job], pieces, sink, scratch, streams)(unit, here);
      } catch (const std::bad_alloc&) {
        failed = ENOMEM;
      }
      if (failed != 0) error.compare_exchange_strong(expected, failed);
      nulls[unit.job] += here.nulls;
      overflows[unit.job] |= here.overflows;
    }
    kernels().finish();
  };
  run_on_threads(std::min<size_t>(std::max(threads, 1), std::max<size_t>(units.size(), 1)), work);
  for (size_t j = 0; j < jobs.size(); ++j) {
    found[j].nulls += nulls[j];
    found[j].overflows |= overflows[j];
  }
  return error;
}

}  // namespace colonnade
