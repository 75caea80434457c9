// Decodes a plan from Python's tables and checks every field of it.
#include "plan.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace colonnade {
namespace {

constexpr int64_t most = std::numeric_limits<int64_t>::max();
// Arrow's widest fixed-size element.
constexpr int64_t most_width = std::numeric_limits<int32_t>::max();

[[noreturn]] void fail(size_t job, const std::string& what) {
  throw std::invalid_argument("job " + std::to_string(job) + ": " + what);
}

// False if the number is not an enumerator.
template <class Member>
bool set(Member& member, int64_t number) {
  if constexpr (std::is_enum_v<Member>) {
    if (number < 0 || number >= std::ssize(Names<Member>::list)) return false;
    member = static_cast<Member>(number);
  } else {
    member = number;
  }
  return true;
}

// Sets all fields of `row`; returns the name of one that cannot be set, or nullptr.
template <const auto& fields, class Row>
const char* set_fields(Row& row, const int64_t* numbers) {
  const char* wrong = nullptr;
  const auto set_one = [&](const auto& field) {
    if (!set(row.*field.member, *numbers++)) wrong = field.name;
  };
  std::apply([&](const auto&... field) { (set_one(field), ...); }, fields);
  return wrong;
}

bool is_inside(const Extent& output, const std::vector<Stretch>& in_order) {
  if (output.at == -1) return true;
  if (output.at < 0) return false;
  if (output.size == 0) return true;
  const auto after = std::upper_bound(in_order.begin(), in_order.end(), Stretch{output.at, most});
  if (after == in_order.begin()) return false;
  const auto& [first, last] = *std::prev(after);
  return output.at >= first && output.at <= last && output.size <= last - output.at;
}

bool is_width_of_integer(int64_t width) { return width == 1 || width == 2 || width == 4 || width == 8; }

// The width of the elements that the validity is read from; 0 if it is read from elsewhere, -1 if any integer's will
// do.
int64_t width_for(Validity validity) {
  switch (validity) {
    case Validity::nan16: return 2;
    case Validity::nan32: return 4;
    case Validity::nan64:
    case Validity::nat: return 8;
    case Validity::negative: return -1;
    case Validity::none:
    case Validity::bits:
    case Validity::mask: return 0;
  }
  return 0;
}

void check_values(size_t number, const Job& job) {
  if (job.width < 0 || job.width > most_width) fail(number, "width is out of range");
  switch (job.values) {
    case Values::none:
    case Values::fixed: break;
    case Values::bits:
    case Values::offsets32:
    case Values::offsets64:
      if (job.width != 0) fail(number, "width must be 0 for bits and offsets");
      break;
    case Values::bytes_to_bits:
      if (job.width != 1) fail(number, "width must be 1 for booleans of one byte");
      break;
    case Values::indices:
      if (is_float(job.element) || width_of(job.element) != job.width)
        fail(number, "indices need an integer element of their width");
      if (job.operand < 0) fail(number, "operand must be >= 0 for indices");
      break;
  }
  if (is_offsets(job) && job.out_width != 4 && job.out_width != 8) fail(number, "out_width must be 4 or 8 for offsets");
  const bool is_written = job.values_at != -1;
  if (job.values == Values::none && is_written) fail(number, "values_at is given, but there are no values");
  if ((is_fixed(job) || is_offsets(job)) && !is_written) fail(number, "values_at is missing");
  if (is_boolean(job) && !is_written && job.pandas_at == -1) fail(number, "values_at or pandas_at is missing");
}

void check_validity(size_t number, const Job& job) {
  const int64_t width = width_for(job.validity);
  if (width > 0 && job.width != width) fail(number, "width does not agree with validity");
  if (width < 0 && !is_width_of_integer(job.width)) fail(number, "validity needs integers");
}

void check_pandas_buffer(size_t number, const Job& job) {
  const PandasBuffer kind = job.pandas_buffer;
  if ((kind != PandasBuffer::none) != (job.pandas_at != -1))
    fail(number,
         kind == PandasBuffer::none ? "pandas_at is given, but there is no pandas buffer" : "pandas_at is missing");
  if (kind == PandasBuffer::none) return;
  if ((kind == PandasBuffer::bytes) != is_boolean(job))
    fail(number, "pandas_buffer must be bytes for booleans, and for them alone");
  if (kind != PandasBuffer::bytes && width_of(job.element) != job.width)
    fail(number, "width does not agree with element");
  const Element from = job.element;
  const Element to = job.pandas_element;
  const auto require = [number](bool agree) {
    if (!agree) fail(number, "element, pandas_buffer and pandas_element do not agree");
  };
  switch (kind) {
    case PandasBuffer::none: break;
    case PandasBuffer::bytes: require(width_of(to) == 1); break;
    case PandasBuffer::float64: require(!is_float(from) && to == Element::float64); break;
    case PandasBuffer::codes:
      require(!is_float(from) && is_signed_integer(to));
      if (job.operand < 0) fail(number, "operand must be >= 0 for codes");
      break;
    case PandasBuffer::scaled:
      require((from == Element::int32 || from == Element::int64) && to == Element::int64);
      if (job.operand <= 0) fail(number, "operand must be > 0 for scaled integers");
      break;
    case PandasBuffer::integers: require(is_float(from) && !is_float(to)); break;
  }
}

bool reads_buffer(const Job& job) { return reads_elements(job) || job.values == Values::bits || is_offsets(job); }

void check_piece(size_t number, const Job& job, const Piece& piece) {
  int64_t end = 0;
  int64_t bytes = 0;
  if (piece.length < 0 || piece.offset < 0) fail(number, "a piece has a negative length or offset");
  if (__builtin_add_overflow(piece.offset, piece.length, &end) || end > most / 16) fail(number, "a piece is too long");
  if (job.width > 0 && __builtin_mul_overflow(end, piece.stride, &bytes))
    fail(number, "the stride of a piece is too large");
  if (reads_buffer(job) && piece.length > 0 && piece.values == 0) fail(number, "a piece has no address of its values");
  if (is_offsets(job) && piece.base < -1) fail(number, "the base of a piece must be >= 0, or -1");
  if (job.pandas_buffer == PandasBuffer::codes && piece.map != 0 && piece.map_length < 0)
    fail(number, "a piece has a map of a negative length");
}

// The sizes of so many rows do not overflow.
void check_row_count(size_t number, const Job& job, int64_t rows) {
  const int64_t widest = std::max<int64_t>({8, job.width, job.out_width, width_of(job.pandas_element)});
  if (rows < 0 || rows > most / widest - 8) fail(number, "its number of rows, or their width, is out of range");
}

void check_rows(size_t number, const Job& job, std::span<const Piece> pieces) {
  int64_t rows = 0;
  for (const Piece& piece : pieces) {
    check_piece(number, job, piece);
    if (__builtin_add_overflow(rows, piece.length, &rows)) fail(number, "its pieces are too long");
  }
  if (rows != job.rows) fail(number, "its pieces do not add up to its rows");
  check_row_count(number, job, rows);
}

// Vectors are stored to memory at multiples of their elements.
void check_alignment(size_t number, const Job& job) {
  const int64_t width = is_offsets(job)                                   ? job.out_width
                        : is_fixed(job) && is_width_of_integer(job.width) ? job.width
                                                                          : 1;
  if (job.values_at % width != 0 && job.values_at != -1) fail(number, "values_at is not aligned");
  if (job.pandas_at != -1 && job.pandas_at % width_of(job.pandas_element) != 0)
    fail(number, "pandas_at is not aligned");
}

std::vector<Job> decode_jobs(Table table) {
  std::vector<Job> jobs(table.count);
  for (int64_t number = 0; number < table.count; ++number)
    if (const char* const wrong = set_fields<job_fields>(jobs[number], table.rows + number * field_count<job_fields>))
      fail(number, std::string(wrong) + " is not an enumerator");
  return jobs;
}

}  // namespace

Plan decode(Table jobs, Table pieces) {
  Plan plan;
  plan.jobs = decode_jobs(jobs);
  for (int64_t number = 0; number < jobs.count; ++number) {
    Job& job = plan.jobs[number];
    if (job.first_piece < 0 || job.piece_count < 0 || job.first_piece > pieces.count ||
        job.piece_count > pieces.count - job.first_piece)
      fail(number, "its pieces are not in the table of pieces");
    const int64_t first = job.first_piece;
    job.first_piece = std::ssize(plan.pieces);
    for (int64_t at = first; at < first + job.piece_count; ++at)
      set_fields<piece_fields>(plan.pieces.emplace_back(), pieces.rows + at * field_count<piece_fields>);
  }
  return plan;
}

Plan place(Table jobs, std::span<const std::span<const Piece>> columns, int64_t rows,
           std::span<const Stretch> outputs) {
  Plan plan;
  plan.jobs = decode_jobs(jobs);
  for (int64_t number = 0; number < jobs.count; ++number) {
    Job& job = plan.jobs[number];
    const auto column = static_cast<uint64_t>(job.first_piece);
    if (column >= columns.size()) fail(number, "it has no imported column");
    if (job.values_at == -1 && job.bitmap_at == -1 && job.mask_at == -1 && job.pandas_at == -1) {
      job = {};
      job.values_at = job.bitmap_at = job.mask_at = job.pandas_at = -1;
      continue;
    }
    check_row_count(number, job, rows);
    job.rows = rows;
    job.first_piece = std::ssize(plan.pieces);
    job.piece_count = std::ssize(columns[column]);
    for (Piece piece : columns[column]) {
      if (piece.stride == stride_of_width) piece.stride = job.width;
      plan.pieces.push_back(piece);
    }
    const auto set_place = [&](int64_t& place, int64_t size) {
      if (place == -1) return;
      const auto output = static_cast<uint64_t>(place) >> 32;
      if (output >= outputs.size()) fail(number, "it has no such output");
      const auto& [first, last] = outputs[output];
      int64_t past;
      if (size < 0 || __builtin_mul_overflow(place & 0xFFFFFFFF, size, &past) || past > last - first - size)
        fail(number, "an output is outside of the memory that it is for");
      place = first + past;
    };
    set_place(job.values_at, values_size(job, rows));
    set_place(job.bitmap_at, (rows + 7) / 8);
    set_place(job.mask_at, rows);
    set_place(job.pandas_at, pandas_size(job, rows));
  }
  return plan;
}

void check(const Plan& plan, std::vector<Stretch> stretches, Into into) {
  std::sort(stretches.begin(), stretches.end());
  const std::span<const Piece> pieces = plan.pieces;
  for (size_t number = 0; number < plan.jobs.size(); ++number) {
    const Job& job = plan.jobs[number];
    check_values(number, job);
    check_validity(number, job);
    check_pandas_buffer(number, job);
    check_rows(number, job, pieces.subspan(job.first_piece, job.piece_count));
    for (const Extent& output : outputs_of(job))
      if (!is_inside(output, stretches)) fail(number, "an output is outside of the memory or file that it is for");
    if (into == Into::memory) check_alignment(number, job);
  }
}

int64_t values_size(const Job& job, int64_t rows) {
  switch (job.values) {
    case Values::none: return 0;
    case Values::fixed:
    case Values::indices: return rows * job.width;
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

std::array<Extent, 4> outputs_of(const Job& job) {
  return {Extent{job.values_at, values_size(job, job.rows)}, Extent{job.bitmap_at, (job.rows + 7) / 8},
          Extent{job.mask_at, job.rows}, Extent{job.pandas_at, pandas_size(job, job.rows)}};
}

}  // namespace colonnade
