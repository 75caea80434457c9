// Imports Arrow arrays over the C stream interface, as pieces of a plan: to read 20,000 chunks in Python takes 12 ms,
// more than to move their bytes.
//
// Does not depend on: Arrow's types beyond 'a validity bitmap and one more buffer', jobs, Python.
// A producer that lies is refused where its structs show it: what each struct says is checked against the others before
// an address is kept. Whether a buffer is as long as its array needs cannot be seen here.
#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "plan.h"

extern "C" {

// The structs and guards of https://arrow.apache.org/docs/format/CDataInterface.html and CStreamInterface.html.
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};

#endif  // ARROW_C_DATA_INTERFACE

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream*, struct ArrowSchema*);
  int (*get_next)(struct ArrowArrayStream*, struct ArrowArray*);
  const char* (*get_last_error)(struct ArrowArrayStream*);
  void (*release)(struct ArrowArrayStream*);
  void* private_data;
};

#endif  // ARROW_C_STREAM_INTERFACE

}  // extern "C"

namespace colonnade {

// Arrays that are released with it.
class ArrayList {
 public:
  ArrayList() = default;
  ~ArrayList();
  ArrayList(ArrayList&&) noexcept = default;
  ArrayList& operator=(ArrayList&&) = delete;
  ArrayList(const ArrayList&) = delete;
  ArrayList& operator=(const ArrayList&) = delete;

  // Moves the stream's next array to the end; nullptr if there is none. Throws std::runtime_error where the stream
  // fails.
  const ArrowArray* add(ArrowArrayStream& stream);
  size_t size() const { return arrays_.size(); }

 private:
  std::vector<ArrowArray> arrays_;
};

// Keeps the arrays alive until it is destroyed. Not safe to use from two threads at once.
class ImportedArrays {
 public:
  ImportedArrays() = default;
  ImportedArrays(const ImportedArrays&) = delete;
  ImportedArrays& operator=(const ImportedArrays&) = delete;

  struct Column {
    std::vector<Piece> pieces;
    int64_t rows = 0;
    int64_t nulls = 0;
    const void* last_bitmap = nullptr;  // of the last piece, also where it has no null
  };

  // Both throw std::runtime_error where a stream fails, std::invalid_argument where its arrays contradict each other or
  // do not add up to `rows`, and std::bad_alloc. They consume the streams, also where they throw; no column is added
  // then.

  // Each stream of arrays becomes one more column, each array one piece. Read by so many threads: the streams must not
  // share what is not safe to share.
  void add_columns(std::span<ArrowArrayStream* const> streams, int64_t rows, int threads);
  // The chosen ones of the `columns` of a stream of record batches become columns. Where the batches cut through a
  // chunk, its parts are joined again. False, and no column, if there are more than `most_batches`: each batch costs as
  // much as there are columns.
  bool add_table(ArrowArrayStream& stream, std::span<const int64_t> chosen, int64_t columns, int64_t rows,
                 int64_t most_batches);

  // Gives each piece of a column the int32 numbers that replace its indices: their address and count. The caller keeps
  // them alive. Throws std::invalid_argument where there are not as many as pieces.
  void renumber(size_t column, std::span<const std::pair<int64_t, int64_t>> maps);

  // Releases the arrays and keeps the columns: from now on something else must keep their memory alive.
  void release() { arrays_.clear(); }

  std::span<const Column> columns() const { return columns_; }

 private:
  std::vector<Column> columns_;
  std::vector<ArrayList> arrays_;
};

}  // namespace colonnade
