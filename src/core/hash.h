// A hash of memory, as fast as memory is read: XXH3 (https://xxhash.com), on several threads.
//
// XXH3 of 64 bits and seed 0 for up to `hash_part` bytes. More bytes are cut into parts of `hash_part`: the result is
// XXH3 of the parts' hashes (little-endian, in order), and its seed is the number of bytes. So the hash does not depend
// on the number of threads, and may be stored: docs/format.md.
//
// It finds accidents, not attacks: whoever can choose the bytes can choose bytes of the same hash.
//
// Does not depend on: Python, files, what the bytes are.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace colonnade {

constexpr size_t hash_part = 1 << 20;

uint64_t hash_bytes(std::span<const uint8_t> data, int threads);

}  // namespace colonnade
