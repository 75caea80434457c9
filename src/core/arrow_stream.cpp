#include "arrow_stream.h"

#include <algorithm>
#include <atomic>
#include <string>

#include "bitmap.h"
#include "threads.h"

namespace colonnade {
namespace {

// Below so many columns for each, starting a thread costs more than it saves.
constexpr size_t least_columns = 4;

// Owns a stream that was moved out of its capsule.
class Reading {
 public:
  explicit Reading(ArrowArrayStream& stream) : stream_(stream) { stream.release = nullptr; }
  ~Reading() { stream_.release(&stream_); }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  // False at the end.
  bool next(ArrowArray& array) {
    if (const int error = stream_.get_next(&stream_, &array); error != 0) {
      const char* const said = stream_.get_last_error(&stream_);
      throw std::runtime_error(said != nullptr ? said : "an Arrow stream failed with errno " + std::to_string(error));
    }
    return array.release != nullptr;
  }

 private:
  ArrowArrayStream stream_;
};

int64_t count_nulls(const ArrowArray& array, int64_t from, int64_t length) {
  const auto* bits = static_cast<const uint8_t*>(array.buffers[0]);
  if (bits == nullptr) return 0;
  if (array.null_count >= 0 && from == 0 && length == array.length) return array.null_count;
  int64_t valid = 0;
  for (int64_t start = 0; start < length; start += word_bits) {
    const int64_t here = length - start < word_bits ? length - start : word_bits;
    valid += __builtin_popcountll(read_bits(bits, array.offset + from + start, here));
  }
  return length - valid;
}

// `length` elements from `from` on: a batch may be a slice of its columns.
void add_array(ImportedArrays::Column& column, const ArrowArray& array, int64_t from, int64_t length, bool join) {
  if (array.n_buffers < 2) throw std::runtime_error("an array without a validity and a value buffer");
  const int64_t nulls = count_nulls(array, from, length);
  Piece piece{};
  piece.values = reinterpret_cast<int64_t>(array.buffers[1]);
  piece.validity = nulls == 0 ? 0 : reinterpret_cast<int64_t>(array.buffers[0]);
  piece.offset = array.offset + from;
  piece.length = length;
  column.nulls += nulls;
  if (join && length == 0) return;
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

}  // namespace

ImportedArrays::~ImportedArrays() {
  for (ArrowArray& array : arrays_) array.release(&array);
}

void ImportedArrays::add_columns(std::span<ArrowArrayStream* const> streams, int threads) {
  const size_t first = columns_.size();
  columns_.resize(first + streams.size());
  // Each thread keeps what it reads to itself until it has ended: then all of it is released, whatever failed.
  struct Part {
    std::vector<ArrowArray> arrays;
    std::string error;
  };
  std::vector<Part> parts(std::max<size_t>(1, std::min<size_t>(threads, streams.size() / least_columns)));
  std::atomic<size_t> next{0};
  const auto work = [&](Part& part) {
    try {
      for (size_t i = next++; i < streams.size(); i = next++) {
        Reading reading(*streams[i]);
        for (ArrowArray array{}; reading.next(array); array = {}) {
          part.arrays.push_back(array);
          add_array(columns_[first + i], array, 0, array.length, false);
        }
      }
    } catch (const std::exception& failed) {
      part.error = failed.what();
    }
  };
  run_on_threads(parts.size(), [&](size_t thread) { work(parts[thread]); });
  for (const Part& part : parts) arrays_.insert(arrays_.end(), part.arrays.begin(), part.arrays.end());
  for (const Part& part : parts)
    if (!part.error.empty()) throw std::runtime_error(part.error);
}

bool ImportedArrays::add_table(ArrowArrayStream& stream, int64_t most_batches) {
  Reading reading(stream);
  for (ArrowArray batch{}; reading.next(batch); batch = {}) {
    arrays_.push_back(batch);
    if (static_cast<int64_t>(arrays_.size()) > most_batches) {
      columns_.clear();
      return false;
    }
    columns_.resize(batch.n_children);
    for (int64_t c = 0; c < batch.n_children; ++c)
      add_array(columns_[c], *batch.children[c], batch.offset, batch.length, true);
  }
  return true;
}

}  // namespace colonnade
