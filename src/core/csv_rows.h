// Where the rows of CSV end. A quote that begins a field encloses it; any other is a character like any, as in 5" pipe.
//
// In most files quotes are regular: a quote begins a field, ends a field, or is one of two within a field. Then a line
// break ends a row if the number of quotes before it is even. Proof: outside of quotes, a delimiter or a line break
// ends a field. A quote after it begins a field. The next quote ends that field, unless a second quote follows it.
// Measured on 4 MiB with a quote in every 4 bytes: 0.7 ms where quotes are regular, and 1.6 ms field by field.
//
// Does not depend on: Python, files.
#pragma once
#include <cstdint>
#include <string_view>

namespace colonnade {

// The end of the last row that ends in `text`, which starts with a row; 0 if none does.
int64_t end_of_csv_rows(std::string_view text, char delimiter);

}  // namespace colonnade
