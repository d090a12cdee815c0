// The JSON header of a safetensors file, read without building a tree of it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.hpp"
#include "base/shape.hpp"

namespace lockstep {

struct SafetensorsEntry {
  DType dtype = DType::f32;
  Shape shape;
  uint64_t begin = 0;  // in bytes after the header
  uint64_t end = 0;
};

// Throws Error{checkpoint}: "header: …" for what is no JSON, has another structure, a name or key
// twice, or an element type that Lockstep has not. The offsets are not checked against anything.
std::map<std::string, SafetensorsEntry, std::less<>> read_safetensors_header(std::string_view json);

}  // namespace lockstep
