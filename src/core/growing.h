// The words of a growing table's head that two processes share: published with a release store, read with an acquire
// load, waited for with a futex.
//
// Does not depend on: Python, names, columns.
//
// Why a reader that has loaded `committed` sees the rows
// ------------------------------------------------------
// The producer stores the rows, and then `committed` with release order. A reader loads `committed` with acquire order,
// and then the rows. If it reads n, all stores to rows below n happen before its loads: on x86 because stores become
// visible in their order and loads are not reordered with loads; on ARM because the store is `stlr` and the load
// `ldar`. Nobody stores to rows below n again, so the loads race with nothing, except for one byte, below.
//
// The last byte of bits
// ---------------------
// Bits of published and of unpublished rows share a byte. The producer replaces it by ONE store of a byte that has the
// same published bits. A reader's plain load of the byte sees the old or the new value (a byte is single-copy atomic on
// x86 and on ARM), and both have the bits that it may use. It is a data race in the words of C++ only if the reader's
// load is not atomic, which Arrow's and NumPy's are not: TSan reports it for that byte alone.
#pragma once
#include <cstdint>

namespace colonnade {

// Publishes: a release store, and then wakes everybody who waits for the low half of the word to change.
void publish_word(uint64_t* word, uint64_t value) noexcept;

// Wakes everybody who waits for the low half of the word.
void wake_word(const uint64_t* word) noexcept;

// A release store, for which nobody waits.
void store_word(uint64_t* word, uint64_t value) noexcept;

// The same of four bytes: the length of a footer.
void store_half_word(uint32_t* word, uint32_t value) noexcept;

uint64_t load_word(const uint64_t* word) noexcept;

}  // namespace colonnade
