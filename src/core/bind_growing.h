// A batch of rows as Python gives it, and the words of the head that its producer stores: what the bindings of growing
// tables have in common.
#pragma once
#include "bindings.h"

#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "growing.h"
#include "growing_rows.h"

namespace colonnade {

// Below this the GIL is kept: releasing it takes as long as the copy.
inline constexpr int64_t worth_releasing = 256 << 10;

// The aligned word at a place of a buffer, which is checked.
template <class Word>
Word* word_at(const Py_buffer& view, size_t at) {
  const auto size = static_cast<size_t>(view.len);
  if (size < sizeof(Word) || at > size - sizeof(Word)) throw nb::value_error("not a word of this memory");
  char* const address = static_cast<char*>(view.buf) + at;
  if (reinterpret_cast<uintptr_t>(address) % sizeof(Word) != 0) throw nb::value_error("not an aligned word");
  return reinterpret_cast<Word*>(address);
}

// The words of a head that is mapped for writing; checked once.
class HeadWords {
 public:
  // `committed` and `state` are where these words stand; `deleted` is the state of a table that is gone.
  HeadWords(const nb::object& memory, size_t committed, size_t state, uint64_t deleted)
      : view_(memory, PyBUF_WRITABLE), committed_(word(committed)), state_(word(state)), deleted_(deleted) {}
  bool is_deleted() const { return load_word(state_) == deleted_; }
  uint64_t load(size_t at) const { return load_word(word(at)); }
  void store(size_t at, uint64_t value) const { store_word(word(at), value); }
  // How many rows this producer has published, or has seen when it began its turn.
  uint64_t published() const { return published_; }
  // Who may write rows by one call, without the appender's lock: nobody else writes, and nothing is unfinished. It is
  // one `DirectAppender`, or null; whoever has one of an earlier segment in its hands must not write with it.
  const void* direct_writer() const { return direct_writer_; }
  void set_direct_writer(const void* writer) { direct_writer_ = writer; }
  void set_published(uint64_t rows) { published_ = rows; }
  void publish(uint64_t rows) {
    publish_word(committed_, rows);
    published_ = rows;
  }

 private:
  uint64_t* word(size_t at) const { return word_at<uint64_t>(view_.get(), at); }

  BufferView view_;
  uint64_t *committed_, *state_;
  uint64_t deleted_, published_ = load_word(committed_);
  const void* direct_writer_ = nullptr;
};

// A batch of rows: the memory of each column, kept by the buffer protocol.
class Batch {
 public:
  // Each column is (values, missing, offsets, text, valid bits, first bit); None for what it has not.
  using Parts = std::tuple<nb::object, nb::object, nb::object, nb::object, nb::object, int64_t>;
  Batch(const Items<Parts>& columns, int64_t rows) : rows_(rows) {
    if (rows < 0 || rows > most_growing_rows) throw nb::value_error("the number of rows is out of range");
    for (const auto& [values, missing, offsets, text, bits, first_bit] : columns.get()) {
      if (first_bit < 0 || first_bit > most_growing_rows) throw nb::value_error("a first bit is out of range");
      columns_.push_back({view(values), view(missing), view(offsets), view(text), view(bits), first_bit});
    }
  }

  using View = std::unique_ptr<BufferView>;
  struct Column {
    View values, missing, offsets, text, bits;
    int64_t first_bit = 0;
  };
  Batch(std::vector<Column> columns, int64_t rows) : rows_(rows), columns_(std::move(columns)) {}
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  int64_t rows() const { return rows_; }

  // The rows from `start` on, as the core takes them.
  std::vector<GrowingInput> inputs(const std::vector<GrowingPlaces>& places, int64_t start) const {
    if (places.size() != columns_.size() || start < 0 || start > rows_)
      throw nb::value_error("not a batch for this table");
    std::vector<GrowingInput> inputs(places.size());
    for (size_t number = 0; number < places.size(); ++number) {
      const Column& column = columns_[number];
      GrowingInput& input = inputs[number];
      const bool is_text = places[number].kind == GrowingKind::text, has_mask = places[number].mask >= 0;
      const int64_t width = std::max(places[number].width, 1);
      if (!is_text) input.values = memory(column.values, rows_ * width) + start * width;
      if (has_mask) input.missing = memory(column.missing, rows_) + start;
      if (!is_text) continue;
      input.offsets = reinterpret_cast<const int64_t*>(memory(column.offsets, 8 * (rows_ + 1)));
      for (int64_t row = 0; row < rows_; ++row)
        if (input.offsets[row] > input.offsets[row + 1]) throw nb::value_error("offsets that descend");
      if (input.offsets[0] < 0) throw nb::value_error("an offset below 0");
      if (input.offsets[rows_] > 0) input.text = memory(column.text, input.offsets[rows_]);
      input.offsets += start;
      if (column.bits) input.valid_bits = memory(column.bits, (column.first_bit + rows_ + 7) / 8);
      input.first_bit = column.first_bit + start;
    }
    return inputs;
  }

 private:
  static View view(const nb::object& object) {
    return object.is_none() ? nullptr : std::make_unique<BufferView>(object, PyBUF_SIMPLE);
  }
  static const uint8_t* memory(const View& view, int64_t size) {
    if (!view || view->get().len < size) throw nb::value_error("a column has less memory than rows");
    return static_cast<const uint8_t*>(view->get().buf);
  }

  int64_t rows_;
  std::vector<Column> columns_;
};

inline bool is_long(size_t columns, int64_t rows) {
  return columns > 0 && rows >= worth_releasing / 8 / static_cast<int64_t>(columns);
}

// Allocates the pages of some rows, and calls `store`, which writes them; without the GIL if `releases`.
template <class Store>
void with_pages(GrowingRows& rows, const std::vector<GrowingInput>& inputs, int64_t count, bool releases,
                const Store& store) {
  const auto append = [&] {
    rows.provide(inputs, count);
    store();
  };
  or_raise([&] { releases ? without_gil(append) : append(); });
}

}  // namespace colonnade
