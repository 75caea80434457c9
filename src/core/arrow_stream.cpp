#include "arrow_stream.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>
#include <tuple>

#include "bitmap.h"
#include "threads.h"

namespace colonnade {
namespace {

// Below so many columns for each, to start a thread costs more than it saves.
constexpr size_t least_columns = 4;

// Offsets and lengths above this would overflow where they are multiplied by a width.
constexpr int64_t most_rows = std::numeric_limits<int64_t>::max() / 16;

// A stream that was moved out of its capsule.
class OwnedStream {
 public:
  explicit OwnedStream(ArrowArrayStream& stream) : stream_(stream) { stream.release = nullptr; }
  ~OwnedStream() {
    stop_where_it_would_unwind([&] { stream_.release(&stream_); });
  }
  OwnedStream(const OwnedStream&) = delete;
  OwnedStream& operator=(const OwnedStream&) = delete;

  ArrowArrayStream& get() { return stream_; }

 private:
  ArrowArrayStream stream_;
};

template <class Text>
void require(bool condition, size_t column, const Text& what) {
  if (!condition) throw std::invalid_argument("column " + std::to_string(column) + " of the Arrow stream: " + what);
}

// What an array's struct must say so that rows [from, from + length) of it can be read.
void check_array(size_t column, const ArrowArray& array, int64_t from, int64_t length) {
  const auto text = [](int64_t number) { return std::to_string(number); };
  require(array.release != nullptr, column, "its array was released before");
  require(array.length >= 0 && array.offset >= 0, column, "its array has a negative length or offset");
  require(array.length <= most_rows && array.offset <= most_rows - array.length, column, "its array is too long");
  if (from > array.length || length > array.length - from)
    require(false, column,
            "its array has " + text(array.length) + " rows, and the batch needs " + text(from) + " + " + text(length));
  require(array.n_buffers >= 2 && array.buffers != nullptr, column, "its array has no validity and value buffer");
  require(length == 0 || array.buffers[1] != nullptr, column, "its array has rows, but no values");
  const int64_t most_nulls = array.buffers[0] == nullptr ? 0 : array.length;
  if (array.null_count < -1 || array.null_count > most_nulls)
    require(
        false, column,
        "its array declares " + text(array.null_count) + " nulls, and at most " + text(most_nulls) + " are possible");
}

void check_batch(const ArrowArray& batch, int64_t columns) {
  const auto fail = [](const char* what) {
    throw std::invalid_argument(std::string("a batch of the Arrow stream ") + what);
  };
  if (batch.length < 0 || batch.offset < 0) fail("has a negative length or offset");
  if (batch.length > most_rows || batch.offset > most_rows - batch.length) fail("is too long");
  if (batch.null_count > 0) fail("has rows that are null");
  if (batch.n_children != columns) fail("has another number of columns than its schema");
  if (columns > 0 && batch.children == nullptr) fail("has no columns");
  for (int64_t c = 0; c < columns; ++c)
    if (batch.children[c] == nullptr) fail("has no array for one of its columns");
}

int64_t count_nulls(const ArrowArray& array, int64_t from, int64_t length) {
  const auto* bits = static_cast<const uint8_t*>(array.buffers[0]);
  if (bits == nullptr) return 0;
  if (array.null_count >= 0 && from == 0 && length == array.length) return array.null_count;
  int64_t valid = 0;
  for (int64_t start = 0; start < length; start += word_bits) {
    const int64_t here = std::min(length - start, word_bits);
    valid += __builtin_popcountll(read_bits(bits, array.offset + from + start, here));
  }
  return length - valid;
}

// Adds `length` elements from `from` on (a batch may be a slice of its columns), joined to the last piece if they
// follow it.
void add_array(ImportedArrays::Column& column, const ArrowArray& array, int64_t from, int64_t length, bool join) {
  const int64_t nulls = count_nulls(array, from, length);
  Piece piece{};
  piece.values = reinterpret_cast<int64_t>(array.buffers[1]);
  piece.validity = nulls == 0 ? 0 : reinterpret_cast<int64_t>(array.buffers[0]);
  piece.stride = stride_of_width;
  piece.offset = array.offset + from;
  piece.length = length;
  if (join && length == 0) return;
  column.rows += length;
  column.nulls += nulls;
  if (join && !column.pieces.empty()) {
    Piece& last = column.pieces.back();
    const bool follows = last.values == piece.values && last.offset + last.length == piece.offset;
    if (follows && column.last_bitmap == array.buffers[0]) {
      last.length += length;
      if (piece.validity != 0) last.validity = piece.validity;
      return;
    }
  }
  column.last_bitmap = array.buffers[0];
  column.pieces.push_back(piece);
}

void check_rows(std::span<const ImportedArrays::Column> columns, int64_t rows) {
  for (size_t c = 0; c < columns.size(); ++c)
    if (columns[c].rows != rows)
      require(false, c,
              "it has " + std::to_string(columns[c].rows) + " rows, and the table has " + std::to_string(rows));
}

}  // namespace

ArrayList::~ArrayList() {
  for (ArrowArray& array : arrays_)
    if (array.release != nullptr) stop_where_it_would_unwind([&] { array.release(&array); });
}

const ArrowArray* ArrayList::add(ArrowArrayStream& stream) {
  // Its place is there before the array is: otherwise nobody would release it where memory runs out.
  ArrowArray& array = arrays_.emplace_back();
  const int error = stop_where_it_would_unwind([&] { return stream.get_next(&stream, &array); });
  if (error == 0 && array.release != nullptr) return &array;
  arrays_.pop_back();
  if (error == 0) return nullptr;
  const char* const message = stream.get_last_error == nullptr ? nullptr : stream.get_last_error(&stream);
  throw std::runtime_error(message != nullptr ? message : "an Arrow stream failed with errno " + std::to_string(error));
}

void ImportedArrays::add_columns(std::span<ArrowArrayStream* const> streams, int64_t rows, int threads) {
  std::vector<Column> columns(streams.size());
  // Each thread keeps what it reads to itself until all have ended.
  struct Part {
    ArrayList arrays;
    std::exception_ptr error;
  };
  std::vector<Part> parts(
      std::clamp<size_t>(streams.size() / least_columns, 1, static_cast<size_t>(std::max(threads, 1))));
  columns_.reserve(columns_.size() + columns.size());
  arrays_.reserve(arrays_.size() + parts.size());
  std::atomic<size_t> next{0};
  const auto work = [&](size_t thread) noexcept {
    Part& part = parts[thread];
    for (size_t i = next++; i < streams.size(); i = next++) {
      OwnedStream stream(*streams[i]);
      if (part.error != nullptr) continue;  // the remaining streams are only released
      try {
        while (const ArrowArray* const array = part.arrays.add(stream.get())) {
          check_array(i, *array, 0, array->length);
          add_array(columns[i], *array, 0, array->length, false);
        }
      } catch (const std::exception&) {
        part.error = std::current_exception();
      }
    }
  };
  run_on_threads(parts.size(), work);
  for (const Part& part : parts)
    if (part.error != nullptr) std::rethrow_exception(part.error);
  check_rows(columns, rows);
  std::ranges::move(columns, std::back_inserter(columns_));
  for (Part& part : parts) arrays_.push_back(std::move(part.arrays));
}

bool ImportedArrays::add_table(ArrowArrayStream& capsule, std::span<const int64_t> chosen, int64_t count, int64_t rows,
                               int64_t most_batches) {
  OwnedStream stream(capsule);
  for (const int64_t position : chosen)
    if (position < 0 || position >= count) throw std::invalid_argument("a chosen column is not in the Arrow stream");
  std::vector<Column> columns(chosen.size());
  ArrayList arrays;
  columns_.reserve(columns_.size() + columns.size());
  arrays_.reserve(arrays_.size() + 1);
  while (const ArrowArray* const batch = arrays.add(stream.get())) {
    if (static_cast<int64_t>(arrays.size()) > most_batches) return false;
    check_batch(*batch, count);
    for (size_t c = 0; c < columns.size(); ++c) {
      const ArrowArray& array = *batch->children[chosen[c]];
      check_array(chosen[c], array, batch->offset, batch->length);
      add_array(columns[c], array, batch->offset, batch->length, true);
    }
  }
  check_rows(columns, rows);
  std::ranges::move(columns, std::back_inserter(columns_));
  arrays_.push_back(std::move(arrays));
  return true;
}

void ImportedArrays::renumber(size_t column, std::span<const std::pair<int64_t, int64_t>> maps) {
  if (column >= columns_.size() || columns_[column].pieces.size() != maps.size())
    throw std::invalid_argument("there must be one map for each piece of a column");
  for (size_t number = 0; number < maps.size(); ++number)
    std::tie(columns_[column].pieces[number].map, columns_[column].pieces[number].map_length) = maps[number];
}

}  // namespace colonnade
