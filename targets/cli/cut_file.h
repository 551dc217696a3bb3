// A model file that is cut short (or whose disk goes away) while its mapping is read: the system says so with SIGBUS, in whatever
// thread reads next.
#pragma once

#include <string>

namespace thimble::cli {

// From here on SIGBUS ends the program with exit code 6 and a sentence that names `path`, on stderr; with json also as the
// error object on standard output. Of several files all are named: the system does not say which.
void NameMappedFile(const std::string& path);
// Before the first NameMappedFile().
void SetJsonErrors(bool json);

}  // namespace thimble::cli
