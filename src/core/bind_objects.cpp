// Python objects in arrays: one object in many slots, and what types there are.
#include "bindings.h"

#include <nanobind/stl/pair.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels.h"

namespace colonnade {
namespace {

// Adds to the references of an object, or takes from them, all at once: one by one they would cost more than the
// pointers.
void add_references(PyObject* object, Py_ssize_t count) {
  // Some versions of Python keep 32 bits of a count, so this way is for small ones. Immortal objects keep their count.
  if (count < (1 << 30)) {
    Py_SET_REFCNT(object, Py_REFCNT(object) + count);
    return;
  }
  for (; count > 0; --count) Py_INCREF(object);
  for (; count < 0; ++count) Py_DECREF(object);
}

// Fills slots with objects by code. Several threads do so at once without touching a reference; the thread that has the
// GIL counts the references afterwards.
template <class Code>
class ObjectSharing {
 public:
  ObjectSharing(PyObject** slots, const Code* codes, size_t rows, int64_t first, std::vector<PyObject*> objects,
                size_t parts)
      : slots_(slots), codes_(codes), rows_(rows), first_(first), objects_(std::move(objects)), parts_(parts) {
    for (Part& part : parts_) part.uses.resize(turns() * objects_.size());
  }

  void fill() {
    run_on_threads(parts_.size(), [&](size_t number) noexcept {
      fill_part(parts_[number], rows_ * number / parts_.size(), rows_ * (number + 1) / parts_.size());
    });
    Py_ssize_t nones = 0;
    bool has_others = false;
    for (const Part& part : parts_) {
      for (size_t i = 0; i < part.uses.size(); ++i) add_references(objects_[i % objects_.size()], part.uses[i]);
      nones += part.nones;
      has_others |= part.has_others;
    }
    add_references(Py_None, -nones);
    if (has_others) replace_others();
  }

 private:
  struct Part {
    std::vector<Py_ssize_t> uses;
    Py_ssize_t nones = 0;
    bool has_others = false;
  };

  // Few objects are counted in several counters that take turns: an addition waits for the last one to the same
  // counter. A power of two, because a remainder would cost more than all the rest.
  size_t turns() const { return objects_.size() <= 1024 ? 4 : 1; }

  size_t object_at(size_t row) const {
    return std::min(static_cast<uint64_t>(codes_[row] - first_), static_cast<uint64_t>(objects_.size() - 1));
  }

  // Replaces None and nothing else: to drop another object may run Python code.
  void fill_part(Part& part, size_t from, size_t to) const noexcept {
    Py_ssize_t* const uses = part.uses.data();
    const size_t turn = turns() - 1;
    for (size_t row = from; row < to; ++row) {
      const size_t at = object_at(row);
      PyObject* const old = slots_[row];
      if (old == Py_None) {
        ++part.nones;
      } else if (old != nullptr) {
        part.has_others = true;
        continue;
      }
      slots_[row] = objects_[at];
      ++uses[((row - from) & turn) * objects_.size() + at];
    }
  }

  // The slots that already held an object, one by one.
  void replace_others() const {
    for (size_t row = 0; row < rows_; ++row) {
      PyObject* const object = objects_[object_at(row)];
      if (slots_[row] == object) continue;
      PyObject* const old = slots_[row];
      slots_[row] = Py_NewRef(object);
      Py_XDECREF(old);
    }
  }

  PyObject** const slots_;
  const Code* const codes_;
  const size_t rows_;
  const int64_t first_;
  const std::vector<PyObject*> objects_;
  std::vector<Part> parts_;
};

// out[i] = objects[codes[i] - first], and the last of the objects for a code outside of the others.
template <class Code>
void share_objects(const nb::object& out, const nb::typed<nb::list, nb::any>& objects,
                   nb::ndarray<const Code, nb::shape<-1>, nb::c_contig, nb::device::cpu> codes, int64_t first,
                   int threads) {
  constexpr size_t threaded_rows = 1 << 18;
  const size_t rows = codes.shape(0);
  const BufferView buffer(out, PyBUF_CONTIG | PyBUF_FORMAT);
  const Py_buffer& view = buffer.get();
  if (std::string_view(view.format) != "O" || view.len != static_cast<Py_ssize_t>(rows * sizeof(PyObject*)))
    throw nb::value_error("out must be an array of objects, as many as there are codes");
  if (objects.size() == 0) throw nb::value_error("there are no objects to share");
  std::vector<PyObject*> pointers;
  pointers.reserve(objects.size());
  for (const nb::handle object : objects) pointers.push_back(object.ptr());
  const size_t parts = rows < threaded_rows ? 1 : static_cast<size_t>(threads_or_all(threads));
  ObjectSharing<Code>(static_cast<PyObject**>(view.buf), codes.data(), rows, first, std::move(pointers), parts).fill();
}

using AnyList = nb::typed<nb::list, nb::any>;

AnyList list_of(const std::vector<PyTypeObject*>& types) {
  nb::list result;
  for (PyTypeObject* const type : types) result.append(nb::handle(reinterpret_cast<PyObject*>(type)));
  return nb::borrow<AnyList>(result);
}

// The distinct types of an array's objects, in the order in which they occur. A handful at most, so the search is
// linear.
AnyList types_of(const nb::object& array) {
  const BufferView buffer(array, PyBUF_STRIDES | PyBUF_FORMAT);
  const Py_buffer& view = buffer.get();
  if (view.ndim != 1 || std::string_view(view.format) != "O")
    throw nb::value_error("array must be one-dimensional, of objects");
  std::vector<PyTypeObject*> types;
  const PyTypeObject* previous = nullptr;
  const char* slot = static_cast<const char*>(view.buf);
  for (Py_ssize_t row = 0; row < view.shape[0]; ++row, slot += view.strides[0]) {
    PyObject* const object = *reinterpret_cast<PyObject* const*>(slot);
    PyTypeObject* const type = object == nullptr ? Py_TYPE(Py_None) : Py_TYPE(object);  // NumPy reads null as None
    if (type == previous) continue;
    previous = type;
    if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
  }
  return list_of(types);
}

// Whether `visit` is true for one of what a list or tuple holds, or of the values of a dict.
template <class Visit>
bool any_inside(PyObject* container, const Visit& visit) {
  if (PyList_Check(container)) {
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(container); ++i)
      if (visit(PyList_GET_ITEM(container, i))) return true;
  } else if (PyTuple_Check(container)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(container); ++i)
      if (visit(PyTuple_GET_ITEM(container, i))) return true;
  } else if (PyDict_Check(container)) {
    Py_ssize_t position = 0;
    PyObject* value = nullptr;
    while (PyDict_Next(container, &position, nullptr, &value))
      if (visit(value)) return true;
  }
  return false;
}

// Whether lists, tuples and dicts are nested in each other to more than `levels` levels. A circular one is.
bool nests_deeper(PyObject* object, int levels) {
  if (!PyList_Check(object) && !PyTuple_Check(object) && !PyDict_Check(object)) return false;
  return levels == 0 || any_inside(object, [levels](PyObject* item) { return nests_deeper(item, levels - 1); });
}

void add(std::vector<PyTypeObject*>& types, PyObject* object) {
  PyTypeObject* const type = Py_TYPE(object);
  if (!types.empty() && types.back() == type) return;
  if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
}

// The types of what lists, tuples and dicts hold in each other. A subclass of these counts as no container.
void add_leaves(std::vector<PyTypeObject*>& types, PyObject* object) {
  if (!PyList_CheckExact(object) && !PyTuple_CheckExact(object) && !PyDict_CheckExact(object))
    return add(types, object);
  any_inside(object, [&types](PyObject* item) {
    add_leaves(types, item);
    return false;
  });
}

// The place of a key among some names; names.size() if it is not among them, or not a plain string. Dicts of one origin
// have the same keys, of the same memory, in the same order.
size_t place_of(PyObject* key, const std::vector<PyObject*>& names, size_t likely) {
  if (likely < names.size() && names[likely] == key) return likely;
  if (!PyUnicode_CheckExact(key)) return names.size();
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == key || PyUnicode_Compare(names[i], key) == 0) return i;
  return names.size();
}

// The distinct types of what the objects contain. Of lists and tuples: one list of the types of their items. Of dicts:
// one list of types for each of `names`.
//
// The result is empty if the objects have different types (those of `missing` are ignored), or if a dict has keys
// other than `names`.
AnyList types_inside(const AnyList& objects, const AnyList& missing, const AnyList& names) {
  std::vector<PyObject*> keys;
  for (const nb::handle name : names) keys.push_back(name.ptr());
  std::vector<std::vector<PyTypeObject*>> types(std::max<size_t>(keys.size(), 1));
  PyTypeObject* container = nullptr;
  for (Py_ssize_t row = 0; row < PyList_GET_SIZE(objects.ptr()); ++row) {
    PyObject* const object = PyList_GET_ITEM(objects.ptr(), row);
    if (Py_TYPE(object) != container) {
      bool is_missing = false;
      for (const nb::handle type : missing) is_missing |= type.ptr() == reinterpret_cast<PyObject*>(Py_TYPE(object));
      if (is_missing) continue;
      if (container != nullptr) return {};
      container = Py_TYPE(object);
    }
    if (PyList_CheckExact(object)) {
      for (Py_ssize_t i = 0; i < PyList_GET_SIZE(object); ++i) add(types[0], PyList_GET_ITEM(object, i));
    } else if (PyTuple_CheckExact(object)) {
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); ++i) add(types[0], PyTuple_GET_ITEM(object, i));
    } else if (PyDict_CheckExact(object) && static_cast<size_t>(PyDict_Size(object)) == keys.size()) {
      Py_ssize_t position = 0;
      PyObject* key = nullptr;
      PyObject* value = nullptr;
      for (size_t likely = 0; PyDict_Next(object, &position, &key, &value); ++likely) {
        const size_t place = place_of(key, keys, likely);
        if (place == keys.size()) return {};
        add(types[place], value);
      }
    } else {
      return {};
    }
  }
  nb::list result;
  for (const std::vector<PyTypeObject*>& some : types) result.append(list_of(some));
  return nb::borrow<AnyList>(result);
}

// The least and the greatest of some numbers, without those that mean null. If there are none, the greatest is below
// the least.
std::pair<int64_t, int64_t> range_of(nb::ndarray<const int32_t, nb::shape<-1>, nb::c_contig, nb::device::cpu> numbers,
                                     int32_t null) {
  int32_t least = 0;
  int32_t greatest = 0;
  kernels().find_range(numbers.data(), static_cast<int64_t>(numbers.shape(0)), null, least, greatest);
  return {least, greatest};
}

}  // namespace

void bind_objects(nb::module_& m) {
  constexpr const char* share =
      "out[i] = objects[codes[i] - first], and the last of ``objects`` for a code outside of the others.";
  m.def("share_objects", &share_objects<int8_t>, "out"_a, "objects"_a, "codes"_a.noconvert(), "first"_a = 0,
        "threads"_a = 0, share);
  m.def("share_objects", &share_objects<int32_t>, "out"_a, "objects"_a, "codes"_a.noconvert(), "first"_a = 0,
        "threads"_a = 0, share);
  m.def("types_of", &types_of, "array"_a,
        "The distinct types of an array's objects, in the order in which they occur.");
  m.def(
      "nests_deeper", [](nb::handle object, int levels) { return nests_deeper(object.ptr(), levels); },
      "object"_a.none(), "levels"_a,
      "Whether an object has lists, tuples and dicts in each other to more than so many levels.");
  m.def(
      "leaf_types",
      [](nb::handle object) {
        std::vector<PyTypeObject*> types;
        add_leaves(types, object.ptr());
        return list_of(types);
      },
      "object"_a,
      "The distinct types of what lists, tuples and dicts hold in each other, and that is none of these. They must "
      "not be circular.");
  m.def("types_inside", &types_inside, "objects"_a, "missing"_a, "names"_a,
        "The distinct types of the items of lists or tuples, in one list; with names, of the values of dicts, in one "
        "list for each name. Nothing where containers are mixed, or dicts have other keys.");
  m.def("range_of", &range_of, "numbers"_a, "null"_a,
        "(least, greatest) of int32 numbers, without those that mean null.");
}

}  // namespace colonnade
