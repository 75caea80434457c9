// How an output element is made: one struct for each way, which makes one element or a vector of elements. And the loop
// that writes whole cache lines of them.
//
// Does not depend on: jobs, runs, which way a job asks for.
// For kernels.cpp alone, and compiled with it for each instruction set: internal linkage throughout.
#pragma once
#include <cstring>
#include <limits>

#include "bitmap.h"
#include "kernels.h"
#include "simd.h"

namespace colonnade {
namespace {

bool is_valid(const uint64_t* words, int64_t row) { return words[row / word_bits] >> (row % word_bits) & 1; }

// An operation makes one element, or a vector of them. `begin` is called before the vectors of a cache line: it
// prefetches the source that is read later, and loads the validity of the whole line.
template <class Op, class T = typename Op::Out>
void write(Op& op, int64_t count, bool streams, char* out) {
  constexpr int64_t per_line = line_bytes / int64_t{sizeof(T)};
  const auto put = [&](int64_t row) {
    const T value = op.one(row);
    std::memcpy(out + row * sizeof(T), &value, sizeof(T));
  };
  int64_t row = 0;
  if (streams) {
    const auto past_line = static_cast<int64_t>(reinterpret_cast<uintptr_t>(out) % line_bytes);
    const int64_t head = past_line == 0 ? 0 : (line_bytes - past_line) / int64_t{sizeof(T)};
    for (; row < head && row < count; ++row) put(row);
    for (; row + per_line <= count; row += per_line) {
      op.begin(row);
      for (int64_t i = 0; i < per_line; i += lanes<T>) stream(out + (row + i) * sizeof(T), op.many(row + i));
    }
  }
  for (; row + lanes<T> <= count; row += lanes<T>) {
    op.begin(row);
    const Lanes<T> values = op.many(row);
    std::memcpy(out + row * sizeof(T), &values, sizeof(values));
  }
  for (; row < count; ++row) put(row);
}

// The validity of the rows of one cache line, whose elements have this width.
template <int64_t width>
class LineBits {
 public:
  explicit LineBits(const uint64_t* words) : words_(words) {}
  void begin(int64_t row) {
    first_ = row;
    if constexpr (line_bytes / width < word_bits) {
      // One load and one shift: 57 bits at least, of which the line needs 32 at most.
      bits_ = load<uint64_t>(reinterpret_cast<const char*>(words_) + row / 8) >> (row % 8);
    } else {
      bits_ = bits_at(words_, row);
    }
  }
  template <class T>
  Lanes<T> mask(int64_t row) const {
    return mask_from<T>(bits_, row - first_);
  }
  bool operator[](int64_t row) const { return is_valid(words_, row); }

 private:
  const uint64_t* words_;
  int64_t first_ = 0;
  uint64_t bits_ = 0;
};

// Elements of type In with their validity, to be written `width` bytes wide.
template <class In, int64_t width>
struct Nullable {
  const char* source;
  Prefetch prefetch;
  LineBits<width> valid;
  In at(int64_t row) const { return load<In>(source + row * sizeof(In)); }
  void begin(int64_t row) {
    valid.begin(row);
    prefetch_from(source + row * sizeof(In), prefetch.end, prefetch.next);
  }
};

template <class Op, class T = typename Op::Out>
Lanes<T> one_by_one(Op& op, int64_t row) {
  T values[lanes<T>];
  for (int64_t i = 0; i < lanes<T>; ++i) values[i] = op.one(row + i);
  return load<Lanes<T>>(values);
}

// Elements as they are.
struct Copied {
  using Out = int64_t;
  const char* source;
  Prefetch prefetch;
  Out one(int64_t row) { return load<Out>(source + row * sizeof(Out)); }
  Lanes<Out> many(int64_t row) { return load<Lanes<Out>>(source + row * sizeof(Out)); }
  void begin(int64_t row) { prefetch_from(source + row * sizeof(Out), prefetch.end, prefetch.next); }
};

// Elements, or the fill where null.
template <class T>
struct Filled : Nullable<T, sizeof(T)> {
  using Out = T;
  using Nullable<T, sizeof(T)>::source, Nullable<T, sizeof(T)>::valid;
  T fill;
  T one(int64_t row) { return valid[row] ? this->at(row) : fill; }
  Lanes<T> many(int64_t row) {
    return valid.template mask<T>(row) ? load<Lanes<T>>(source + row * sizeof(T)) : splat(fill);
  }
};

// A byte for each bit.
struct Bytes {
  using Out = int8_t;
  const uint64_t* words;
  uint64_t flip;
  int8_t one(int64_t row) { return static_cast<int8_t>((words[row / word_bits] ^ flip) >> (row % word_bits) & 1); }
  Lanes<int8_t> many(int64_t row) { return mask_of<int8_t>(bits_at(words, row) ^ flip) & splat(int8_t{1}); }
  void begin(int64_t) {}
};

template <class In>
struct Float64 : Nullable<In, sizeof(double)> {
  using Out = double;
  using Nullable<In, sizeof(double)>::source, Nullable<In, sizeof(double)>::valid;
  static constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  double one(int64_t row) { return valid[row] ? static_cast<double>(this->at(row)) : nan; }
  Lanes<double> many(int64_t row) {
    constexpr int64_t count = lanes<double>;
    const auto numbers = to_double<In, count>(load<Lanes<In, count>>(source + row * sizeof(In)));
    return valid.template mask<int64_t>(row) ? numbers : splat(nan);
  }
};

// Indices as codes of the same width.
template <class In, class Code>
struct Codes : Nullable<In, sizeof(Code)> {
  using Out = Code;
  using Nullable<In, sizeof(Code)>::source, Nullable<In, sizeof(Code)>::valid;
  uint64_t limit;
  const int32_t* map;
  bool overflows = false;

  Code one(int64_t row) {
    if (!valid[row]) return -1;
    const In index = this->at(row);
    if (static_cast<uint64_t>(index) >= limit) {  // a negative one is a large one
      overflows = true;
      return -1;
    }
    return map == nullptr ? static_cast<Code>(index) : static_cast<Code>(map[static_cast<uint64_t>(index)]);
  }
  Lanes<Code> many(int64_t row) {
    if constexpr (sizeof(In) == sizeof(Code)) {
      using Unsigned = std::make_unsigned_t<Code>;
      constexpr uint64_t most = std::numeric_limits<Unsigned>::max();
      if (map == nullptr) {
        const auto is_known = valid.template mask<Code>(row);
        const auto index = load<Lanes<Unsigned>>(source + row * sizeof(In));
        const Lanes<Code> outside =
            limit > most ? Lanes<Code>{} : (Lanes<Code>)(index >= splat(static_cast<Unsigned>(limit)));
        any_outside |= is_known & outside;
        return is_known & ~outside ? (Lanes<Code>)index : splat(Code{-1});
      }
    }
    return one_by_one(*this, row);
  }

  bool found_overflows() const { return overflows || bits_of<Code>(any_outside != 0) != 0; }

  Lanes<Code> any_outside = {};
};

template <class In>
struct Scaled : Nullable<In, sizeof(int64_t)> {
  using Out = int64_t;
  using Nullable<In, sizeof(int64_t)>::source, Nullable<In, sizeof(int64_t)>::valid;
  int64_t factor;
  bool overflows = false;
  int64_t one(int64_t row) {
    int64_t result = std::numeric_limits<int64_t>::min();
    if (!valid[row]) return result;
    if (__builtin_mul_overflow(int64_t{this->at(row)}, factor, &result)) overflows = true;
    return result;
  }
  Lanes<int64_t> many(int64_t row) { return one_by_one(*this, row); }

  bool found_overflows() const { return overflows; }
};

template <class In, class Integer>
struct Integers : Nullable<In, sizeof(Integer)> {
  using Out = Integer;
  using Nullable<In, sizeof(Integer)>::source, Nullable<In, sizeof(Integer)>::valid;
  bool overflows = false;
  // Both ends are exact in double; the upper one is the first that does not fit.
  static constexpr double low = static_cast<double>(std::numeric_limits<Integer>::min());
  static constexpr double high = 2 * static_cast<double>(std::numeric_limits<Integer>::max() / 2 + 1);
  Integer one(int64_t row) {
    if (!valid[row]) return 0;
    const double value = this->at(row);
    if (!(value >= low && value < high)) {
      overflows = true;
      return 0;
    }
    const Integer result = static_cast<Integer>(value);
    overflows |= static_cast<double>(result) != value;
    return result;
  }
  Lanes<Integer> many(int64_t row) { return one_by_one(*this, row); }

  bool found_overflows() const { return overflows; }
};

template <class In, class Offset>
struct Offsets {
  using Out = Offset;
  const char* source;
  Prefetch prefetch;
  uint64_t shift;
  // Unsigned, because offsets of a damaged source may be any number: they wrap, and Arrow's validation finds them.
  Offset one(int64_t row) {
    return static_cast<Offset>(static_cast<uint64_t>(load<In>(source + row * sizeof(In))) + shift);
  }
  Lanes<Offset> many(int64_t row) {
    if constexpr (sizeof(In) > sizeof(Offset)) {
      return one_by_one(*this, row);
    } else {
      using Unsigned = Lanes<std::make_unsigned_t<Offset>>;
      const auto in = load<Lanes<In, lanes<Offset>>>(source + row * sizeof(In));
      const auto wide = (Unsigned) __builtin_convertvector(in, Lanes<Offset>);
      return (Lanes<Offset>)(wide + splat(static_cast<std::make_unsigned_t<Offset>>(shift)));
    }
  }
  void begin(int64_t row) { prefetch_from(source + row * sizeof(In), prefetch.end, prefetch.next); }
};

// Copies elements and scans them in the same pass over memory. Rows come in ascending order, vectors at multiples of
// their lanes.
template <class T, class Predicate>
struct Scanned {
  using Out = T;
  const char* source;
  Prefetch prefetch;
  uint64_t* words;
  Predicate valid;
  uint64_t word = 0;  // is being filled; it stays in a register, so that the next vector does not wait for memory
  T one(int64_t row) {
    const T value = load<T>(source + row * sizeof(T));
    add(uint64_t{valid(splat(value))[0] != 0}, row, 1);
    return value;
  }
  Lanes<T> many(int64_t row) {
    const Lanes<T> values = load<Lanes<T>>(source + row * sizeof(T));
    add(bits_of<Signed<sizeof(T)>>((Lanes<Signed<sizeof(T)>>)valid(values)), row, lanes<T>);
    return values;
  }
  void add(uint64_t bits, int64_t row, int64_t count) {
    word |= bits << (row % word_bits);
    if ((row + count) % word_bits != 0) return;
    words[row / word_bits] = word;
    word = 0;
  }
  void begin(int64_t row) { prefetch_from(source + row * sizeof(T), prefetch.end, prefetch.next); }
};

}  // namespace
}  // namespace colonnade
