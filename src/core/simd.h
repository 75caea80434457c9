// Vectors as wide as the machine's, in the compiler's own notation, so that one source serves every instruction set.
//
// It loads, selects, packs and streams lanes. Does not depend on: jobs, what an element means.
// kernels.cpp is compiled once for each instruction set: everything here has internal linkage,
// or the linker would keep one instruction set's copy for both.
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace {

#ifdef __AVX2__
constexpr int64_t vector_bytes = 32;
#else
constexpr int64_t vector_bytes = 16;
#endif
constexpr int64_t line_bytes = 64;
// How many bytes ahead of the loads the source is prefetched. Measured, 1 GiB with non-temporal stores: 85 ms without,
// 77 ms at 512 bytes, 73 to 75 ms from 1 to 8 KiB (one thread); 44 ms and 38 ms with two.
constexpr int64_t read_ahead = 1536;

template <class T, int64_t count = vector_bytes / int64_t{sizeof(T)}>
struct LanesOf {
  typedef T type __attribute__((vector_size(count * sizeof(T))));
};
template <class T, int64_t count = vector_bytes / int64_t{sizeof(T)}>
using Lanes = typename LanesOf<T, count>::type;

template <class T>
constexpr int64_t lanes = vector_bytes / int64_t{sizeof(T)};

template <int64_t width>
using Signed =
    std::conditional_t<width == 1, int8_t,
                       std::conditional_t<width == 2, int16_t, std::conditional_t<width == 4, int32_t, int64_t>>>;

template <class T>
T load(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <class T>
Lanes<T> splat(T value) {
  return value - Lanes<T>{};
}

// Prefetches the address `read_ahead` bytes after `at`. Chunks may be short: after `end` the source goes on at `next`.
inline void prefetch_from(const char* at, const char* end, const char* next) {
  const uintptr_t asked = reinterpret_cast<uintptr_t>(at) + read_ahead;
  const uintptr_t past = asked - reinterpret_cast<uintptr_t>(end);
  __builtin_prefetch(reinterpret_cast<const char*>(
      asked < reinterpret_cast<uintptr_t>(end) ? asked : reinterpret_cast<uintptr_t>(next) + past));
}

// Stores past the caches: the line is not read first, and the contents of the caches stay. `to` is a multiple of
// vector_bytes.
template <class Vector>
void stream(void* to, Vector vector) {
#if defined(__AVX2__)
  _mm256_stream_si256(static_cast<__m256i*>(to), (__m256i)vector);
#elif defined(__SSE2__)
  _mm_stream_si128(static_cast<__m128i*>(to), (__m128i)vector);
#else
  std::memcpy(to, &vector, sizeof(vector));
#endif
}

template <class T, int64_t... i>
constexpr Lanes<T> bit_of_each_lane(std::integer_sequence<int64_t, i...>) {
  return Lanes<T>{static_cast<T>(uint64_t{1} << (i % (8 * int64_t{sizeof(T)})))...};
}

#ifdef __SSE2__
template <int64_t... i>
constexpr Lanes<int8_t> byte_of_each_lane(std::integer_sequence<int64_t, i...>) {
  return Lanes<int8_t>{static_cast<int8_t>(i / 8)...};
}
#endif

// All ones in the lanes whose bit is set; lane 0 is the lowest bit.
template <class T>
Lanes<T> mask_of(uint64_t bits) {
  static_assert(std::is_signed_v<T>);
  constexpr auto each = std::make_integer_sequence<int64_t, lanes<T>>{};
  constexpr Lanes<T> bit = bit_of_each_lane<T>(each);
  if constexpr (sizeof(T) == 1) {
    // There are more lanes than a lane has bits: each lane first gets the byte that its bit is in.
    Lanes<int32_t> all = splat(static_cast<int32_t>(bits));
    Lanes<int8_t> bytes;
#if defined(__AVX2__)
    bytes = (Lanes<int8_t>)_mm256_shuffle_epi8((__m256i)all, (__m256i)byte_of_each_lane(each));
#else
    std::memcpy(&bytes, &all, sizeof(bytes));
    constexpr int64_t half = lanes<T> / 2;
    for (int64_t i = 0; i < lanes<T>; ++i) bytes[i] = static_cast<int8_t>(bits >> (i < half ? 0 : 8));
#endif
    return (bytes & bit) == bit;
  } else {
    return (splat(static_cast<T>(bits)) & bit) == bit;
  }
}

#ifdef __AVX2__
template <class T, int64_t... i>
constexpr Lanes<T> shift_of_each_lane(std::integer_sequence<int64_t, i...>) {
  return Lanes<T>{static_cast<T>(8 * int64_t{sizeof(T)} - 1 - i)...};
}
#endif

// The mask of the bits from `from` on, as `mask_of(bits >> from)`, in fewer instructions: the processor then does it
// while it waits for memory.
template <class T>
Lanes<T> mask_from(uint64_t bits, int64_t from) {
#ifdef __AVX2__
  if constexpr (sizeof(T) >= 4) {
    // Each lane's bit becomes its sign, which is all that a blend looks at.
    constexpr auto each = std::make_integer_sequence<int64_t, lanes<T>>{};
    return (splat(static_cast<T>(bits)) << (shift_of_each_lane<T>(each) - static_cast<T>(from))) < 0;
  }
#endif
  return mask_of<T>(bits >> from);
}

// The other way: one bit for each lane, of lanes that are all ones or all zeros.
template <class T>
uint64_t bits_of(Lanes<T> mask) {
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 8) return static_cast<uint32_t>(_mm256_movemask_pd((__m256d)mask));
  if constexpr (sizeof(T) == 4) return static_cast<uint32_t>(_mm256_movemask_ps((__m256)mask));
  if constexpr (sizeof(T) == 1) return static_cast<uint32_t>(_mm256_movemask_epi8((__m256i)mask));
#elif defined(__SSE2__)
  if constexpr (sizeof(T) == 8) return static_cast<uint32_t>(_mm_movemask_pd((__m128d)mask));
  if constexpr (sizeof(T) == 4) return static_cast<uint32_t>(_mm_movemask_ps((__m128)mask));
  if constexpr (sizeof(T) == 1) return static_cast<uint32_t>(_mm_movemask_epi8((__m128i)mask));
#endif
  uint64_t bits = 0;
  for (int64_t i = 0; i < lanes<T>; ++i) bits |= uint64_t{mask[i] != 0} << i;
  return bits;
}

// Doubles of integers, each rounded once as a cast does.
template <class T, int64_t count>
Lanes<double, count> to_double(Lanes<T, count> from) {
  using Wide = Lanes<uint64_t, count>;
  using Doubles = Lanes<double, count>;
#ifdef __AVX2__
  if constexpr (sizeof(T) <= 2) {
    // What the compiler makes of the general form takes an element at a time.
    static_assert(count == 4);
    int64_t four = 0;
    std::memcpy(&four, &from, sizeof(from));
    const __m128i narrow = _mm_cvtsi64_si128(four);
    const __m128i wide = sizeof(T) == 1
                             ? (std::is_signed_v<T> ? _mm_cvtepi8_epi32(narrow) : _mm_cvtepu8_epi32(narrow))
                             : (std::is_signed_v<T> ? _mm_cvtepi16_epi32(narrow) : _mm_cvtepu16_epi32(narrow));
    return (Doubles)_mm256_cvtepi32_pd(wide);
  }
#endif
  if constexpr (std::is_signed_v<T> && sizeof(T) <= 4) {
    return __builtin_convertvector(__builtin_convertvector(from, Lanes<int32_t, count>), Doubles);
  } else if constexpr (sizeof(T) <= 4) {
    // In the double 2^52, the low half is a plain integer: its last bit stands for 1.
    const Wide wide = __builtin_convertvector(from, Wide) | 0x4330000000000000;
    return (Doubles)wide - 0x1p52;
  } else {
    // Two halves, each exact: the high one in the double 2^84, which counts in 2^32, and the low one in 2^52.
    constexpr uint64_t sign = std::is_signed_v<T> ? uint64_t{1} << 63 : 0;
    constexpr double bias = std::is_signed_v<T> ? 0x1p84 + 0x1p63 + 0x1p52 : 0x1p84 + 0x1p52;
    const Wide bits = (Wide)from ^ sign;
    const Doubles high = (Doubles)((bits >> 32) | 0x4530000000000000);
    const Doubles low = (Doubles)((bits & 0xffffffff) | 0x4330000000000000);
    return (high - bias) + low;
  }
}

}  // namespace
