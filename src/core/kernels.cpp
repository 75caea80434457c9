// The kernels of one instruction set: compiled once with -mavx2 -mbmi2, and once for any processor.
#include "kernels.h"

#include <cstring>
#include <limits>

#include "bitmap.h"
#include "operations.h"
#include "simd.h"

namespace colonnade {
namespace {

// -- reading --

// `valid` takes a vector and returns a mask of lanes.
template <class T, class Predicate>
void scan(const char* elements, const Prefetch& prefetch, int64_t count, uint64_t* words, Predicate valid) {
  using Mask = Signed<sizeof(T)>;
  int64_t row = 0;
  for (; row + word_bits <= count; row += word_bits) {
    uint64_t word = 0;
    for (int64_t i = 0; i < word_bits; i += lanes<T>) {
      const char* from = elements + (row + i) * sizeof(T);
      if (i * sizeof(T) % line_bytes == 0) prefetch_from(from, prefetch.end, prefetch.next);
      word |= bits_of<Mask>((Lanes<Mask>)valid(load<Lanes<T>>(from))) << i;
    }
    words[row / word_bits] = word;
  }
  if (row == count) return;
  uint64_t word = 0;
  for (int64_t i = 0; row + i < count; ++i) {
    const Lanes<T> one = splat(load<T>(elements + (row + i) * sizeof(T)));
    word |= uint64_t{valid(one)[0] != 0} << i;
  }
  words[row / word_bits] = word;
}

void all_valid(int64_t count, uint64_t* words) {
  for (int64_t i = 0; i < words_for(count); ++i) words[i] = ~uint64_t{0};
}

void copy_bits(const uint8_t* bits, int64_t offset, int64_t count, uint64_t* words) {
  for (int64_t start = 0; start < count; start += word_bits) {
    const int64_t here = count - start < word_bits ? count - start : word_bits;
    words[start / word_bits] = read_bits(bits, offset + start, here);
  }
}

template <int64_t width>
void gather_width(const char* first, int64_t stride, int64_t count, char* out) {
  for (int64_t i = 0; i < count; ++i) std::memcpy(out + i * width, first + i * stride, width);
}

// Visits the null rows of a block, lowest first.
template <class Visit>
void for_each_null(const uint64_t* words, int64_t count, Visit visit) {
  for (int64_t start = 0; start < count; start += word_bits) {
    uint64_t nulls = ~words[start / word_bits] & low_bits(count - start);
    while (nulls != 0) {
      visit(start + __builtin_ctzll(nulls));
      nulls &= nulls - 1;
    }
  }
}

// Calls `visit` with a value of the C++ type that an Element names.
template <class Visit>
bool with_integer(Element element, Visit visit) {
  switch (element) {
    case Element::int8: return visit(int8_t{});
    case Element::int16: return visit(int16_t{});
    case Element::int32: return visit(int32_t{});
    case Element::int64: return visit(int64_t{});
    case Element::uint8: return visit(uint8_t{});
    case Element::uint16: return visit(uint16_t{});
    case Element::uint32: return visit(uint32_t{});
    case Element::uint64: return visit(uint64_t{});
    default: return false;
  }
}

template <class Visit>
bool with_signed_width(int64_t width, Visit visit) {
  switch (width) {
    case 1: return visit(int8_t{});
    case 2: return visit(int16_t{});
    case 4: return visit(int32_t{});
    case 8: return visit(int64_t{});
    default: return false;
  }
}

// -- the table's entries --

void gather(const char* first, int64_t stride, int64_t width, int64_t count, char* out) {
  switch (width) {
    case 1: return gather_width<1>(first, stride, count, out);
    case 2: return gather_width<2>(first, stride, count, out);
    case 4: return gather_width<4>(first, stride, count, out);
    case 8: return gather_width<8>(first, stride, count, out);
    default:
      for (int64_t i = 0; i < count; ++i) std::memcpy(out + i * width, first + i * stride, width);
  }
}

int64_t count_nulls(const uint64_t* words, int64_t count) {
  int64_t valid = 0;
  for (int64_t start = 0; start < count; start += word_bits)
    valid += __builtin_popcountll(words[start / word_bits] & low_bits(count - start));
  return count - valid;
}

// Validity that the elements themselves contain: calls `visit` with their C++ type and the predicate.
template <class Visit>
bool with_scan(const Job& job, Visit visit) {
  switch (job.validity) {
    case Validity::nan16:
      // Half precision: a NaN has all five exponent bits set and some mantissa bit.
      return visit(int16_t{}, [](Lanes<int16_t> half) { return (half & 0x7fff) <= 0x7c00; });
    case Validity::nan32: return visit(float{}, [](Lanes<float> value) { return value == value; });
    case Validity::nan64: return visit(double{}, [](Lanes<double> value) { return value == value; });
    case Validity::nat:
      return visit(int64_t{}, [](Lanes<int64_t> value) { return value != std::numeric_limits<int64_t>::min(); });
    case Validity::negative:
      return with_signed_width(job.width, [&](auto example) {
        return visit(example, [](Lanes<decltype(example)> code) { return code >= 0; });
      });
    default: return false;
  }
}

int64_t read_validity(const Run& run, uint64_t* words) {
  const int64_t count = run.count;
  const int64_t first = run.piece->offset + run.row;
  const auto* separate = reinterpret_cast<const uint8_t*>(run.piece->validity);
  const Validity kind = run.job->validity;
  if (kind == Validity::none || ((kind == Validity::bits || kind == Validity::mask) && separate == nullptr)) {
    all_valid(count, words);
    return 0;
  }
  if (kind == Validity::bits) {
    copy_bits(separate, first, count, words);
  } else if (kind == Validity::mask) {
    scan<int8_t>(reinterpret_cast<const char*>(separate) + first, Prefetch{}, count, words,
                 [](Lanes<int8_t> null) { return null == 0; });
  } else {
    with_scan(*run.job, [&](auto example, auto valid) {
      scan<decltype(example)>(run.elements, run.prefetch, count, words, valid);
      return true;
    });
  }
  return count_nulls(words, count);
}

void write_fixed(const Run& run, const uint64_t* words, int64_t nulls, char* out) {
  const int64_t width = run.job->width;
  if (nulls != 0 && !holds_its_nulls(run.job->validity)) {
    const bool is_plain = with_signed_width(width, [&](auto example) {
      using T = decltype(example);
      Filled<T> op{{run.elements, run.prefetch, LineBits<sizeof(T)>(words)}, static_cast<T>(run.job->fill)};
      write(op, run.count, run.streams, out);
      return true;
    });
    if (is_plain) return;
  }
  const int64_t bytes = run.count * width;
  if (run.streams && reinterpret_cast<uintptr_t>(out) % sizeof(int64_t) == 0) {
    const int64_t whole = bytes / int64_t{sizeof(int64_t)};
    Copied op{run.elements, run.prefetch};
    write(op, whole, true, out);
    std::memcpy(out + whole * sizeof(int64_t), run.elements + whole * sizeof(int64_t), bytes % sizeof(int64_t));
  } else {
    std::memcpy(out, run.elements, bytes);
  }
  if (nulls == 0 || holds_its_nulls(run.job->validity)) return;
  const int64_t pattern = run.job->fill;
  const int64_t narrow = width < 8 ? width : 8;
  for_each_null(words, run.count, [&](int64_t row) {
    char* slot = out + row * width;
    for (int64_t at = 0; at < width; at += narrow) {
      const int64_t rest = width - at;
      std::memcpy(slot + at, &pattern, rest < narrow ? rest : narrow);
    }
  });
}

int64_t scan_fixed(const Run& run, uint64_t* words, char* out) {
  if (run.streams && reinterpret_cast<uintptr_t>(out) % line_bytes != 0) {
    const int64_t nulls = read_validity(run, words);
    write_fixed(run, words, nulls, out);
    return nulls;
  }
  with_scan(*run.job, [&](auto example, auto valid) {
    Scanned<decltype(example), decltype(valid)> op{run.elements, run.prefetch, words, valid};
    write(op, run.count, run.streams, out);
    if (run.count % word_bits != 0) words[run.count / word_bits] = op.word;
    return true;
  });
  return count_nulls(words, run.count);
}

void read_booleans(const Run& run, const uint64_t* words, uint64_t* out) {
  if (run.job->values == Values::bits) {
    copy_bits(reinterpret_cast<const uint8_t*>(run.piece->values), run.piece->offset + run.row, run.count, out);
  } else {
    scan<int8_t>(run.elements, run.prefetch, run.count, out, [](Lanes<int8_t> byte) { return byte != 0; });
  }
  for (int64_t i = 0; i < words_for(run.count); ++i) out[i] &= words[i];
}

void write_offsets(const Run& run, char* out) {
  const auto rebase = [&](auto source_example, auto out_example) {
    using Source = decltype(source_example);
    using Out = decltype(out_example);
    const char* first = reinterpret_cast<const char*>(run.piece->values) + run.piece->offset * sizeof(Source);
    const uint64_t shift =
        run.piece->base < 0 ? 0 : static_cast<uint64_t>(run.piece->base) - static_cast<uint64_t>(load<Source>(first));
    Offsets<Source, Out> op{first + run.row * sizeof(Source), Prefetch{}, shift};
    write(op, run.count, run.streams, out);
  };
  const bool wide = run.job->out_width == 8;
  if (run.job->values == Values::offsets32) {
    wide ? rebase(int32_t{}, int64_t{}) : rebase(int32_t{}, int32_t{});
  } else {
    wide ? rebase(int64_t{}, int64_t{}) : rebase(int64_t{}, int32_t{});
  }
}

void write_bytes(const uint64_t* words, int64_t count, bool inverts, bool streams, char* out) {
  Bytes op{words, inverts ? ~uint64_t{0} : 0};
  write(op, count, streams, out);
}

template <class Op>
bool write_checked(Op op, const Run& run, char* out) {
  write(op, run.count, run.streams, out);
  return op.found_overflows();
}

bool check_indices(const Run& run, const uint64_t* words) {
  return with_integer(run.job->element, [&](auto example) {
    using Index = std::make_unsigned_t<decltype(example)>;
    const auto operand = static_cast<uint64_t>(run.job->operand);
    if (operand > std::numeric_limits<Index>::max()) return false;
    const auto limit = static_cast<Index>(operand);  // a negative index is a large one
    bool overflows = false;
    for (int64_t start = 0; start < run.count; start += word_bits) {
      const int64_t count = run.count - start < word_bits ? run.count - start : word_bits;
      const char* const indices = run.elements + start * sizeof(Index);
      if (words[start / word_bits] == ~uint64_t{0} && count == word_bits) {
        Lanes<Index> most{};
        for (int64_t i = 0; i < word_bits; i += lanes<Index>) {
          const auto here = load<Lanes<Index>>(indices + i * sizeof(Index));
          most = here > most ? here : most;
        }
        for (int64_t i = 0; i < lanes<Index>; ++i) overflows |= most[i] >= limit;
      } else {
        for (int64_t i = 0; i < count; ++i)
          overflows |= is_valid(words, start + i) && load<Index>(indices + i * sizeof(Index)) >= limit;
      }
    }
    return overflows;
  });
}

bool write_pandas_buffer(const Run& run, const uint64_t* words, char* out) {
  const Job& job = *run.job;
  switch (job.pandas_buffer) {
    case PandasBuffer::none:
    case PandasBuffer::bytes: return false;
    case PandasBuffer::float64:
      return with_integer(job.element, [&](auto example) {
        Float64<decltype(example)> op{{run.elements, run.prefetch, LineBits<sizeof(double)>(words)}};
        write(op, run.count, run.streams, out);
        return false;
      });
    case PandasBuffer::codes:
      return with_integer(job.element, [&](auto example) {
        return with_signed_width(width_of(job.pandas_element), [&](auto code_example) {
          const auto* map = reinterpret_cast<const int32_t*>(run.piece->map);
          using Code = decltype(code_example);
          // Without a map an index is its own code, so it must fit.
          constexpr int64_t codes = std::numeric_limits<Code>::max();
          const int64_t limit = map != nullptr        ? run.piece->map_length
                                : job.operand > codes ? codes + (sizeof(Code) < 8)
                                                      : job.operand;
          return write_checked(
              Codes<decltype(example), Code>{
                  {run.elements, run.prefetch, LineBits<sizeof(Code)>(words)}, static_cast<uint64_t>(limit), map},
              run, out);
        });
      });
    case PandasBuffer::scaled:
      if (job.element == Element::int32)
        return write_checked(
            Scaled<int32_t>{{run.elements, run.prefetch, LineBits<sizeof(int64_t)>(words)}, job.operand}, run, out);
      return write_checked(Scaled<int64_t>{{run.elements, run.prefetch, LineBits<sizeof(int64_t)>(words)}, job.operand},
                           run, out);
    case PandasBuffer::integers:
      return with_integer(job.pandas_element, [&](auto example) {
        using Integer = decltype(example);
        if (job.element == Element::float32)
          return write_checked(Integers<float, Integer>{{run.elements, run.prefetch, LineBits<sizeof(Integer)>(words)}},
                               run, out);
        return write_checked(Integers<double, Integer>{{run.elements, run.prefetch, LineBits<sizeof(Integer)>(words)}},
                             run, out);
      });
  }
  return false;
}

void find_range(const int32_t* numbers, int64_t count, int32_t null, int32_t& least, int32_t& greatest) {
  constexpr int32_t most = std::numeric_limits<int32_t>::max();
  constexpr int32_t fewest = std::numeric_limits<int32_t>::min();
  Lanes<int32_t> low = splat(most);
  Lanes<int32_t> high = splat(fewest);
  int64_t row = 0;
  for (; row + lanes<int32_t> <= count; row += lanes<int32_t>) {
    const auto here = load<Lanes<int32_t>>(numbers + row);
    const auto lower = here == null ? splat(most) : here;
    const auto higher = here == null ? splat(fewest) : here;
    low = lower < low ? lower : low;
    high = higher > high ? higher : high;
  }
  least = most;
  greatest = fewest;
  const auto add = [&](int32_t number) {
    if (number < least) least = number;
    if (number > greatest) greatest = number;
  };
  for (; row < count; ++row)
    if (numbers[row] != null) add(numbers[row]);
  for (int64_t i = 0; i < lanes<int32_t>; ++i) {
    least = low[i] < least ? low[i] : least;
    greatest = high[i] > greatest ? high[i] : greatest;
  }
}

void finish() {
#ifdef __SSE2__
  _mm_sfence();
#endif
}

}  // namespace

#ifdef __AVX2__
extern const Kernels kernels_avx2;
const Kernels kernels_avx2 {
  .name = "avx2",
#else
extern const Kernels kernels_portable;
const Kernels kernels_portable{
    .name = "portable",
#endif
  .gather = gather, .read_validity = read_validity, .scan_fixed = scan_fixed, .write_fixed = write_fixed,
  .read_booleans = read_booleans, .write_offsets = write_offsets, .write_bytes = write_bytes,
  .check_indices = check_indices, .write_pandas_buffer = write_pandas_buffer, .find_range = find_range,
  .finish = finish,
};

}  // namespace colonnade
