#include "kernels.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "bitmap.h"

namespace colonnade {
namespace {

template <class T>
T load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

bool is_valid(const uint64_t* words, int64_t row) { return words[row / word_bits] >> (row % word_bits) & 1; }

// Compares to bytes first: that loop vectorises, and packing bytes to bits is a multiplication for eight.
template <class T, class Predicate>
void scan(const char* elements, int64_t count, uint64_t* words, Predicate valid) {
  for (int64_t start = 0; start < count; start += word_bits) {
    const int64_t here = count - start < word_bits ? count - start : word_bits;
    uint8_t bytes[word_bits] = {};
    const char* from = elements + start * sizeof(T);
    if (here == word_bits) {
      for (int64_t i = 0; i < word_bits; ++i) bytes[i] = valid(load<T>(from + i * sizeof(T)));
    } else {
      for (int64_t i = 0; i < here; ++i) bytes[i] = valid(load<T>(from + i * sizeof(T)));
    }
    words[start / word_bits] = pack64(bytes);
  }
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
      visit(start + std::countr_zero(nulls));
      nulls &= nulls - 1;
    }
  }
}

bool holds_its_nulls(Validity kind) {
  return kind == Validity::nan16 || kind == Validity::nan32 || kind == Validity::nan64 || kind == Validity::nat;
}

template <class Visit>
void with_element(Element element, Visit visit) {
  switch (element) {
    case Element::i8: return visit(int8_t{});
    case Element::i16: return visit(int16_t{});
    case Element::i32: return visit(int32_t{});
    case Element::i64: return visit(int64_t{});
    case Element::u8: return visit(uint8_t{});
    case Element::u16: return visit(uint16_t{});
    case Element::u32: return visit(uint32_t{});
    case Element::u64: return visit(uint64_t{});
  }
}

template <class Visit>
void with_signed_width(int64_t width, Visit visit) {
  switch (width) {
    case 1: return visit(int8_t{});
    case 2: return visit(int16_t{});
    case 4: return visit(int32_t{});
    default: return visit(int64_t{});
  }
}

}  // namespace

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

int64_t read_validity(const Run& run, const char* elements, uint64_t* words) {
  const int64_t count = run.count;
  const int64_t first = run.piece.offset + run.row;
  const auto* separate = reinterpret_cast<const uint8_t*>(run.piece.validity);
  switch (run.job.validity) {
    case Validity::none:
      all_valid(count, words);
      return 0;
    case Validity::bits:
      if (separate == nullptr) {
        all_valid(count, words);
        return 0;
      }
      copy_bits(separate, first, count, words);
      break;
    case Validity::mask:
      if (separate == nullptr) {
        all_valid(count, words);
        return 0;
      }
      scan<uint8_t>(reinterpret_cast<const char*>(separate) + first, count, words,
                    [](uint8_t null) { return null == 0; });
      break;
    case Validity::nan16:
      // Half precision: a NaN has all five exponent bits set and some mantissa bit.
      scan<uint16_t>(elements, count, words, [](uint16_t half) { return (half & 0x7fff) <= 0x7c00; });
      break;
    case Validity::nan32:
      scan<float>(elements, count, words, [](float value) { return value == value; });
      break;
    case Validity::nan64:
      scan<double>(elements, count, words, [](double value) { return value == value; });
      break;
    case Validity::nat:
      scan<int64_t>(elements, count, words,
                    [](int64_t value) { return value != std::numeric_limits<int64_t>::min(); });
      break;
    case Validity::negative:
      with_signed_width(run.job.width, [&](auto example) {
        using T = decltype(example);
        scan<T>(elements, count, words, [](T code) { return code >= 0; });
      });
      break;
  }
  int64_t valid = 0;
  for (int64_t start = 0; start < count; start += word_bits)
    valid += std::popcount(words[start / word_bits] & low_bits(count - start));
  return count - valid;
}

void write_fixed(const Run& run, const char* elements, const uint64_t* words, int64_t nulls, char* out) {
  const int64_t width = run.job.width;
  std::memcpy(out, elements, run.count * width);
  // A NaN or NaT that was read as null is what pandas wants in its place; its very bits are kept.
  if (nulls == 0 || holds_its_nulls(run.job.validity)) return;
  const int64_t pattern = run.job.fill;
  const int64_t narrow = width < 8 ? width : 8;
  for_each_null(words, run.count, [&](int64_t row) {
    char* slot = out + row * width;
    for (int64_t done = 0; done < width; done += narrow) {
      const int64_t left = width - done;
      std::memcpy(slot + done, &pattern, left < narrow ? left : narrow);
    }
  });
}

void read_booleans(const Run& run, const char* elements, const uint64_t* words, uint64_t* out) {
  if (run.job.values == Values::bits) {
    copy_bits(reinterpret_cast<const uint8_t*>(run.piece.values), run.piece.offset + run.row, run.count, out);
  } else {
    scan<uint8_t>(elements, run.count, out, [](uint8_t byte) { return byte != 0; });
  }
  for (int64_t i = 0; i < words_for(run.count); ++i) out[i] &= words[i];
}

void write_offsets(const Run& run, char* out) {
  const auto rebase = [&](auto source_example, auto out_example) {
    using Source = decltype(source_example);
    using Out = decltype(out_example);
    const char* first = reinterpret_cast<const char*>(run.piece.values) + run.piece.offset * sizeof(Source);
    // Unsigned, for offsets of a broken source may be anything: they then wrap, and Arrow's validation finds them.
    const uint64_t shift = static_cast<uint64_t>(run.piece.base) - static_cast<uint64_t>(load<Source>(first));
    const char* from = first + run.row * sizeof(Source);
    for (int64_t i = 0; i < run.count; ++i) {
      const Out offset = static_cast<Out>(static_cast<uint64_t>(load<Source>(from + i * sizeof(Source))) + shift);
      std::memcpy(out + i * sizeof(Out), &offset, sizeof(Out));
    }
  };
  const bool wide = run.job.out_width == 8;
  if (run.job.values == Values::offsets32) {
    wide ? rebase(int32_t{}, int64_t{}) : rebase(int32_t{}, int32_t{});
  } else {
    wide ? rebase(int64_t{}, int64_t{}) : rebase(int64_t{}, int32_t{});
  }
}

void write_bytes(const uint64_t* words, int64_t count, bool inverted, char* out) {
  const uint64_t flip = inverted ? ~uint64_t{0} : 0;
  for (int64_t start = 0; start < count; start += word_bits) {
    const int64_t here = count - start < word_bits ? count - start : word_bits;
    const uint64_t word = words[start / word_bits] ^ flip;
    for (int64_t i = 0; i < here; ++i) out[start + i] = static_cast<char>(word >> i & 1);
  }
}

void write_float64(const Run& run, const char* elements, const uint64_t* words, char* out) {
  with_element(run.job.element, [&](auto example) {
    using T = decltype(example);
    for (int64_t i = 0; i < run.count; ++i) {
      const double value = is_valid(words, i) ? static_cast<double>(load<T>(elements + i * sizeof(T)))
                                              : std::numeric_limits<double>::quiet_NaN();
      std::memcpy(out + i * sizeof(double), &value, sizeof(double));
    }
  });
}

void write_codes(const Run& run, const char* elements, const uint64_t* words, char* out) {
  with_element(run.job.element, [&](auto example) {
    using T = decltype(example);
    with_signed_width(run.job.twin_width, [&](auto code_example) {
      using Code = decltype(code_example);
      for (int64_t i = 0; i < run.count; ++i) {
        const Code code =
            is_valid(words, i) ? static_cast<Code>(load<T>(elements + i * sizeof(T))) : static_cast<Code>(-1);
        std::memcpy(out + i * sizeof(Code), &code, sizeof(Code));
      }
    });
  });
}

}  // namespace colonnade
