// One side of tests/benchmark/load_weights: reads a file of weights and copies every tensor to its
// place in an arena, as a run does, as often as a line of the input says, and answers with the
// seconds. The arena is allocated by the first load.
#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>

#include "base/error.hpp"
#include "weights/weights.hpp"

namespace {

using namespace lockstep;

void load(const char* path, std::unique_ptr<float[]>& arena) {
  const Weights weights = read_weights(path);
  if (arena == nullptr) {
    int64_t elements = 0;
    for (const auto& [name, tensor] : weights.tensors) elements += tensor.shape.numel();
    arena = std::make_unique_for_overwrite<float[]>(static_cast<size_t>(elements));
  }
  float* at = arena.get();
  for (const auto& [name, tensor] : weights.tensors) {
    tensor.copy_to(at);
    at += tensor.shape.numel();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: benchmark_load_weights FILE\n", stderr);
    return static_cast<int>(Failure::usage);
  }
  try {
    std::unique_ptr<float[]> arena;
    for (int times = 0; std::cin >> times;) {
      const auto begin = std::chrono::steady_clock::now();
      for (int i = 0; i < times; ++i) load(argv[1], arena);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
      fmt::print("{}\n", seconds.count());
      std::fflush(stdout);
    }
  } catch (const Error& error) {
    fmt::print(stderr, "benchmark_load_weights: {}\n", error.what());
    return error.exit_code();
  }
  return 0;
}
