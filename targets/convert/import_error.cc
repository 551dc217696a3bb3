#include "targets/convert/import_error.h"

#include <filesystem>
#include <new>

#include "format/writer.h"

namespace thimble {

void ThrowAsImportError() {
  try {
    throw;
  } catch (const ImportError&) {
    throw;
  } catch (const WriteError& e) {
    throw ImportError(e.code, e.what());
  } catch (const std::bad_alloc&) {
    throw ImportError(Code::kOutOfMemory, "the operating system gave no more memory");
  } catch (const std::filesystem::filesystem_error& e) {
    throw ImportError(Code::kIo, "cannot be read: " + e.code().message(), e.path1().string());
  } catch (const std::exception& e) {
    throw ImportError(Code::kInvalidModel, e.what());
  }
}

}  // namespace thimble
