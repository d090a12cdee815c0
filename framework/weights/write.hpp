// Files of weights for other programs. Each function composes a whole file in memory;
// write_file_safely (checkpoint/writer.hpp) puts it on disk.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "plan/plan.hpp"

namespace lockstep {

// A tensor to be written: row-major, little-endian. The bytes are someone else's.
struct NamedTensor {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::string_view bytes;
};

// The state dict that a torch module with these parameters and buffers has: it adds the counter
// num_batches_tracked (int64, the checkpoint's steps) beside every running_mean. Views of the
// checkpoint.
std::vector<NamedTensor> state_dict(const Checkpoint& checkpoint);

std::string safetensors_bytes(const std::vector<NamedTensor>& tensors);
// torch.save's zip format, read by torch.load(…, weights_only=True) as a dictionary of tensors.
// Throws Error{other} for more than 4 GiB.
std::string torch_bytes(const std::vector<NamedTensor>& tensors);

// The network itself, with its weights: ONNX with operator set 13. `request` says image, mean, std
// and model. Input "image" float32 (batch, C, H, W), already normalised; output "logits" float32
// (batch, classes). Throws Error{usage} for an op that ONNX has not, Error{checkpoint} for a
// parameter that the checkpoint has not, Error{other} for more than 2 GiB.
std::string onnx_bytes(const PlanRequest& request, const OpRegistry& ops,
                       const Checkpoint& checkpoint);

}  // namespace lockstep
