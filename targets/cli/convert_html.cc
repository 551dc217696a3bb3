// The report of a conversion as one HTML page: figures on top, then a row with a bar for each tensor.
#include <algorithm>
#include <map>

#include "targets/cli/convert_report.h"
#include "targets/cli/progress.h"

namespace thimble::cli {
namespace {

// Both colour schemes; widths of bars are the only inline styles.
constexpr char kStyle[] = R"(
:root{color-scheme:light dark;--ink:#1c2330;--dim:#667085;--line:#e4e7ec;
--page:#f7f8fa;--card:#fff;--b2:#b3261e;--b3:#c94f2a;--b4:#d9772b;--b5:#a8811b;--b6:#2e8b57;--b8:#2f6fd6;--b32:#98a2b3}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--dim:#98a2b3;--line:#2b3341;
--page:#12161d;--card:#1a202a;--b2:#f08a80;--b3:#ee9070;--b4:#e8935a;--b5:#d3b04f;--b6:#6fc495;--b8:#6ea0f0;--b32:#667085}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 20px 48px}
h1{font-size:26px;margin:0;overflow-wrap:anywhere}
h2{font-size:17px;margin:32px 0 10px}
p{margin:4px 0;color:var(--dim);overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:12px;margin:22px 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}
.card b{display:block;font-size:21px;font-weight:650}
.card span{color:var(--dim);font-size:13px}
.stack{display:flex;height:14px;border-radius:7px;overflow:hidden;background:var(--line)}
.stack i,.bar i{display:block;height:100%}
.stack i+i{border-left:1px solid var(--card)}
.b2{background:var(--b2)}.b3{background:var(--b3)}.b4{background:var(--b4)}.b5{background:var(--b5)}
.b6{background:var(--b6)}.b8{background:var(--b8)}.b32{background:var(--b32)}
.key{display:flex;gap:20px;flex-wrap:wrap;margin-top:8px;color:var(--dim);font-size:13px}
.key i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:6px}
.wide{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}
table{border-collapse:collapse;width:100%;font-size:13px}
th{text-align:left;font-weight:600;color:var(--dim);background:var(--card);white-space:nowrap}
th,td{padding:6px 12px;border-bottom:1px solid var(--line)}
tr:last-child td{border-bottom:0}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.name{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere;min-width:220px}
.bar{width:190px;height:9px;border-radius:5px;background:var(--line);overflow:hidden}
.tag{border-radius:5px;color:#fff;padding:0 7px;font-size:12px}
)";

std::string Card(const std::string& value, const std::string& what) {
  return "<div class=\"card\"><b>" + EscapeHtml(value) + "</b><span>" + EscapeHtml(what) + "</span></div>\n";
}

std::string Width(double percent) { return Format("style=\"width:%.2f%%\"", percent); }

// The colour of a type: types of as many bits share one.
std::string ColourClass(WeightType type) { return "b" + std::to_string(TraitsOf(type).value_bits); }

// The file's bytes by type, as one bar with a key below it.
std::string TypesBar(const ConvertReport& report) {
  std::map<WeightType, uint64_t> bytes;
  uint64_t total = 0;
  for (const ConvertedTensor& tensor : report.tensors) {
    bytes[tensor.type] += tensor.bytes;
    total += tensor.bytes;
  }
  if (total == 0) return {};
  std::string bar = "<div class=\"stack\">", key = "<div class=\"key\">";
  for (auto it = bytes.rbegin(); it != bytes.rend(); ++it) {
    const std::string colour = ColourClass(it->first);
    const double percent = 100.0 * static_cast<double>(it->second) / static_cast<double>(total);
    bar += "<i class=\"" + colour + "\" " + Width(percent) + "></i>";
    key += "<span><i class=\"" + colour + "\"></i>" + WeightTypeName(it->first) +
           Format(": %s, %.1f %%</span>", HumanBytes(it->second).c_str(), percent);
  }
  return bar + "</div>" + key + "</div>\n";
}

std::string Row(const ConvertedTensor& tensor, double worst) {
  const std::string type = WeightTypeName(tensor.type), colour = ColourClass(tensor.type);
  std::string row = "<tr><td class=\"name\">" + EscapeHtml(tensor.name) + "</td><td class=\"n\">" +
                    Format("%u &times; %u", tensor.rows, tensor.cols) + "</td><td>" + EscapeHtml(tensor.source_type) +
                    "</td><td class=\"n\">" + Thousands(tensor.source_bytes) + "</td><td><span class=\"tag " + colour +
                    "\">" + type + "</span></td><td class=\"n\">" + Thousands(tensor.bytes) + "</td>";
  if (tensor.relative_error == 0) return row + "<td class=\"n\">" + (tensor.kept ? "kept" : "exact") + "</td><td></td><td class=\"n\">0</td></tr>\n";
  return row + Format("<td class=\"n\">%.3f %%</td>", tensor.relative_error * 100) +
         "<td><div class=\"bar\"><i class=\"" + colour + "\" " + Width(100 * tensor.relative_error / worst) +
         "></i></div></td>" + Format("<td class=\"n\">%.3g</td></tr>\n", tensor.largest_error);
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default: {
        const unsigned char byte = static_cast<unsigned char>(c);
        if ((byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7f) {
          out += "\xef\xbf\xbd";
        } else {
          out += c;
        }
      }
    }
  }
  return out;
}

std::string ConversionHtml(const ConversionFacts& facts) {
  const ConvertReport& report = facts.report;
  double worst = 0, squares = 0;
  uint64_t quantised = 0;
  for (const ConvertedTensor& tensor : report.tensors) {
    worst = std::max(worst, tensor.relative_error);
    if (tensor.relative_error == 0) continue;
    const uint64_t weights = uint64_t{tensor.rows} * tensor.cols;
    squares += tensor.relative_error * static_cast<double>(weights);
    quantised += weights;
  }
  const double mean = quantised > 0 ? squares / static_cast<double>(quantised) : 0;
  const double part = report.source_bytes > 0
                          ? 100.0 * static_cast<double>(report.file_bytes) / static_cast<double>(report.source_bytes)
                          : 0;
  std::string html = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"generator\" content=\"thimble\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>";
  html += EscapeHtml(report.name) + ": conversion</title>\n<style>" + kStyle +
          "</style>\n</head>\n<body>\n<main>\n<h1>";
  html += EscapeHtml(report.name) + "</h1>\n<p>" + EscapeHtml(report.family) + ", weights " +
          EscapeHtml(facts.weights) + "; " + EscapeHtml(facts.source) + " &rarr; " +
          EscapeHtml(facts.output) + "</p>\n<div class=\"cards\">\n";
  html += Card(Thousands(report.weights), "weights");
  if (report.source_bytes > 0) html += Card(HumanBytes(report.source_bytes), "source");
  html += Card(HumanBytes(report.file_bytes), part > 0 ? Format("file, %.1f %% of the source", part) : "file");
  html += Card(Format("%.3f %%", mean * 100), "mean relative error where rounded");
  html += Card(Format("%.3f %%", worst * 100), "worst tensor");
  html += Card(facts.seconds < 60 ? Format("%.1f s", facts.seconds) : DurationText(facts.seconds),
               "peak memory " + HumanBytes(facts.peak_resident_bytes));
  html += "</div>\n" + TypesBar(report);
  html += "<h2>Tensors</h2>\n<p>Relative error: root of the mean squared difference over that of the weights. "
          "Largest: absolute difference of one weight. Bytes are those of data and scales.</p>\n"
          "<div class=\"wide\"><table>\n<thead><tr><th>tensor</th><th class=\"n\">shape</th><th>from</th>"
          "<th class=\"n\">bytes</th><th>to</th><th class=\"n\">bytes</th><th class=\"n\">error</th><th></th>"
          "<th class=\"n\">largest</th></tr></thead>\n<tbody>\n";
  for (const ConvertedTensor& tensor : report.tensors) html += Row(tensor, worst);
  return html + "</tbody></table></div>\n</main>\n</body>\n</html>\n";
}

}  // namespace thimble::cli
