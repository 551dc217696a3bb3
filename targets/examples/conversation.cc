// A conversation: each line of standard input is a message, and the answer comes as its parts. The model's file says how it was taught
// to be talked to (its chat template).
//
//   conversation MODEL.thimble
#include <cstdio>
#include <iostream>
#include <string>
#include <thimble/thimble.hpp>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: %s MODEL.thimble\n", argv[0]), 2;
  thimble::EngineOptions options;
  options.context_tokens = 512;
  options.max_text_bytes = 16384;  // of a whole conversation
  auto model = thimble::Model::Open(argv[1]);
  auto session = model.and_then([&](auto& m) { return m.CreateSession(options); });
  if (!session) return std::fprintf(stderr, "%s\n", session.error().message()), session.error().exit_code();

  std::vector<std::pair<std::string, std::string>> said;  // role, text
  std::vector<std::byte> memory(1 << 16);                 // of a turn; it allocates nothing itself
  for (std::string line; std::getline(std::cin, line);) {
    said.emplace_back("user", line);
    std::vector<thimble::ChatMessage> messages(said.size());
    for (std::size_t i = 0; i < said.size(); ++i) {
      messages[i].role = said[i].first.c_str();
      messages[i].text = said[i].second.c_str();
      messages[i].text_bytes = static_cast<std::uint32_t>(said[i].second.size());
    }
    const thimble::Conversation conversation(messages);
    thimble::Generation generation;
    generation.conversation = &conversation;
    auto turn = session->StartTurn(generation, memory);  // reads only what is new
    if (!turn) return std::fprintf(stderr, "%s\n", turn.error().message()), turn.error().exit_code();
    std::string answer;
    for (bool goes_on = true; goes_on;) {
      const auto event = turn->Next([&](const thimble_turn_part& part) {
        const std::string_view text(part.text, part.text_bytes);
        if (part.kind == THIMBLE_PART_REASONING) std::cerr << text << std::flush;
        if (part.kind != THIMBLE_PART_TEXT) return;
        std::cout << text << std::flush;
        answer += text;
      });
      if (!event) return std::fprintf(stderr, "%s\n", event.error().message()), event.error().exit_code();
      goes_on = event->end == THIMBLE_END_NOT_YET;
    }
    std::cout << std::endl;
    said.emplace_back("assistant", answer);
  }
}
