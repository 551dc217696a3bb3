// The embedding example of the README: what a model will take, then a story, inside exactly that.
#include <cstdio>
#include <string_view>
#include <thimble/thimble.hpp>

int main(int argc, char** argv) {
  thimble::Model model;
  thimble::Session session;
  thimble_options options = thimble_default_options();
  thimble_plan plan = {};
  thimble_status status = model.Open(argc > 1 ? argv[1] : "stories-qmqa.thimble");
  if (status.code == 0) status = model.Plan(options, &plan);  // reads the header only
  std::printf("arena: %llu bytes\n", static_cast<unsigned long long>(plan.arena_bytes));
  if (status.code == 0) status = session.Create(model, options);  // or give it a block of your own
  auto print = [](std::string_view text) { return std::fwrite(text.data(), 1, text.size(), stdout) == text.size(); };
  if (status.code == 0) status = session.Generate("Once upon a time", 100, print);
  if (status.code != 0) std::fprintf(stderr, "\n%s\n", status.message);
  return status.exit_code;
}
