#include "csv_rows.h"

#include <cstring>
#include <limits>

namespace colonnade {

int64_t end_of_csv_rows(std::string_view text, char delimiter) {
  constexpr size_t none = std::string_view::npos;
  const auto separates = [&](char sign) { return sign == delimiter || sign == '\n' || sign == '\r'; };
  size_t end = 0;
  size_t irregular = std::numeric_limits<size_t>::max();  // the first such quote
  size_t start = 0;                                       // of what is outside of quotes
  for (;;) {
    const size_t opening = text.find('"', start);
    const size_t outside_end = opening == none ? text.size() : opening;
    // Not rfind, which goes byte by byte.
    const void* const line = ::memrchr(text.data() + start, '\n', outside_end - start);
    if (line != nullptr) end = static_cast<size_t>(static_cast<const char*>(line) - text.data()) + 1;
    if (opening == none) break;
    const size_t closing = text.find('"', opening + 1);
    if (closing == none) break;
    // A quote right behind a closing one is the second of a doubled one: `start` is behind the closing one.
    const bool begins = opening == 0 || opening == start || separates(text[opening - 1]);
    const bool ends = closing + 1 == text.size() || text[closing + 1] == '"' || separates(text[closing + 1]);
    if ((!begins || !ends) && irregular == std::numeric_limits<size_t>::max()) irregular = opening;
    start = closing + 1;
  }
  return irregular < end ? irregular_rows : static_cast<int64_t>(end);
}

}  // namespace colonnade
