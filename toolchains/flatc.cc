// The part of FlatBuffers' schema compiler that this project needs: reads a schema, writes its C++ header.
// Takes flatc's own option names. A build of the whole flatc would compile forty files of other languages for
// the same. It must not know any schema of ours.
//
//   thimble_flatc [--scoped-enums] [--gen-mutable] [--gen-object-api] [--reflect-names] -o FOLDER SCHEMA.fbs

#include <cstdio>
#include <string>

#include "flatbuffers/code_generator.h"
#include "flatbuffers/idl.h"
#include "flatbuffers/util.h"
#include "idl_gen_cpp.h"

// idl_gen_cpp.cpp refers to flatc's logger and to its gRPC generator, whose files we leave out.
namespace flatbuffers {
bool GenerateCppGRPC(const Parser&, const std::string&, const std::string&) { return false; }
void LogCompilerWarn(const std::string& text) { std::fprintf(stderr, "warning: %s\n", text.c_str()); }
void LogCompilerError(const std::string& text) { std::fprintf(stderr, "error: %s\n", text.c_str()); }
}  // namespace flatbuffers

int main(int argc, char** argv) {
  flatbuffers::IDLOptions options;
  options.lang_to_generate = flatbuffers::IDLOptions::kCpp;
  std::string folder, schema_path;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--cpp") continue;
    if (arg == "--scoped-enums") {
      options.prefixed_enums = false;
      options.scoped_enums = true;
    } else if (arg == "--gen-mutable") {
      options.mutable_buffer = true;
    } else if (arg == "--gen-object-api") {
      options.generate_object_based_api = true;
    } else if (arg == "--reflect-names") {
      options.mini_reflect = flatbuffers::IDLOptions::kTypesAndNames;
    } else if (arg == "-o" && i + 1 < argc) {
      folder = flatbuffers::ConCatPathFileName(argv[++i], "");
    } else if (arg[0] != '-' && schema_path.empty()) {
      schema_path = arg;
    } else {
      std::fprintf(stderr, "thimble_flatc: not understood: %s\n", arg.c_str());
      return 2;
    }
  }
  std::string text;
  if (schema_path.empty() || !flatbuffers::LoadFile(schema_path.c_str(), false, &text)) {
    std::fprintf(stderr, "thimble_flatc: cannot read the schema '%s'\n", schema_path.c_str());
    return 1;
  }
  flatbuffers::Parser parser(options);
  const std::string include_folder = flatbuffers::StripFileName(schema_path);
  const char* include_folders[] = {include_folder.c_str(), nullptr};
  if (!parser.Parse(text.c_str(), include_folders, schema_path.c_str())) {
    std::fprintf(stderr, "thimble_flatc: %s\n", parser.error_.c_str());
    return 1;
  }
  const std::string name = flatbuffers::StripPath(flatbuffers::StripExtension(schema_path));
  const auto generator = flatbuffers::NewCppCodeGenerator();
  if (generator->GenerateCode(parser, folder, name) != flatbuffers::CodeGenerator::OK) {
    std::fprintf(stderr, "thimble_flatc: cannot generate C++ for '%s'\n", schema_path.c_str());
    return 1;
  }
  return 0;
}
