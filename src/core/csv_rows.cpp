#include "csv_rows.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "simd.h"

namespace colonnade {
namespace {

constexpr size_t step = 64;  // a bit for each byte of it

// Where a sign stands in 64 bytes.
inline uint64_t places_of(const char* at, char sign) {
  uint64_t places = 0;
  for (size_t first = 0; first < step; first += vector_bytes)
    places |= bits_of<int8_t>(load<Lanes<int8_t>>(at + first) == splat(static_cast<int8_t>(sign))) << first;
  return places;
}

constexpr int64_t irregular_rows = -1;

// Bit i: whether the number of ones up to bit i, it included, is odd.
inline uint64_t odd_so_far(uint64_t bits) {
  for (int by = 1; by < 64; by *= 2) bits ^= bits << by;
  return bits;
}

// The end of the last row by the number of quotes before it; `irregular_rows` if a quote is not regular.
int64_t end_of_regular_rows(std::string_view text, char delimiter) {
  size_t end = 0;
  // What the byte before this step is: within quotes (all ones or none), a closing quote, or where a field may begin.
  uint64_t was_inside = 0, was_closing = 0, was_edge = 1;
  std::array<char, step> rest;
  for (size_t at = 0; at < text.size(); at += step) {
    const char* from = text.data() + at;
    if (text.size() - at < step) {
      rest.fill(delimiter);  // the end of the text ends a field, and no row
      std::memcpy(rest.data(), from, text.size() - at);
      from = rest.data();
    }
    const uint64_t quotes = places_of(from, '"'), lines = places_of(from, '\n');
    const uint64_t edges = quotes | lines | places_of(from, delimiter) | places_of(from, '\r');
    const uint64_t inside = odd_so_far(quotes) ^ was_inside;
    const uint64_t opening = quotes & inside, closing = quotes & ~inside;
    // A quote right behind a closing one is the second of a doubled one.
    const uint64_t bad = (opening & ~(edges << 1 | was_edge)) | ((closing << 1 | was_closing) & ~edges);
    if (bad != 0) return irregular_rows;
    if (const uint64_t outside = lines & ~inside; outside != 0)
      end = std::min(text.size(), at + step - static_cast<size_t>(std::countl_zero(outside)));
    was_inside = inside >> 63 != 0 ? ~uint64_t{0} : 0;
    was_closing = closing >> 63;
    was_edge = edges >> 63;
  }
  return static_cast<int64_t>(end);
}

// The same, field by field.
int64_t end_of_any_rows(std::string_view text, char delimiter) {
  size_t end = 0, at = 0;
  while (at < text.size()) {
    if (text[at] == '"') {
      do {
        at = text.find('"', at + 1);
        if (at == std::string_view::npos) return static_cast<int64_t>(end);
        ++at;
      } while (at < text.size() && text[at] == '"');
    }
    while (at < text.size() && text[at] != delimiter && text[at] != '\n' && text[at] != '\r') ++at;
    if (at < text.size() && text[at] == '\n') end = at + 1;
    ++at;
  }
  return static_cast<int64_t>(end);
}

}  // namespace

int64_t end_of_csv_rows(std::string_view text, char delimiter) {
  // A quote behind the mark that a file may begin with begins a field.
  constexpr std::string_view mark = "\xef\xbb\xbf";
  const std::string_view rows = text.substr(text.starts_with(mark) ? mark.size() : 0);
  int64_t end = end_of_regular_rows(rows, delimiter);
  if (end == irregular_rows) end = end_of_any_rows(rows, delimiter);
  return end == 0 ? 0 : end + static_cast<int64_t>(text.size() - rows.size());
}

}  // namespace colonnade
