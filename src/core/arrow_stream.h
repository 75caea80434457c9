// Arrow arrays that came over the C stream interface, as pieces for a plan: walking chunks in Python would cost more than
// moving their bytes (20,000 chunks: 12 ms).
//
// Knows: the structs of https://arrow.apache.org/docs/format/CDataInterface.html and CStreamInterface.html.
// Does not depend on: Arrow's types beyond 'a validity bitmap and one more buffer', jobs, Python.
#pragma once
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include "plan.h"

extern "C" {
struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  ArrowSchema** children;
  ArrowSchema* dictionary;
  void (*release)(ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  ArrowArray** children;
  ArrowArray* dictionary;
  void (*release)(ArrowArray*);
  void* private_data;
};

struct ArrowArrayStream {
  int (*get_schema)(ArrowArrayStream*, ArrowSchema*);
  int (*get_next)(ArrowArrayStream*, ArrowArray*);
  const char* (*get_last_error)(ArrowArrayStream*);
  void (*release)(ArrowArrayStream*);
  void* private_data;
};
}

namespace colonnade {

// Holds the arrays until it goes.
class ImportedArrays {
 public:
  struct Column {
    std::vector<Piece> pieces;
    int64_t nulls = 0;
    const void* last_bitmap = nullptr;  // of the last piece, also where it has no null
  };

  ImportedArrays() = default;
  ~ImportedArrays();
  ImportedArrays(const ImportedArrays&) = delete;
  ImportedArrays& operator=(const ImportedArrays&) = delete;

  // Each stream of arrays becomes one more column, each array one piece. Consumes the streams, by so many threads: they must
  // not share what is not safe to share. Throws std::runtime_error.
  void add_columns(std::span<ArrowArrayStream* const> streams, int threads);
  // A stream of record batches becomes columns. Where the batches cut through a chunk, its parts are joined again. False, and no
  // column, if there are more than `most_batches`: every batch costs as much as there are columns.
  bool add_table(ArrowArrayStream& stream, int64_t most_batches);

  const std::vector<Column>& columns() const { return columns_; }

 private:
  std::vector<Column> columns_;
  std::vector<ArrowArray> arrays_;
};

}  // namespace colonnade
