// Where the rows of CSV end, when its quotes are regular: each encloses a field, or is doubled within one.
//
// Then a line break ends a row if the number of quotes before it is even. By induction: outside of quotes, a delimiter
// or a line break ends a field, and a quote behind one begins a field; the next quote ends it, if a delimiter, a line
// break or a second quote follows.
//
// Does not depend on: Python, files.
#pragma once
#include <cstdint>
#include <string_view>

namespace colonnade {

constexpr int64_t irregular_rows = -1;

// The end of the last row that ends in `text`, which starts with a row; 0 if none does; `irregular_rows` if a quote
// before that end is not regular.
int64_t end_of_csv_rows(std::string_view text, char delimiter);

}  // namespace colonnade
