// Words for people on standard error, and exit statuses. Colours on terminals only.
#pragma once
#include <string>
#include <string_view>

namespace tenon::cli {

inline constexpr int kFailed = 1, kUsage = 2, kTrapped = 134, kInterrupted = 130;

// `text` in a colour when the stream is a terminal and NO_COLOR is not set.
enum class Colour { red, bold, dim };
std::string paint(Colour colour, std::string_view text, int fd);

// Writes "tenon: …" to standard error.
void complain(std::string_view message);
void hint(std::string_view message);

}  // namespace tenon::cli
