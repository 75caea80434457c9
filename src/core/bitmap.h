// Bits in Arrow's order: least significant first, in 64-bit words.
//
// Bits are read at any offset without touching a byte outside of them, and appended.
// Does not depend on: jobs, threads.
// Internal linkage throughout: kernels.cpp is compiled once for each instruction set, and the linker must not mix them.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>

namespace colonnade {

static_assert(std::endian::native == std::endian::little, "Arrow's little-endian layout is assumed");

constexpr int64_t word_bits = 64;

static constexpr int64_t words_for(int64_t bits) { return (bits + word_bits - 1) / word_bits; }

// The lowest `count` bits set, 0 <= count <= 64.
static constexpr uint64_t low_bits(int64_t count) {
  return count >= word_bits ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

// `count` (1 to 64) bits of `bits` from bit `offset`; reads only the bytes that hold them, because a
// buffer of another library may end right there.
static inline uint64_t read_bits(const uint8_t* bits, int64_t offset, int64_t count) {
  const uint8_t* first = bits + (offset >> 3);
  const int shift = static_cast<int>(offset & 7);
  const int64_t bytes = (shift + count + 7) >> 3;
  uint64_t low = 0;
  if (bytes >= 8) {
    std::memcpy(&low, first, 8);  // one load; of a size that is not known it would be a call
  } else {
    std::memcpy(&low, first, bytes);
  }
  uint64_t word = low >> shift;
  if (bytes > 8) word |= uint64_t{first[8]} << (word_bits - shift);
  return word & low_bits(count);
}

// The 64 bits from bit `at`; `words` has a word more than the bits need.
static inline uint64_t bits_at(const uint64_t* words, int64_t at) {
  const int64_t word = at / word_bits;
  const int shift = static_cast<int>(at % word_bits);
  return (words[word] >> shift) | (words[word + 1] << 1 << (word_bits - 1 - shift));
}

// Puts the first `count` bits of `words` at bit `position` of `out`. What stands above `position` in its
// word is overwritten, so bits are appended in ascending order. `out` needs words_for(position + count) words.
static inline void append_bits(uint64_t* out, int64_t position, const uint64_t* words, int64_t count) {
  for (int64_t first = 0; first < count; first += word_bits) {
    const int64_t here = count - first < word_bits ? count - first : word_bits;
    const uint64_t word = words[first / word_bits] & low_bits(here);
    const int64_t at = position + first;
    const int shift = static_cast<int>(at % word_bits);
    uint64_t& slot = out[at / word_bits];
    slot = (slot & low_bits(shift)) | (word << shift);
    if (shift + here > word_bits) out[at / word_bits + 1] = word >> (word_bits - shift);
  }
}

}  // namespace colonnade
