#include "targets/convert/describe_file.h"

namespace thimble {

ModelDescription DescribeFile(const ModelFile& file) {
  const Header& header = file.header();
  ModelDescription d;
  d.name = header.name();
  d.family = header.family();
  for (uint32_t i = 0; i < header.chat_formats(); ++i) {
    const ChatFormatView format = header.chat_format(i);
    d.chat_formats.push_back({std::string(format.name), std::string(format.text), {format.program, format.program + format.program_bytes},
                              {format.answer, format.answer + format.answer_bytes}});
  }
  d.spec = header.model();
  for (uint32_t p = 0; p < header.parts(); ++p) {
    const ModelSpec part = header.part(p);
    if (p > 0) d.more_parts.push_back(part);
    for (uint32_t i = part.first_layer; i < part.first_layer + part.layers; ++i) {
      d.layers.push_back(ReadLayer(header, i));
    }
  }
  for (uint32_t i = 0; i < header.tensors(); ++i) {
    d.tensors.push_back({std::string(header.tensor_name(i)), header.tensor(i)});
  }
  if (d.spec.tokenizer_segment >= 0) {
    const uint32_t segment = static_cast<uint32_t>(d.spec.tokenizer_segment);
    const uint8_t* bytes = file.Segment(segment);
    d.tokenizer.assign(bytes, bytes + header.segment(segment).bytes);
  }
  for (uint32_t i = 0; i < header.metadata(); ++i) {
    d.metadata.emplace_back(header.metadata_key(i), header.metadata_value(i));
  }
  return d;
}

}  // namespace thimble
