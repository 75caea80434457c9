// Text in Arrow's view layout.
#include <nanobind/stl/vector.h>

#include <vector>

#include "bindings.h"
#include "text_views.h"

namespace colonnade {
namespace {

using Bytes = nb::ndarray<const uint8_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using NewBytes = nb::ndarray<uint8_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using Offsets = nb::ndarray<const int64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
using NewOffsets = nb::ndarray<int64_t, nb::shape<-1>, nb::c_contig, nb::device::cpu>;

template <class Array>
auto span_of(const Array& array) {
  return std::span{array.data(), array.shape(0)};
}

TextViews text_views(const Bytes& views, const Bytes& valid, const Items<Bytes>& buffers, size_t offsets) {
  if (offsets == 0 || views.shape(0) / view_bytes != offsets - 1 || views.shape(0) % view_bytes != 0)
    throw nb::value_error("the offsets are not one more than the views");
  if (valid.shape(0) != 0 && valid.shape(0) != offsets - 1)
    throw nb::value_error("the validity is not as long as the views");
  TextViews column{span_of(views), span_of(valid), {}};
  for (const Bytes& buffer : buffers.get()) column.buffers.push_back(span_of(buffer));
  return column;
}

int64_t offsets_of(const Bytes& views, const Bytes& valid, const Items<Bytes>& buffers, NewOffsets offsets,
                   int threads) {
  const TextViews column = text_views(views, valid, buffers, offsets.shape(0));
  return without_gil([&] { return offsets_of_views(column, span_of(offsets), threads_or_all(threads)); });
}

bool data_of(const Bytes& views, const Bytes& valid, const Items<Bytes>& buffers, const Offsets& offsets, NewBytes data,
             int threads) {
  const TextViews column = text_views(views, valid, buffers, offsets.shape(0));
  if (*(offsets.data() + offsets.shape(0) - 1) != static_cast<int64_t>(data.shape(0)))
    throw nb::value_error("the data are not as long as the offsets say");
  return without_gil([&] { return data_of_views(column, span_of(offsets), span_of(data), threads_or_all(threads)); });
}

OffsetText offset_text(const Bytes& offsets, int64_t width, const Bytes& data, size_t views) {
  if (width != 4 && width != 8) throw nb::value_error("offsets have 4 or 8 bytes");
  if (views % view_bytes != 0 || offsets.shape(0) % static_cast<size_t>(width) != 0 ||
      offsets.shape(0) / static_cast<size_t>(width) != views / view_bytes + 1)
    throw nb::value_error("the offsets are not one more than the views");
  return {span_of(offsets), width, span_of(data)};
}

bool write_views_of(const Bytes& offsets, int64_t width, const Bytes& data, NewBytes views, int threads) {
  const OffsetText column = offset_text(offsets, width, data, views.shape(0));
  return without_gil([&] { return write_views(column, span_of(views), threads_or_all(threads)); });
}

bool check_views_of(const Bytes& offsets, int64_t width, const Bytes& data, const Bytes& views, int threads) {
  const OffsetText column = offset_text(offsets, width, data, views.shape(0));
  return without_gil([&] { return are_views_of(column, span_of(views), threads_or_all(threads)); });
}

}  // namespace

void bind_text_views(nb::module_& m) {
  m.def("offsets_of_views", &offsets_of, "views"_a, "valid"_a, "buffers"_a, "offsets"_a, "threads"_a = 0,
        "Fill the offsets of text that is in Arrow's view layout; returns the bytes of all text, -1 where a view leads "
        "out of its buffers.\n\n``valid``: a byte a row, 0 is null; empty for none.");
  m.def("data_of_views", &data_of, "views"_a, "valid"_a, "buffers"_a, "offsets"_a, "data"_a, "threads"_a = 0,
        "Copy the text to where the offsets say, which `offsets_of_views` filled from the same views; False where "
        "these are "
        "others by now.");
  m.def("write_views", &write_views_of, "offsets"_a, "width"_a, "data"_a, "views"_a, "threads"_a = 0,
        "Write the views of text with offsets of 4 or 8 bytes; False where an offset leads out of the data, or a text "
        "is longer than 2^30 - 1 bytes.");
  m.def("are_views_of", &check_views_of, "offsets"_a, "width"_a, "data"_a, "views"_a, "threads"_a = 0,
        "Whether views are those that `write_views` writes.");
}

}  // namespace colonnade
