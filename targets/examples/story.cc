// The embedding example of the README: what a model will take, then a story, inside exactly that.
#include <cstdio>
#include <string_view>
#include <thimble/thimble.hpp>

int main(int argc, char** argv) {
  thimble::EngineOptions options;
  auto model = thimble::Model::Open(argc > 1 ? argv[1] : "stories-qmqa.thimble");
  auto plan = model.and_then([&](auto& m) { return m.Plan(options); });  // reads the header only
  if (plan) std::printf("arena: %llu bytes\n", static_cast<unsigned long long>(plan->arena_bytes));
  auto session = model.and_then([&](auto& m) { return m.CreateSession(options); });  // or in a block of your own
  auto print = [](std::string_view text) { return std::fwrite(text.data(), 1, text.size(), stdout) == text.size(); };
  auto story = session.and_then([&](auto& s) { return s.Generate("Once upon a time", 100, print); });
  if (!story) std::fprintf(stderr, "\n%s\n", story.error().message());
  return story.error().exit_code();
}
