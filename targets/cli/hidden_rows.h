// A model without what it makes of its last hidden rows: a model of its own, in memory, whose outputs are these rows.
#pragma once

#include <string>

#include "targets/convert/exchange.h"

namespace thimble::cli {

// Of the file's main part, without its tokenizer: its rows have D numbers behind the final norm, the first of its outputs where there
// are more (a network with a state must have an output for each id). To be run, not kept. An encoder whose own head makes its rows
// keeps it, and has as many numbers as that gives. Throws Error
// for a file that cannot be opened.
FileImage WithoutHead(const std::string& path);

}  // namespace thimble::cli
