// The rules of tensors, input, output and the model as a whole: each is broken once and must be named.
#include <catch2/catch_test_macros.hpp>
#include <limits>

#include "format/model_file.h"
#include "tests/format/header_image.h"
#include "tests/support/call.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

using D = ModelDescription;

// `base` is a model of the zoo. "last" in the place stands for the number of the last tensor.
struct Case {
  const char* base;
  const char* name;
  void (*change)(D&);
  const char* place;
  Code code = Code::kInvalidModel;
};

int32_t AddTensor(D& d, uint32_t rows, uint32_t cols, WeightType type = WeightType::kF32,
                  uint32_t block = 0) {
  d.tensors.push_back({"extra", {.type = type, .rows = rows, .cols = cols, .block = block}});
  return static_cast<int32_t>(d.tensors.size()) - 1;
}
TensorSpec& Tensor(D& d, int32_t i) { return d.tensors[static_cast<size_t>(i)].spec; }

const Case kCases[] = {
    {"image", "width 0", [](D& d) { d.spec.width = 0; }, "header width"},
    {"image", "width too large", [](D& d) { d.spec.width = kMaxWidth + 1; }, "header width"},
    {"image", "no layers", [](D& d) { d.layers.clear(); }, "header layers"},
    {"image", "too many layers", [](D& d) { d.layers.resize(kMaxLayers + 1, d.layers[0]); }, "header layers"},
    {"image", "no outputs", [](D& d) { d.spec.outputs = 0; }, "header outputs"},
    {"image", "too many outputs", [](D& d) { d.spec.outputs = kMaxVocabulary + 1; }, "header outputs"},
    {"image", "no vocabulary", [](D& d) { d.spec.vocabulary = 0; }, "header vocabulary"},
    {"image", "more ids than outputs", [](D& d) { ++d.spec.vocabulary; }, "header vocabulary"},
    {"image", "no positions", [](D& d) { d.spec.max_positions = 0; }, "header max_positions"},
    {"image", "too many positions", [](D& d) { d.spec.max_positions = kMaxPositions + 1; },
     "header max_positions"},

    {"none_unrotated", "position table of another length", [](D& d) { ++d.spec.max_positions; },
     "header input.positions"},
    {"none_unrotated", "position table that is int8",
     [](D& d) { d.spec.input.positions = AddTensor(d, 24, 16, WeightType::kQ8); }, "header input.positions"},
    {"none_unrotated", "no such position table", [](D& d) { d.spec.input.positions = 1000; },
     "header input.positions"},
    {"none_unrotated", "no table", [](D& d) { d.spec.input.table = kNoTensor; }, "header input.table"},
    {"none_unrotated", "table below -1", [](D& d) { d.spec.input.table = -2; }, "header input.table"},
    {"none_unrotated", "table past the tensors",
     [](D& d) { d.spec.input.table = static_cast<int32_t>(d.tensors.size()); }, "header input.table"},
    {"none_unrotated", "narrow table", [](D& d) { d.spec.input.table = AddTensor(d, 44, 15); },
     "header input.table"},
    {"none_unrotated", "table with fewer rows than ids",
     [](D& d) { d.spec.input.table = AddTensor(d, 43, 16); }, "header input.table"},
    {"none_unrotated", "no streams", [](D& d) { d.spec.input.streams = 0; }, "header input.streams"},
    {"none_unrotated", "too many streams", [](D& d) { d.spec.input.streams = kMaxStreams + 1; }, "header input.streams"},
    {"none_unrotated", "one stream that begins elsewhere", [](D& d) { d.spec.input.stream_start = AddTensor(d, 1, 16); }, "header input.stream_start"},
    {"streams", "a stream too many", [](D& d) { d.spec.input.stream_start = AddTensor(d, 3, 16); }, "header input.stream_start"},
    {"image", "images in streams", [](D& d) { d.spec.input.streams = 2; }, "header input.streams"},
    {"none_unrotated", "input scale NaN", [](D& d) { d.spec.input.scale = kNan; }, "header input.scale"},
    {"none_unrotated", "tokens with a CLS row", [](D& d) { d.spec.input.cls = AddTensor(d, 1, 16); },
     "header input.cls"},
    {"none_unrotated", "tokens with a CLS row that is not there", [](D& d) { d.spec.input.cls = 100000; },
     "header input.cls"},
    {"none_unrotated", "tokens with a patch projection",
     [](D& d) { d.spec.input.patch_projection.weight = 100000; }, "header input.patch_projection"},
    {"none_unrotated", "tokens with a patch bias", [](D& d) { d.spec.input.patch_projection.bias = -7; },
     "header input.patch_projection"},
    {"none_unrotated", "tokens with an image", [](D& d) { d.spec.input.image_height = 3; },
     "header input.image_height"},

    {"image", "image without height", [](D& d) { d.spec.input.image_height = 0; },
     "header input.image_height"},
    {"image", "image too high", [](D& d) { d.spec.input.image_height = kMaxImageSide + 1; },
     "header input.image_height"},
    {"image", "image without width", [](D& d) { d.spec.input.image_width = 0; }, "header input.image_width"},
    {"image", "image too wide", [](D& d) { d.spec.input.image_width = UINT32_MAX; },
     "header input.image_width"},
    {"image", "image without channels", [](D& d) { d.spec.input.image_channels = 0; },
     "header input.image_channels"},
    {"image", "image with too many channels", [](D& d) { d.spec.input.image_channels = 65; },
     "header input.image_channels"},
    {"image", "no patch", [](D& d) { d.spec.input.patch = 0; }, "header input.patch"},
    {"image", "patch too large", [](D& d) { d.spec.input.patch = 257; }, "header input.patch"},
    {"image", "more patches than positions", [](D& d) { d.spec.input.image_width = 17; },
     "header input.patch"},
    {"image", "patch projection of another shape", [](D& d) { d.spec.input.image_channels = 2; },
     "header input.patch_projection"},
    {"image", "no patch projection", [](D& d) { d.spec.input.patch_projection.weight = kNoTensor; },
     "header input.patch_projection"},
    {"image", "patch bias of another length",
     [](D& d) { d.spec.input.patch_projection.bias = AddTensor(d, 1, 15); }, "header input.patch_projection"},
    {"image", "no CLS row", [](D& d) { d.spec.input.cls = kNoTensor; }, "header input.cls"},
    {"image", "CLS row of another length", [](D& d) { d.spec.input.cls = AddTensor(d, 1, 17); },
     "header input.cls"},
    {"image", "CLS as a column", [](D& d) { d.spec.input.cls = AddTensor(d, 16, 1); }, "header input.cls"},
    {"image", "patches with a token table", [](D& d) { d.spec.input.table = 100000; }, "header input.table"},
    {"image", "patches with a tied head", [](D& d) { d.spec.output.tied = true; }, "header output.tied"},
    {"image", "causal patches", [](D& d) { d.layers[0].attention().causal = true; }, "header output.rows"},
    {"encoder_rows", "input norm of another length",
     [](D& d) { d.spec.input.norm = {.kind = NormKind::kRmsNorm, .weight = AddTensor(d, 1, 15)}; }, "header input.norm"},
    {"none_unrotated", "decoder without a head", [](D& d) { d.spec.output.head = {}; }, "header output.head"},
    {"encoder_rows", "no head, and outputs of another number",
     [](D& d) { d.spec.output.tied = false, d.spec.output.head = {}; }, "header output.head"},

    {"none_unrotated", "unknown role", [](D& d) { d.spec.role = static_cast<PartRole>(3); }, "role", Code::kUnsupported},
    {"none_unrotated", "no main part", [](D& d) { d.spec.role = PartRole::kDraft; }, "header role"},
    {"none_unrotated", "two main parts",
     [](D& d) {
       d.more_parts = {d.spec};
       d.more_parts[0].layers = 1;
     },
     "part 1 role"},
    {"none_unrotated", "a draft that is wrong",
     [](D& d) {
       d.more_parts = {d.spec};
       d.more_parts[0].role = PartRole::kDraft;
       d.more_parts[0].layers = 1;
       d.more_parts[0].width = 15;
     },
     "part 1 input.positions"},
    {"none_unrotated", "too many parts",
     [](D& d) {
       d.layers.resize(kMaxParts + 1, d.layers[0]);
       d.more_parts.resize(kMaxParts, d.spec);
       for (ModelSpec& part : d.more_parts) part.role = PartRole::kDraft, part.layers = 1;
     },
     "header parts"},
    {"image", "unknown input", [](D& d) { d.spec.input.kind = static_cast<InputKind>(2); }, "input.kind",
     Code::kUnsupported},

    {"none_unrotated", "no head", [](D& d) { d.spec.output.head.weight = kNoTensor; }, "header output.head"},
    {"none_unrotated", "head of another shape",
     [](D& d) { d.spec.output.head.weight = AddTensor(d, 43, 16); }, "header output.head"},
    {"none_unrotated", "head bias of another length",
     [](D& d) { d.spec.output.head.bias = AddTensor(d, 1, 43); }, "header output.head"},
    {"none_on_read", "tied head with a weight", [](D& d) { d.spec.output.head.weight = d.spec.input.table; },
     "header output.head"},
    {"none_on_read", "tied head with a table of more rows",
     [](D& d) { d.spec.input.table = AddTensor(d, 45, 16); }, "header output.head"},
    {"none_unrotated", "output scale infinite", [](D& d) { d.spec.output.scale = kInfinity; },
     "header output.scale"},
    {"none_unrotated", "output softcap negative", [](D& d) { d.spec.output.softcap = -1; },
     "header output.softcap"},
    {"none_unrotated", "output softcap NaN", [](D& d) { d.spec.output.softcap = kNan; },
     "header output.softcap"},
    {"none_unrotated", "output norm per head", [](D& d) { d.spec.output.norm.scope = NormScope::kHead; },
     "header output.norm"},
    {"none_unrotated", "decoder that gives the first row",
     [](D& d) { d.spec.output.rows = OutputRows::kFirst; }, "header output.rows"},
    {"none_unrotated", "unknown output rows", [](D& d) { d.spec.output.rows = static_cast<OutputRows>(2); },
     "output.rows", Code::kUnsupported},

    {"none_unrotated", "no tensors", [](D& d) { d.tensors.clear(); }, "header tensors"},
    {"none_unrotated", "too many tensors", [](D& d) { d.tensors.resize(kMaxTensors + 1, d.tensors[0]); },
     "header tensors"},
    {"none_unrotated", "tensor with too many rows", [](D& d) { AddTensor(d, kMaxPositions + 1, 1); },
     "tensor last rows"},
    {"none_unrotated", "tensor with too many columns", [](D& d) { AddTensor(d, 1, UINT32_MAX); },
     "tensor last cols"},
    {"none_unrotated", "turned rows of f32", [](D& d) { Tensor(d, AddTensor(d, 1, 16)).turn = 16; }, "tensor last turn"},
    {"none_unrotated", "two planes of inputs that are not turned",
     [](D& d) { Tensor(d, AddTensor(d, 1, 64, WeightType::kQ8_0, 32)).fine_inputs = true; }, "tensor last fine"},
    {"none_unrotated", "two planes of inputs with a scale for the row",
     [](D& d) {
       TensorSpec& t = Tensor(d, AddTensor(d, 1, 16, WeightType::kQ8));
       t.turn = 16;
       t.fine_inputs = true;
     },
     "tensor last fine"},
    {"none_unrotated", "turned by one", [](D& d) { Tensor(d, AddTensor(d, 1, 16, WeightType::kQ8)).turn = 1; }, "tensor last turn"},
    {"none_unrotated", "turned by no power of two", [](D& d) { Tensor(d, AddTensor(d, 1, 24, WeightType::kQ8)).turn = 12; },
     "tensor last turn"},
    {"none_unrotated", "turned by more than the columns", [](D& d) { Tensor(d, AddTensor(d, 1, 16, WeightType::kQ8)).turn = 32; },
     "tensor last turn"},
    {"none_unrotated", "weights of one layer, other shape",
     [](D& d) { ++Tensor(d, d.layers[1].ffn().up.weight).rows; }, "layer 1 ffn.up"},

    {"none_unrotated", "unknown feature", [](D& d) { d.required_features = {"sparse-attention"}; },
     "required_features 0", Code::kUnsupportedFeature},
    {"none_unrotated", "unknown empty feature", [](D& d) { d.required_features = {""}; },
     "required_features 0", Code::kUnsupportedFeature},
};

}  // namespace

TEST_CASE("model rules: each is broken once, and named") {
  for (const Case& c : kCases) {
    INFO(c.base << ": " << c.name);
    D d = ZooEntry(c.base).description();
    REQUIRE(StatusOf(d).ok());
    c.change(d);
    const Status status = StatusOf(d);
    CHECK(CodeName(status.code) == std::string(CodeName(c.code)));
    std::string place = c.place;
    if (const size_t last = place.find("last"); last != std::string::npos) {
      place.replace(last, 4, std::to_string(d.tensors.size() - 1));
    }
    CHECK(PlaceOf(status) == place);
    CHECK(status.what[0] != 0);
  }
}

TEST_CASE("model rules: a draft beside its target, and an encoder that gives its rows") {
  ModelBuilder m = ZooEntry("none_unrotated");
  D& d = m.description();
  d.more_parts = {d.spec};
  d.more_parts[0].role = PartRole::kDraft;
  d.more_parts[0].layers = 1;
  const AlignedBytes bytes(m.Bytes());
  ModelFile file;
  REQUIRE(file.OpenMemory(bytes.data(), bytes.size()).ok());
  CHECK(VerifyPayload(file).ok());
  const Header& h = file.header();
  REQUIRE(h.parts() == 2);
  const ModelSpec draft = h.part(1);
  CHECK((draft.role == PartRole::kDraft && draft.first_layer == 1 && draft.layers == 1 && draft.decoder));
  CHECK(draft.first_block + draft.blocks == h.model().blocks + draft.blocks);
  CHECK((h.model().role == PartRole::kMain && h.model().first_layer == 0 && h.model().layers == 1));

  D encoder = ZooEntry("encoder_rows").description();
  encoder.spec.output.tied = false;
  encoder.spec.outputs = encoder.spec.width;
  CHECK(StatusOf(encoder).ok());
}

TEST_CASE("model rules: what a file requires is refused by its own name") {
  D d = ZooEntry("none_unrotated").description();
  d.required_features = {"mixture\nof experts of a name that is far too long for a message"};
  const Status status = StatusOf(d);
  CHECK(status.code == Code::kUnsupportedFeature);
  CHECK(std::string(status.detail) == "mixture?of experts of a name that is fa");
}

TEST_CASE("tensor rules: what only a changed header can break") {
  const D d = ZooEntry("none_on_read").description();  // int4 with scales
  struct Change {
    const char* name;
    int32_t value;
    flatbuffers::voffset_t field;
    const char* place;
  };
  const Change changes[] = {
      {"data segment absent", -1, fb::Tensor::VT_DATA_SEGMENT, "data_segment"},
      {"data segment below", -2, fb::Tensor::VT_DATA_SEGMENT, "data_segment"},
      {"data segment past the end", 1000, fb::Tensor::VT_DATA_SEGMENT, "data_segment"},
      {"data segment of another size", 1, fb::Tensor::VT_DATA_SEGMENT, "data_segment"},
      {"scale segment absent", -1, fb::Tensor::VT_SCALE_SEGMENT, "scale_segment"},
      {"scale segment past the end", INT32_MAX, fb::Tensor::VT_SCALE_SEGMENT, "scale_segment"},
      {"scale segment of another size", 0, fb::Tensor::VT_SCALE_SEGMENT, "scale_segment"},
      {"no rows", 0, fb::Tensor::VT_ROWS, "rows"},
      {"no columns", 0, fb::Tensor::VT_COLS, "cols"},
      {"rows negative", -1, fb::Tensor::VT_ROWS, "rows"},
      {"block 0", 0, fb::Tensor::VT_BLOCK, "block"},
      {"block 16", 16, fb::Tensor::VT_BLOCK, "block"},
      {"block negative", -32, fb::Tensor::VT_BLOCK, "block"},
  };
  REQUIRE(d.tensors[0].spec.type == WeightType::kQ4);
  for (const Change& c : changes) {
    INFO(c.name);
    HeaderImage image(d);
    image.Set<int32_t>(image.root().tensors()->Get(0), c.field, c.value);
    const Status status = image.Parse().status();
    CHECK(status.code == Code::kInvalidModel);
    CHECK(PlaceOf(status) == std::string("tensor 0 ") + c.place);
  }

  // A reader of before would multiply nonsense: the feature is there, or the file is refused.
  const D turned = ZooEntry("turned").description();
  HeaderImage feature(turned);
  CHECK(feature.Parse().status().ok());
  *const_cast<uint32_t*>(reinterpret_cast<const uint32_t*>(feature.root().required_features())) = 0;  // the vector's length
  CHECK(feature.Parse().status().code == Code::kInvalidModel);
  CHECK(std::string(feature.Parse().status().field) == "turn");
  HeaderImage with_scales(ZooEntry("none_unrotated").description());
  with_scales.Set<int32_t>(with_scales.root().tensors()->Get(0), fb::Tensor::VT_SCALE_SEGMENT, 1);
  CHECK(PlaceOf(with_scales.Parse().status()) == "tensor 0 scale_segment");

  HeaderImage type(d);
  type.Set<uint8_t>(type.root().tensors()->Get(0), fb::Tensor::VT_TYPE, kWeightTypeCount);
  CHECK(type.Parse().status().code == Code::kUnsupported);
  CHECK(PlaceOf(type.Parse().status()) == "tensor 0 type");

  for (const int32_t segment : {-2, INT32_MIN, 1000, INT32_MAX}) {
    HeaderImage tokenizer(d);
    tokenizer.Set<int32_t>(&tokenizer.root(), fb::Header::VT_TOKENIZER_SEGMENT, segment);
    CHECK(tokenizer.Parse().status().code == Code::kInvalidModel);
    CHECK(PlaceOf(tokenizer.Parse().status()) == "header tokenizer_segment");
  }
}

TEST_CASE("packing rules") {
  D d = ZooEntry("none_on_write").description();  // int8, tied
  const auto pack = [](TensorSpec& t, const char* packer) {
    std::strncpy(t.packing.packer, packer, WeightLayout::kMaxPacker);
    t.packed_bytes = 640;
  };
  // A packed linear layer is a valid header, whose layout the runtime may not know.
  pack(Tensor(d, d.layers[0].attention().q.weight), "a packer of tomorrow");
  CHECK(StatusOf(d).ok());
  uint64_t file_bytes;
  const D laid_out = d;
  D copy = d;
  const std::vector<SegmentSpec> segments = LayOut(copy, &file_bytes);
  const std::vector<uint8_t> header = HeaderBytes(copy, segments, file_bytes);
  AlignedBytes file(file_bytes);
  std::memset(file.data(), 0, file.size());
  std::memcpy(file.data(), header.data(), header.size());
  thimble_model* model = nullptr;
  const thimble_error opened = Call(thimble_model_open_memory, file.data(), file.size(), &model);
  CHECK(opened.code == static_cast<int32_t>(Code::kUnsupported));
  CHECK(std::string(opened.message).find("'a packer of tomorrow'") != std::string::npos);
  CHECK(model == nullptr);

  D norm = laid_out;
  pack(Tensor(norm, norm.layers[0].blocks[0].norm.weight), "x");
  CHECK(PlaceOf(StatusOf(norm)) == "layer 0 norm");
  D table = ZooEntry("none_unrotated").description();  // a head of its own
  pack(Tensor(table, table.spec.input.table), "x");
  CHECK(PlaceOf(StatusOf(table)) == "header input.table");

  // Names that are too long or would read as another name.
  for (const std::string& name :
       {std::string(), std::string(32, 'x'), std::string("\0portable", 9), std::string("xnn\0", 4)}) {
    flatbuffers::FlatBufferBuilder b;
    const auto packing = fb::CreatePacking(b, b.CreateString(name));
    const auto input = fb::CreateInput(b);
    const auto output = fb::CreateOutput(b);
    FinishSmallHeader(b, input, output, {fb::CreateTensor(b, 0, 0, 1, 4, 0, 0, -1, packing)},
                      {fb::Segment(16384, 16, 0)});
    AlignedBytes bytes(b.GetSize());
    std::memcpy(bytes.data(), b.GetBufferPointer(), b.GetSize());
    const Status status = Header::Parse(bytes.data(), bytes.size(), 16400).status();
    CHECK(status.code == Code::kInvalidModel);
    CHECK(PlaceOf(status) == "tensor 0 packing.packer");
  }

  // A packed tensor has no scale segment: they lie with its weights.
  HeaderImage image(laid_out);
  image.Set<int32_t>(
      image.root().tensors()->Get(static_cast<uint32_t>(laid_out.layers[0].attention().q.weight)),
      fb::Tensor::VT_SCALE_SEGMENT, 1);
  CHECK(std::string(image.Parse().status().field) == "scale_segment");
}

TEST_CASE("header rules: tables that must be there") {
  const auto parse = [](const flatbuffers::FlatBufferBuilder& b) {
    AlignedBytes bytes(b.GetSize());
    std::memcpy(bytes.data(), b.GetBufferPointer(), b.GetSize());
    return Header::Parse(bytes.data(), bytes.size(), 1 << 20).status();
  };
  {
    flatbuffers::FlatBufferBuilder b;
    fb::FinishHeaderBuffer(b, fb::CreateHeader(b));
    CHECK(parse(b).code == Code::kInvalidModel);
    CHECK(PlaceOf(parse(b)) == "header parts");
  }
  {
    flatbuffers::FlatBufferBuilder b;
    FinishSmallHeader(b, 0, 0, {}, {});
    CHECK(PlaceOf(parse(b)) == "input");
  }
  {
    flatbuffers::FlatBufferBuilder b;
    const auto input = fb::CreateInput(b);
    FinishSmallHeader(b, input, 0, {}, {});
    CHECK(PlaceOf(parse(b)) == "output");
  }
  {
    // No segments: then the file would have to end with the header.
    flatbuffers::FlatBufferBuilder b;
    const auto input = fb::CreateInput(b);
    const auto output = fb::CreateOutput(b);
    FinishSmallHeader(b, input, output, {}, {});
    CHECK(PlaceOf(parse(b)) == "prefix file_bytes");
    AlignedBytes bytes(b.GetSize());
    std::memcpy(bytes.data(), b.GetBufferPointer(), b.GetSize());
    CHECK(PlaceOf(Header::Parse(bytes.data(), bytes.size(), 64 + bytes.size()).status()) == "header tensors");
  }
  {
    // Another file identifier.
    flatbuffers::FlatBufferBuilder b;
    b.Finish(fb::CreateHeader(b), "GGML");
    CHECK(parse(b).code == Code::kCorrupt);
  }
}
