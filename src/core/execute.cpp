#include "execute.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <vector>

#include "bitmap.h"
#include "kernels.h"
#include "threads.h"

namespace colonnade {
namespace {

// Large enough that the cost of a write is its bytes, small enough that a unit is still in the second-level cache when
// it is written.
constexpr int64_t unit_bytes = 1 << 20;
// A unit starts at a multiple of this many rows, so that no two units share a byte, or a cache line, of a bitmap.
constexpr int64_t unit_row_step = 512;
// Columns that are interleaved in memory (a NumPy array of shape (rows, columns)) are cut into short units that take
// turns: the cache lines that one column reads are then still there for the next.
constexpr int64_t strided_unit_rows = 4096;
// Below these, to start a thread costs more than it saves. In memory, two threads and one took 1.1 and 0.4 ms for 8 MB,
// 1.9 and 1.5 ms for 32 MB, 3.2 and 3.2 ms for 64 MB; a write to a file works longer for each byte.
constexpr int64_t threaded_file_bytes = 2 << 20;
constexpr int64_t threaded_memory_bytes = 32 << 20;
constexpr int64_t line_bytes = 64;

constexpr int64_t whole_lines(int64_t bytes) { return (bytes + line_bytes - 1) / line_bytes * line_bytes; }

struct Unit {
  int64_t job;
  int64_t row;
  int64_t count;
  int64_t piece;        // the one that contains `row`, counted from the job's first
  int64_t piece_start;  // the row of the job that it starts at
};

int64_t widest(const Job& job) {
  return std::max<int64_t>({1, job.width, values_size(job, 8) / 8, pandas_size(job, 1)});
}

std::span<const Piece> pieces_of(const Plan& plan, const Job& job) {
  return std::span(plan.pieces).subspan(job.first_piece, job.piece_count);
}

bool is_gathered(const Job& job, const Piece& piece) { return reads_elements(job) && piece.stride != job.width; }

bool is_strided(const Plan& plan, const Job& job) {
  return job.piece_count == 1 && is_gathered(job, plan.pieces[job.first_piece]);
}

int64_t rows_of_unit(const Plan& plan, const Job& job) {
  if (is_strided(plan, job)) return strided_unit_rows;
  return std::max(unit_bytes / widest(job) / unit_row_step * unit_row_step, unit_row_step);
}

std::vector<Unit> cut(const Plan& plan) {
  std::vector<Unit> units;
  std::vector<Unit> strided_units;
  for (size_t number = 0; number < plan.jobs.size(); ++number) {
    const Job& job = plan.jobs[number];
    const int64_t rows = rows_of_unit(plan, job);
    std::vector<Unit>& mine = is_strided(plan, job) ? strided_units : units;
    const std::span<const Piece> pieces = pieces_of(plan, job);
    int64_t piece = 0;
    int64_t piece_start = 0;
    for (int64_t row = 0; row < job.rows; row += rows) {
      while (row >= piece_start + pieces[piece].length) piece_start += pieces[piece++].length;
      mine.push_back({static_cast<int64_t>(number), row, std::min(rows, job.rows - row), piece, piece_start});
    }
  }
  std::stable_sort(strided_units.begin(), strided_units.end(),
                   [](const Unit& a, const Unit& b) { return a.row < b.row; });
  units.insert(units.end(), strided_units.begin(), strided_units.end());
  return units;
}

// The bytes of outputs that a unit stages before they are written to a file; each part starts on a cache line of its
// own.
int64_t staged_bytes(const Job& job, int64_t rows) {
  return whole_lines(values_size(job, rows)) + whole_lines((rows + 7) / 8) + whole_lines(rows) +
         whole_lines(pandas_size(job, rows));
}

// Memory that a thread needs besides its unit: enough for the largest unit of the plan. It is allocated before the
// threads start, because they cannot report that there is none.
class Scratch {
 public:
  struct Sizes {
    int64_t outputs = 0;
    int64_t elements = 0;
    int64_t words = 0;
  };

  static Sizes sizes_for(const Plan& plan, const Sink& sink) {
    Sizes sizes;
    for (const Job& job : plan.jobs) {
      const int64_t rows = std::min(rows_of_unit(plan, job), job.rows);
      const auto needs_gather = [&](const Piece& piece) { return is_gathered(job, piece); };
      if (sink.to_file()) sizes.outputs = std::max(sizes.outputs, staged_bytes(job, rows));
      if (std::ranges::any_of(pieces_of(plan, job), needs_gather))
        sizes.elements = std::max(sizes.elements, std::min(rows, block_rows) * job.width);
      sizes.words = std::max(sizes.words, words_for(rows) + 1);
    }
    return sizes;
  }

  explicit Scratch(const Sizes& sizes)
      : outputs(std::make_unique_for_overwrite<char[]>(sizes.outputs)),
        elements(std::make_unique_for_overwrite<char[]>(sizes.elements)),
        validity_bits(std::make_unique_for_overwrite<uint64_t[]>(sizes.words)),
        boolean_bits(std::make_unique_for_overwrite<uint64_t[]>(sizes.words)) {}

  std::unique_ptr<char[]> outputs;
  std::unique_ptr<char[]> elements;
  std::unique_ptr<uint64_t[]> validity_bits;
  std::unique_ptr<uint64_t[]> boolean_bits;
};

// One unit of one job. The job decides once which steps there are; each run of rows then goes through them in order.
class UnitRun {
 public:
  UnitRun(const Plan& plan, const Unit& unit, const Sink& sink, Scratch& scratch, bool streams)
      : job_(plan.jobs[unit.job]),
        pieces_(pieces_of(plan, job_)),
        unit_(unit),
        sink_(sink),
        scratch_(scratch),
        kernels_(kernels()),
        streams_(streams),
        plain_source_(sink.to_file() ? unchanged_source() : nullptr) {
    open_outputs();
    choose_steps();
  }

  // Returns 0 or an errno, and adds to `result`.
  int operator()(Result& result) {
    Block block;
    for_each_run([&](const Run& run, int64_t row) {
      block.run = run;
      block.row = row;
      block.nulls = 0;
      for (int64_t i = 0; i < step_count_; ++i) (this->*steps_[i])(block);
      result.nulls += block.nulls;
      result.overflows |= block.overflows;
    });
    finish_bits();
    for (const Output& output : {values_, bitmap_, mask_, pandas_})
      if (const int error = output.flush(); error != 0) return error;
    return 0;
  }

 private:
  // A run of rows on its way through the steps.
  struct Block {
    Run run;
    int64_t row = 0;              // of the unit
    uint64_t valid[block_words];  // its validity, 1 is valid
    int64_t nulls = 0;
    uint64_t booleans[block_words];
    bool overflows = false;
  };
  using Step = void (UnitRun::*)(Block&);

  // -- steps ---------------------------------------------------------------------------------------------------------

  void read_validity(Block& block) { block.nulls = kernels_.read_validity(block.run, block.valid); }
  // Values that contain their nulls and stay as they are: one pass copies them and reads their validity.
  void copy_and_read_validity(Block& block) {
    block.nulls = kernels_.scan_fixed(block.run, block.valid, values_.begin() + block.row * job_.width);
  }
  void keep_validity(Block& block) {
    append_bits(scratch_.validity_bits.get(), block.row, block.valid, block.run.count);
  }
  void write_mask(Block& block) {
    kernels_.write_bytes(block.valid, block.run.count, true, streams_, mask_.begin() + block.row);
  }
  void write_values(Block& block) {
    kernels_.write_fixed(block.run, block.valid, block.nulls, values_.begin() + block.row * job_.width);
  }
  void check_indices(Block& block) { block.overflows |= kernels_.check_indices(block.run, block.valid); }
  void write_offsets(Block& block) { kernels_.write_offsets(block.run, values_.begin() + block.row * job_.out_width); }
  void read_booleans(Block& block) { kernels_.read_booleans(block.run, block.valid, block.booleans); }
  void keep_booleans(Block& block) {
    append_bits(scratch_.boolean_bits.get(), block.row, block.booleans, block.run.count);
  }
  void write_boolean_bytes(Block& block) {
    kernels_.write_bytes(block.booleans, block.run.count, false, streams_, pandas_.begin() + block.row);
  }
  void write_pandas_buffer(Block& block) {
    block.overflows |=
        kernels_.write_pandas_buffer(block.run, block.valid, pandas_.begin() + pandas_size(job_, block.row));
  }

  void choose_steps() {
    const bool copies = is_fixed(job_) && plain_source_ == nullptr;
    const bool in_one_pass = copies && scans_as_it_copies(job_);
    const bool pandas = job_.pandas_buffer != PandasBuffer::none;
    add(true, in_one_pass ? &UnitRun::copy_and_read_validity : &UnitRun::read_validity);
    add(job_.bitmap_at >= 0, &UnitRun::keep_validity);
    add(job_.mask_at >= 0, &UnitRun::write_mask);
    add(copies && !in_one_pass, &UnitRun::write_values);
    add(job_.values == Values::indices, &UnitRun::check_indices);
    add(is_offsets(job_), &UnitRun::write_offsets);
    add(is_boolean(job_), &UnitRun::read_booleans);
    add(is_boolean(job_) && job_.values_at >= 0, &UnitRun::keep_booleans);
    add(is_boolean(job_) && pandas, &UnitRun::write_boolean_bytes);
    add(!is_boolean(job_) && pandas, &UnitRun::write_pandas_buffer);
  }

  void add(bool condition, Step step) {
    if (condition) steps_[step_count_++] = step;
  }

  // -- outputs -------------------------------------------------------------------------------------------------------

  void open_outputs() {
    char* buffer = scratch_.outputs.get();
    const auto open = [&](int64_t at, int64_t start, int64_t size) {
      const Output output(sink_, at + start, at < 0 ? 0 : size, buffer);
      if (sink_.to_file()) buffer += whole_lines(size);
      return output;
    };
    const int64_t start = values_size(job_, unit_.row);
    const int64_t size = values_size(job_, unit_.count);
    // Values that stay as they are go from the source to the file: to stage them would be a second copy.
    values_ = plain_source_ != nullptr ? Output(sink_, job_.values_at + start, size, plain_source_)
                                       : open(job_.values_at, start, size);
    bitmap_ = open(job_.bitmap_at, unit_.row / 8, (unit_.count + 7) / 8);
    mask_ = open(job_.mask_at, unit_.row, unit_.count);
    pandas_ = open(job_.pandas_at, pandas_size(job_, unit_.row), pandas_size(job_, unit_.count));
  }

  void finish_bits() {
    if (job_.bitmap_at >= 0) put_bits(scratch_.validity_bits.get(), bitmap_.begin());
    if (is_boolean(job_) && job_.values_at >= 0) put_bits(scratch_.boolean_bits.get(), values_.begin());
  }

  // Bits above the unit's last row are zero, as Arrow asks for.
  void put_bits(uint64_t* words, char* out) const {
    const int64_t count = unit_.count;
    if (count % word_bits != 0) words[count / word_bits] &= low_bits(count % word_bits);
    std::memcpy(out, words, (count + 7) / 8);
  }

  // -- source --------------------------------------------------------------------------------------------------------

  // The unit's elements, if they are contiguous in one piece and no null slot of theirs needs a fill; else nullptr.
  char* unchanged_source() const {
    if (!is_fixed(job_)) return nullptr;
    const Piece& piece = pieces_[unit_.piece];
    const bool is_contiguous =
        unit_.row + unit_.count <= unit_.piece_start + piece.length && piece.stride == job_.width;
    const bool is_separate = job_.validity == Validity::bits || job_.validity == Validity::mask;
    const bool needs_fill = is_separate ? piece.validity != 0 : job_.validity == Validity::negative;
    if (!is_contiguous || needs_fill) return nullptr;
    return reinterpret_cast<char*>(piece.values) + (piece.offset + unit_.row - unit_.piece_start) * job_.width;
  }

  const char* first_of(const Piece& piece) const {
    return reinterpret_cast<const char*>(piece.values) + piece.offset * piece.stride;
  }

  const char* elements_of(const Piece& piece, int64_t row, int64_t count) {
    if (!reads_elements(job_)) return nullptr;
    const char* const first = first_of(piece) + row * piece.stride;
    if (!is_gathered(job_, piece)) return first;
    kernels_.gather(first, piece.stride, job_.width, count, scratch_.elements.get());
    return scratch_.elements.get();
  }

  // Where the piece ends, and where the next one starts; the last goes on where it ends.
  Prefetch prefetch_of(const Piece& piece) const {
    if (piece.stride != job_.width) return {};
    const char* const end = first_of(piece) + piece.length * job_.width;
    const bool is_last = &piece == &pieces_.back();
    return {end, is_last ? end : first_of(*(&piece + 1))};
  }

  // The unit's rows as runs that neither cross a piece nor exceed a block; `visit` gets the row within the unit. The
  // first run of a piece ends where the output begins a cache line, so that the others write whole lines.
  template <class Visit>
  void for_each_run(const Visit& visit) {
    const bool is_written = job_.values_at >= 0;
    const int64_t width = is_written ? values_size(job_, 8) / 8 : pandas_size(job_, 1);
    const auto output = reinterpret_cast<uintptr_t>((is_written ? values_ : pandas_).begin());
    const bool in_lines = streams_ && width > 0 && line_bytes % width == 0;
    int64_t row = unit_.row;
    int64_t piece_start = unit_.piece_start;
    for (int64_t number = unit_.piece; row < unit_.row + unit_.count; ++number) {
      const Piece& piece = pieces_[number];
      const int64_t end = std::min(unit_.row + unit_.count, piece_start + piece.length);
      while (row < end) {
        int64_t count = block_rows;
        if (in_lines) count -= static_cast<int64_t>((output + (row - unit_.row) * width) % line_bytes) / width;
        count = std::min(count, end - row);
        const int64_t in_piece = row - piece_start;
        visit(Run{&job_, &piece, in_piece, count, elements_of(piece, in_piece, count), prefetch_of(piece), streams_},
              row - unit_.row);
        row += count;
      }
      piece_start += piece.length;
    }
  }

  const Job& job_;
  const std::span<const Piece> pieces_;
  const Unit& unit_;
  const Sink& sink_;
  Scratch& scratch_;
  const Kernels& kernels_;
  const bool streams_;
  char* const plain_source_;
  Output values_;
  Output bitmap_;
  Output mask_;
  Output pandas_;
  std::array<Step, 10> steps_{};
  int64_t step_count_ = 0;
};

// The bytes that are read or written, whichever are more; and those that are written.
std::pair<int64_t, int64_t> bytes_of(const Plan& plan) {
  int64_t read = 0;
  int64_t bytes_written = 0;
  for (const Job& job : plan.jobs) {
    read += job.rows * std::max<int64_t>(job.width, 1);
    for (const Extent& output : outputs_of(job)) bytes_written += output.at < 0 ? 0 : output.size;
  }
  return {std::max(read, bytes_written), bytes_written};
}

}  // namespace

int execute(const Plan& plan, const Sink& sink, int threads, std::span<Result> results, int64_t stream_from) {
  const std::vector<Unit> units = cut(plan);
  const auto [moved, bytes_written] = bytes_of(plan);
  if (moved < (sink.to_file() ? threaded_file_bytes : threaded_memory_bytes)) threads = 1;
  const bool streams = !sink.to_file() && bytes_written >= stream_from;
  const size_t workers = std::min<size_t>(std::max(threads, 1), std::max<size_t>(units.size(), 1));

  const Scratch::Sizes sizes = Scratch::sizes_for(plan, sink);
  std::vector<Scratch> scratch;
  scratch.reserve(workers);
  for (size_t worker = 0; worker < workers; ++worker) scratch.emplace_back(sizes);
  std::vector<std::atomic<int64_t>> nulls(plan.jobs.size());
  std::vector<std::atomic<int64_t>> overflows(plan.jobs.size());
  std::atomic<size_t> next{0};
  std::atomic<int> error{0};
  // Nothing in it allocates: see Scratch.
  const auto work = [&](size_t worker) noexcept {
    for (size_t u = next++; u < units.size() && error == 0; u = next++) {
      const Unit& unit = units[u];
      Result result{};
      int none = 0;
      if (const int failure = UnitRun(plan, unit, sink, scratch[worker], streams)(result); failure != 0)
        error.compare_exchange_strong(none, failure);
      nulls[unit.job] += result.nulls;
      overflows[unit.job] |= result.overflows;
    }
    kernels().finish();
  };
  run_on_threads(workers, work);
  for (size_t number = 0; number < results.size(); ++number) {
    results[number].nulls += nulls[number];
    results[number].overflows |= overflows[number];
  }
  return error;
}

}  // namespace colonnade
