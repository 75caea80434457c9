#include "source.h"

#include <string>

#include "bitmap.h"

namespace colonnade {
namespace {

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
void add_array(Source::Column& column, const ArrowArray& array, int64_t from, int64_t length, bool join) {
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

Source::~Source() {
  for (ArrowArray& array : arrays_) array.release(&array);
}

void Source::add_column(ArrowArrayStream& stream) {
  Reading reading(stream);
  Column& column = columns_.emplace_back();
  for (ArrowArray array{}; reading.next(array); array = {}) {
    arrays_.push_back(array);
    add_array(column, array, 0, array.length, false);
  }
}

bool Source::add_table(ArrowArrayStream& stream, int64_t most_batches) {
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
