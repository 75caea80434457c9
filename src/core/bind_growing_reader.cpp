// What readers of growing tables need: address ranges, and numbers that another process changes.
#include "bindings.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/tuple.h>

#include <array>
#include <cstdint>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "address_range.h"
#include "mapping.h"
#include "shared_word.h"

namespace colonnade {
namespace {

using Clock = std::chrono::steady_clock;

template <class Call>
auto or_raise_memory(const Call& call) {
  try {
    return call();
  } catch (const std::system_error& error) {
    if (error.code().value() != ENOMEM) raise_os_error(error.code().value());
    PyErr_SetString(PyExc_MemoryError,
                    "there are no addresses for it, or the process has too many mappings: drop frames that are not "
                    "needed, or raise vm.max_map_count (sysctl)");
    throw nb::python_error();
  } catch (const std::invalid_argument& error) {
    throw nb::value_error(error.what());
  }
}

std::shared_ptr<MappedPieces> map_pieces(const std::shared_ptr<AddressRange>& range, int fd,
                                         const Items<std::tuple<size_t, size_t, size_t>>& places, bool writable) {
  std::vector<Piece> pieces;
  for (const auto& [at, offset, size] : places.get()) pieces.push_back({at, offset, size});
  const auto kind = writable ? MappedPieces::Kind::private_copy : MappedPieces::Kind::reading;
  return or_raise_memory([&] { return std::make_shared<MappedPieces>(range, fd, pieces, kind); });
}

// The whole range as one buffer, which keeps some pieces mapped. Nothing outside of them may be touched.
class RangeView {
 public:
  RangeView(std::shared_ptr<AddressRange> range, const Items<std::shared_ptr<MappedPieces>>& pieces)
      : range_(std::move(range)), pieces_(pieces.get()), writable_(!pieces_.empty()) {
    for (const auto& each : pieces_) {
      if (each == nullptr || each->range() != range_) throw nb::value_error("pieces of another range");
      writable_ = writable_ && each->kind() == MappedPieces::Kind::private_copy;
    }
  }

  void* address() const { return range_->address(); }
  size_t size() const { return range_->size(); }
  bool writable() const { return writable_; }

 private:
  std::shared_ptr<AddressRange> range_;
  std::vector<std::shared_ptr<MappedPieces>> pieces_;
  bool writable_;
};

int fill_buffer(PyObject* self, Py_buffer* view, int flags) noexcept {
  const RangeView* const range = nb::inst_ptr<RangeView>(nb::handle(self));
  return PyBuffer_FillInfo(view, self, range->address(), static_cast<Py_ssize_t>(range->size()), !range->writable(),
                           flags);
}

PyType_Slot range_view_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(fill_buffer)}, {0, nullptr}};

// The first bytes of a file that another process writes to: mapped shared and read-only, always.
class SharedWords {
 public:
  SharedWords(int fd, size_t size) : mapping_(fd, size, Mapping::Kind::reading) {}

  const char* at(size_t offset, size_t width) const {
    if (offset % width != 0 || offset > mapping_.size() || width > mapping_.size() - offset)
      throw nb::value_error("no aligned place of the mapping");
    return static_cast<const char*>(mapping_.address()) + offset;
  }
  void* address() const { return mapping_.address(); }
  size_t size() const { return mapping_.size(); }

 private:
  Mapping mapping_;
};

int fill_words(PyObject* self, Py_buffer* view, int flags) noexcept {
  const SharedWords* const words = nb::inst_ptr<SharedWords>(nb::handle(self));
  return PyBuffer_FillInfo(view, self, words->address(), static_cast<Py_ssize_t>(words->size()), 1, flags);
}

PyType_Slot shared_words_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(fill_words)}, {0, nullptr}};

// A word of this process, by which one thread ends the wait of another.
class Bell {
 public:
  const uint32_t* word() const { return &rung_; }
  uint32_t value() const { return __atomic_load_n(&rung_, __ATOMIC_ACQUIRE); }
  void ring() noexcept {
    __atomic_add_fetch(&rung_, 1, __ATOMIC_RELEASE);
    wake_all(&rung_);
  }

 private:
  uint32_t rung_ = 0;
};

Clock::time_point moment_after(double seconds) {
  if (!(seconds >= 0)) throw nb::value_error("timeout must be >= 0 seconds");
  if (seconds > 1e9) return Clock::time_point::max();
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// The words of a head that say how a growing table has grown. A reader that is woken has nothing in the processor's
// caches, so each call and each function of Python takes some microseconds there: this is one call.
class Growth {
 public:
  // Where the words are, and the state of a table that was deleted.
  Growth(const nb::object& words, size_t committed, size_t first, size_t segments, size_t state, uint64_t deleted)
      : words_(words), deleted_(deleted) {
    const auto& memory = nb::cast<const SharedWords&>(words);
    committed_ = memory.at(committed, 8);
    first_ = memory.at(first, 8);
    segments_ = memory.at(segments, 8);
    state_ = memory.at(state, 8);
  }

  // How many rows there are, if all of them from `first` on are in the first `segments` segments, of which the last one
  // has room up to row `end`. The producer stores both numbers before the rows that they matter for.
  std::optional<uint64_t> rows(uint64_t first, uint64_t segments, uint64_t end) const {
    const uint64_t committed = load_acquire(committed_);
    if (load_acquire(segments_) != segments || load_acquire(first_) != first || committed > end) return std::nullopt;
    return committed;
  }

  // The same, once there are other than `seen` rows, the bell was rung, or the time is over.
  std::optional<uint64_t> wait(uint64_t seen, uint64_t first, uint64_t segments, uint64_t end, const Bell& bell,
                               uint32_t rung, double timeout) const {
    const Clock::time_point until = moment_after(timeout);
    for (;;) {
      const uint64_t committed = load_acquire(committed_), state = load_acquire(state_);
      if (state == deleted_) return std::nullopt;
      if (committed != seen || bell.value() != rung) break;
      const std::array<AwaitedWord, 3> words{{{half(committed_), static_cast<uint32_t>(seen)},
                                              {half(state_), static_cast<uint32_t>(state)},
                                              {bell.word(), rung}}};
      const Wait result = or_raise([&] { return without_gil([&] { return wait_for_change(words, until); }); });
      if (result == Wait::timed_out) break;
      if (result == Wait::interrupted && PyErr_CheckSignals() != 0) throw nb::python_error();
    }
    return rows(first, segments, end);
  }

 private:
  static const uint32_t* half(const char* word) { return reinterpret_cast<const uint32_t*>(word); }  // little-endian

  nb::object words_;
  const char *committed_, *first_, *segments_, *state_;
  uint64_t deleted_;
};

// Each word is (SharedWords, offset, seen), or (Bell, seen).
bool wait_for_words(const Items<std::tuple<const SharedWords*, size_t, uint32_t>>& places, const Bell* bell,
                    uint32_t rung, double timeout) {
  const Clock::time_point until = moment_after(timeout);
  std::vector<AwaitedWord> words;
  for (const auto& [shared, offset, seen] : places.get()) {
    if (shared == nullptr) throw nb::value_error("no words");
    words.push_back({reinterpret_cast<const uint32_t*>(shared->at(offset, 4)), seen});
  }
  if (bell != nullptr) words.push_back({bell->word(), rung});
  for (;;) {
    const Wait result = or_raise([&] { return without_gil([&] { return wait_for_change(words, until); }); });
    if (result != Wait::interrupted) return result == Wait::changed;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
  }
}

}  // namespace

void bind_growing_reader(nb::module_& m) {
  nb::class_<MappedPieces>(m, "MappedPieces", nb::is_weak_referenceable(),
                           "Pieces of one file in an `AddressRange`; unmapped when nothing refers to them any more.");
  nb::class_<AddressRange>(m, "AddressRange",
                           "Reserved addresses, where pieces of files are mapped next to each other.\n\n"
                           "Raises MemoryError where there are not so many addresses.")
      .def(
          "__init__", [](AddressRange* self, size_t size) { or_raise_memory([&] { new (self) AddressRange(size); }); },
          "size"_a)
      .def("map", &map_pieces, "fd"_a, "places"_a, "writable"_a,
           "Map pieces of a file, each ``(at, offset, size)``: all of them, or none.\n\n"
           "Read-only pieces are shared with the file, writable ones are private. Raises ValueError for a place that "
           "is\n"
           "not page-aligned, not inside of the range and the file, or taken; MemoryError where the process has too "
           "many\n"
           "mappings.")
      .def("__len__", &AddressRange::size)
      .def_prop_ro("address", [](const AddressRange& range) { return reinterpret_cast<uintptr_t>(range.address()); });
  nb::class_<RangeView>(m, "RangeView", nb::type_slots(range_view_slots), nb::is_weak_referenceable(),
                        "An address range as a buffer, which keeps some pieces mapped.\n\n"
                        "Nothing outside of these pieces may be touched. It is writable if all of them are.")
      .def(nb::init<std::shared_ptr<AddressRange>, const Items<std::shared_ptr<MappedPieces>>&>(), "range"_a,
           "pieces"_a)
      .def("__len__", &RangeView::size)
      .def_prop_ro("address", [](const RangeView& view) { return reinterpret_cast<uintptr_t>(view.address()); })
      .def_prop_ro("writable", &RangeView::writable);
  nb::class_<SharedWords>(m, "SharedWords", nb::type_slots(shared_words_slots),
                          "The first bytes of a file that another process writes to, shared and read-only.")
      .def(
          "__init__",
          [](SharedWords* self, int fd, size_t size) { or_raise([&] { new (self) SharedWords(fd, size); }); }, "fd"_a,
          "size"_a)
      .def(
          "load", [](const SharedWords& self, size_t offset) { return load_acquire(self.at(offset, 8)); }, "offset"_a,
          "The number of 64 bits at an offset, with acquire order.")
      .def("__len__", &SharedWords::size);
  nb::class_<Bell>(m, "Bell", "Ends the wait of other threads of this process, see `wait_for_words`.")
      .def(nb::init<>())
      .def("ring", &Bell::ring, "End all waits for it.")
      .def_prop_ro("value", &Bell::value, "How often it was rung, modulo 2 ** 32.");
  nb::class_<Growth>(m, "Growth", "Whether a growing table has grown, for its readers.")
      .def(nb::init<const nb::object&, size_t, size_t, size_t, size_t, uint64_t>(), "words"_a, "committed"_a, "first"_a,
           "segments"_a, "state"_a, "deleted"_a)
      .def("rows", &Growth::rows, "first"_a, "segments"_a, "end"_a,
           "How many rows there are; None if more than their number may have changed.\n\n"
           "``first`` and ``segments`` are what was seen before, ``end`` is the row up to which the last segment has\n"
           "room.")
      .def("wait", &Growth::wait, "seen"_a, "first"_a, "segments"_a, "end"_a, "bell"_a, "rung"_a, "timeout"_a,
           "As `rows`, once the number of rows is not ``seen``, the bell was rung or ``timeout`` seconds are over.\n\n"
           "None also if the table is deleted. Signal handlers run meanwhile.");
  m.def(
      "wait_for_words", &wait_for_words, "places"_a, "bell"_a.none(), "rung"_a, "timeout"_a,
      "Wait until a word of 32 bits differs from what was seen there, or the bell was rung; False after the "
      "time-out.\n\n"
      "``places`` are ``(words, offset, seen)``; ``rung`` is the bell's value that was seen. True does not say which\n"
      "word changed, or that one did: look again. Signal handlers run meanwhile.");
}

}  // namespace colonnade
