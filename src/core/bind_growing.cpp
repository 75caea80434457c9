// Growing tables: the words that processes share.
#include "bindings.h"
#include "growing.h"

namespace colonnade {
namespace {

// The aligned word at a place of a buffer, which is checked.
template <class Word>
Word* word_at(const Py_buffer& view, size_t at) {
  char* const address = static_cast<char*>(view.buf) + at;
  if (at + sizeof(Word) > static_cast<size_t>(view.len) || reinterpret_cast<uintptr_t>(address) % sizeof(Word) != 0)
    throw nb::value_error("not a word of this memory");
  return reinterpret_cast<Word*>(address);
}

}  // namespace

void bind_growing(nb::module_& m) {
  m.def(
      "publish_word",
      [](const nb::object& memory, size_t at, uint64_t value) {
        const BufferView view(memory, PyBUF_WRITABLE);
        publish_word(word_at<uint64_t>(view.get(), at), value);
      },
      "memory"_a, "at"_a, "value"_a,
      "Store an aligned word with release order, and wake all who wait for its low half.");
  m.def(
      "wake_word",
      [](const nb::object& memory, size_t at) {
        const BufferView view(memory, PyBUF_SIMPLE);
        wake_word(word_at<const uint64_t>(view.get(), at));
      },
      "memory"_a, "at"_a, "Wake all who wait for the low half of a word.");
  m.def(
      "store_word",
      [](const nb::object& memory, size_t at, uint64_t value) {
        const BufferView view(memory, PyBUF_WRITABLE);
        store_word(word_at<uint64_t>(view.get(), at), value);
      },
      "memory"_a, "at"_a, "value"_a, "Store an aligned word with release order.");
  m.def(
      "load_word",
      [](const nb::object& memory, size_t at) {
        const BufferView view(memory, PyBUF_SIMPLE);
        return load_word(word_at<const uint64_t>(view.get(), at));
      },
      "memory"_a, "at"_a, "Load an aligned word with acquire order.");
  m.def(
      "store_half_word",
      [](const nb::object& memory, size_t at, uint32_t value) {
        const BufferView view(memory, PyBUF_WRITABLE);
        store_half_word(word_at<uint32_t>(view.get(), at), value);
      },
      "memory"_a, "at"_a, "value"_a, "Store four aligned bytes with release order.");
}

}  // namespace colonnade
