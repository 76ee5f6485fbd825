// Modules for tests, as text.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tenon.hpp"

// Through a file: the API reads text from files only.
inline tenon::Result<tenon::Module> from_text(const tenon::Engine& engine, const std::string& wat) {
  static int n = 0;
  const std::string path =
      ::testing::TempDir() + "/api-" + std::to_string(getpid()) + "-" + std::to_string(n++) + ".wat";
  std::ofstream(path) << wat;
  auto module = tenon::Module::from_file(engine, path);
  std::filesystem::remove(path);
  return module;
}
