#include "targets/cli/pack_cache.h"

#include <cstdio>
#include <filesystem>

#include "format/model_file.h"
#include "format/writer.h"
#include "targets/cli/error.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/output.h"
#include "targets/cli/progress.h"
#include "targets/convert/import_error.h"
#include "targets/convert/pack_file.h"

namespace thimble::cli {
namespace {

// 0: no model.
uint64_t ContentId(const std::string& path) {
  ModelFile file;
  return file.Open(path.c_str()).ok() ? file.header().content_id() : 0;
}

}  // namespace

std::string InPackCache(const std::string& path, const std::string& folder, const ContextOptions& context) {
  if (folder.empty()) return path;
  std::string kernels;
  {
    const Model model(path, context.part);
    EngineOptions options = context.ForModel(model);
    options.mem_budget_bytes = 0;
    const Plan plan = MakePlan(model, options);
    if (plan.totals.packed_weight_bytes == 0) return path;
    kernels = plan.totals.kernels;
  }
  if (!IsTablePacking(kernels)) return path;
  const uint64_t id = ContentId(path);
  const std::filesystem::path cached =
      std::filesystem::path(folder) / (Format("%016llx-", static_cast<unsigned long long>(id)) + kernels + ".thimble");
  if (ContentId(cached.string()) == id) return cached.string();
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  PackOptions pack;
  pack.source = path;
  pack.output = cached;
  pack.table = kernels;
  TerminalProgress shown("packing the weights, once", nullptr);
  pack.progress = [&shown](const ConvertProgress& progress) {
    return TerminalProgress::Show(&shown, progress.done_weights, progress.total_weights) != 0 && !Interrupted();
  };
  const auto without = [&](const std::string& reason) {
    std::fprintf(stderr, "thimble: warning: --pack-cache: %s; the weights are packed into memory instead\n", reason.c_str());
    return path;
  };
  try {
    PackFile(pack);
  } catch (const ImportError& error) {
    shown.Clear();
    if (error.code() == Code::kCancelled) throw;
    return without(error.what());
  } catch (const WriteError& error) {
    shown.Clear();
    return without(error.what());
  }
  shown.Clear();
  return cached.string();
}

}  // namespace thimble::cli
