// What the bindings share: calls without the GIL, errors of the system, arrays and buffers.
//
// The files bind_*.cpp are the only ones that depend on Python and nanobind. Each decodes and checks what Python
// passes, releases the GIL and calls one part of the core. module.cpp puts them together.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cerrno>
#include <exception>
#include <memory>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "threads.h"

namespace colonnade {

namespace nb = nanobind;
using namespace nb::literals;

// Each adds its functions and classes to the module.
void bind_arrow(nb::module_& m);
void bind_descriptor(nb::module_& m);
void bind_growing(nb::module_& m);
void bind_growing_direct(nb::module_& m);
void bind_growing_reader(nb::module_& m);
void bind_key_index(nb::module_& m);
void bind_memory(nb::module_& m);
void bind_moves(nb::module_& m);
void bind_objects(nb::module_& m);
void bind_plan(nb::module_& m);
void bind_text_views(nb::module_& m);
void bind_write_watch(nb::module_& m);

// The processors this process may use, which in a container are fewer than the machine has.
int available_threads();

// 0, or fewer, means as many as there are processors.
inline int threads_or_all(int threads) { return threads > 0 ? threads : available_threads(); }

// Makes a call without the GIL. nb::gil_scoped_release takes the GIL back in its destructor, and there Python ends a
// thread of a process that is ending: see `stop_where_it_would_unwind`.
template <class Call>
auto without_gil(const Call& call) {
  struct Nothing {};
  using Result = decltype(call());
  std::conditional_t<std::is_void_v<Result>, Nothing, Result> result{};
  std::exception_ptr error;
  PyThreadState* const thread = PyEval_SaveThread();
  try {
    if constexpr (std::is_void_v<Result>)
      call();
    else
      result = call();
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  stop_where_it_would_unwind([&] { PyEval_RestoreThread(thread); });
  if (error != nullptr) std::rethrow_exception(error);
  if constexpr (!std::is_void_v<Result>) return result;
}

[[noreturn]] inline void raise_os_error(int error) {
  errno = error;
  PyErr_SetFromErrno(PyExc_OSError);
  throw nb::python_error();
}

// Makes a call that fails with an errno, and raises the OSError.
template <class Call>
auto or_raise(const Call& call) {
  try {
    return call();
  } catch (const std::system_error& error) {
    raise_os_error(error.code().value());
  }
}

// A list or tuple of Python, as an argument. nanobind would make a std::vector of it in a function that is noexcept, so
// memory that runs out there would end the process; here the items are taken out in the called function.
template <class Item>
class Items {
 public:
  Items() = default;
  explicit Items(nb::object sequence) : sequence_(std::move(sequence)) {}

  // Without conversions: an array that was made here would not live as long as what refers to it.
  std::vector<Item> get() const {
    std::vector<Item> items;
    const auto count = static_cast<size_t>(PySequence_Fast_GET_SIZE(sequence_.ptr()));
    items.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      Item item{};
      if (!nb::try_cast(nb::handle(PySequence_Fast_GET_ITEM(sequence_.ptr(), static_cast<Py_ssize_t>(i))), item, false))
        throw nb::type_error("an item of a sequence has the wrong type");
      items.push_back(std::move(item));
    }
    return items;
  }

 private:
  nb::object sequence_;
};

template <auto... shape>
using NewArray = nb::ndarray<nb::numpy, int64_t, nb::shape<shape...>>;

// Gives the values to NumPy, which frees them.
template <auto... shape>
NewArray<shape...> new_array(std::vector<int64_t> values, std::initializer_list<size_t> sizes) {
  auto numbers = std::make_unique<std::vector<int64_t>>(std::move(values));
  int64_t* const data = numbers->data();
  const nb::capsule owner(numbers.get(),
                          [](void* values) noexcept { delete static_cast<std::vector<int64_t>*>(values); });
  numbers.release();
  return NewArray<shape...>(data, sizes, owner);
}

// Rows of int64, in the order of the fields.
template <const auto& fields, class Row>
void append_fields(std::vector<int64_t>& numbers, const Row& row) {
  std::apply([&](const auto&... field) { (numbers.push_back(row.*field.member), ...); }, fields);
}

// A view of an object's memory by the buffer protocol, released when it is destroyed.
class BufferView {
 public:
  BufferView(const nb::object& object, int flags) {
    if (PyObject_GetBuffer(object.ptr(), &view_, flags) != 0) throw nb::python_error();
  }
  ~BufferView() { PyBuffer_Release(&view_); }
  BufferView(const BufferView&) = delete;
  BufferView& operator=(const BufferView&) = delete;

  const Py_buffer& get() const { return view_; }

 private:
  Py_buffer view_;
};

}  // namespace colonnade

namespace nanobind::detail {

template <class Item>
struct type_caster<colonnade::Items<Item>> {
  NB_TYPE_CASTER(colonnade::Items<Item>,
                 const_name("collections.abc.Sequence[") + make_caster<Item>::Name + const_name("]"))

  bool from_python(handle source, uint32_t /*flags*/, cleanup_list* /*cleanup*/) noexcept {
    if (!PyList_Check(source.ptr()) && !PyTuple_Check(source.ptr())) return false;
    value = colonnade::Items<Item>(borrow(source));
    return true;
  }
};

}  // namespace nanobind::detail
