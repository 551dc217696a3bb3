// What a conversion did, for people (text, HTML) and programs (JSON). Knows the report, not the conversion.
#pragma once

#include <string>
#include <vector>

#include "targets/convert/convert.h"
#include "targets/cli/output.h"
#include "targets/cli/output_file.h"

namespace thimble::cli {

struct ConversionFacts {
  const ConvertReport& report;
  std::string source, output, weights;  // as the user named them
  std::string reason;                   // for these weights: which argument, or that it is the default
  std::vector<std::string> files;       // what was written; several with --pack
  double seconds = 0;
  uint64_t peak_resident_bytes = 0;
};

std::string ConversionText(const ConversionFacts& facts);
Json ConversionJson(const ConversionFacts& facts);
// One page that needs no other file and no script; every text in it is escaped.
std::string ConversionHtml(const ConversionFacts& facts);

// & < > " ' as entities, and control characters but tab and line breaks as U+FFFD: safe in text and in quoted
// attributes.
std::string EscapeHtml(std::string_view text);

// By the ending, .html or .json; throws Error for others.
OutputKind ConversionReportKind(const std::string& path);
void WriteConversionReport(const OutputFile& file, const ConversionFacts& facts);

}  // namespace thimble::cli
