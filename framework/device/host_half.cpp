#include "device/host_half.hpp"

#include <vector>

#include "base/clones.hpp"
#include "base/half.hpp"

namespace lockstep {
namespace {

constexpr int64_t kGrain = 4096;

constexpr int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

template <class H>
LOCKSTEP_CLONES void widen(const H* source, float* destination, int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) destination[i] = to_float(source[i]);
}

template <class H>
LOCKSTEP_CLONES void narrow(const float* source, H* destination, int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) destination[i] = from_float<H>(source[i]);
}

// An input or output that is half outside and float32 inside.
struct Converted {
  size_t number;
  TensorType type;
  int64_t offset;  // of its float32 copy in the workspace
};

class KernelThroughFloat final : public Kernel {
 public:
  KernelThroughFloat(const KernelRequest& request, HostDevice& device, const PrepareKernel& prepare)
      : device_(device) {
    std::vector<TensorType> input_types = widened(request.inputs, inputs_);
    std::vector<TensorType> output_types = widened(request.outputs, outputs_);
    kernel_ = prepare({request.op, request.label, request.attributes, input_types, output_types,
                       request.definition, request.mode});
    input_places_.resize(input_types.size());
    output_places_.resize(output_types.size());
  }

  int64_t workspace_bytes() const override { return copies_bytes_ + kernel_->workspace_bytes(); }
  int64_t constant_bytes() const override { return kernel_->constant_bytes(); }
  std::string_view implementation() const override { return kernel_->implementation(); }

  // Of parameters and buffers, which are float32: nothing to convert.
  void update_constants(const KernelArguments& arguments) override {
    kernel_->update_constants(inside(arguments));
  }

  void launch(const KernelArguments& arguments) override {
    const KernelArguments floats = inside(arguments);
    for (const Converted& input : inputs_) {
      const void* source = arguments.inputs[input.number];
      auto* copy = static_cast<float*>(const_cast<void*>(floats.inputs[input.number]));
      const auto* bytes = static_cast<const std::byte*>(source);
      for_elements(input, [=](int64_t begin, int64_t count) {
        convert_to_float(input.type.dtype, bytes + begin * 2, copy + begin, count);
      });
    }
    kernel_->launch(floats);
    for (const Converted& output : outputs_) {
      const auto* copy = static_cast<const float*>(floats.outputs[output.number]);
      auto* bytes = static_cast<std::byte*>(arguments.outputs[output.number]);
      for_elements(output, [=](int64_t begin, int64_t count) {
        convert_from_float(copy + begin, output.type.dtype, bytes + begin * 2, count);
      });
    }
  }

 private:
  std::vector<TensorType> widened(std::span<const TensorType> types,
                                  std::vector<Converted>& converted) {
    std::vector<TensorType> result(types.begin(), types.end());
    for (size_t i = 0; i < result.size(); ++i) {
      if (!is_half(result[i].dtype)) continue;
      converted.push_back({i, result[i], copies_bytes_});
      result[i].dtype = DType::f32;
      copies_bytes_ += aligned(result[i].bytes());
    }
    return result;
  }

  // The arguments of the kernel inside: copies in place of what is half. Launching allocates
  // nothing.
  KernelArguments inside(const KernelArguments& arguments) {
    auto* const workspace = static_cast<std::byte*>(arguments.workspace);
    std::copy(arguments.inputs.begin(), arguments.inputs.end(), input_places_.begin());
    std::copy(arguments.outputs.begin(), arguments.outputs.end(), output_places_.begin());
    for (const Converted& c : inputs_) input_places_[c.number] = workspace + c.offset;
    for (const Converted& c : outputs_) output_places_[c.number] = workspace + c.offset;
    return {input_places_, output_places_, workspace + copies_bytes_, arguments.stream,
            arguments.constants};
  }

  template <class F>
  void for_elements(const Converted& value, F&& f) {
    device_.parallel_for(value.type.stored_elements(), kGrain,
                         [&](int64_t begin, int64_t end) { f(begin, end - begin); });
  }

  HostDevice& device_;
  std::unique_ptr<Kernel> kernel_;
  std::vector<Converted> inputs_, outputs_;
  int64_t copies_bytes_ = 0;
  std::vector<const void*> input_places_;
  std::vector<void*> output_places_;
};

}  // namespace

void convert_to_float(DType type, const void* source, float* destination, int64_t count) {
  switch (type) {
    case DType::bf16:
      return widen(static_cast<const Bf16*>(source), destination, count);
    case DType::f16:
      return widen(static_cast<const F16*>(source), destination, count);
    default:
      LS_ASSERT(type == DType::f32);
      return widen(static_cast<const float*>(source), destination, count);
  }
}

void convert_from_float(const float* source, DType type, void* destination, int64_t count) {
  switch (type) {
    case DType::bf16:
      return narrow(source, static_cast<Bf16*>(destination), count);
    case DType::f16:
      return narrow(source, static_cast<F16*>(destination), count);
    default:
      LS_ASSERT(type == DType::f32);
      return narrow(source, static_cast<float*>(destination), count);
  }
}

bool has_half(const KernelRequest& request) {
  const auto is = [](const TensorType& type) { return is_half(type.dtype); };
  return std::any_of(request.inputs.begin(), request.inputs.end(), is) ||
         std::any_of(request.outputs.begin(), request.outputs.end(), is);
}

std::unique_ptr<Kernel> make_kernel_through_float(const KernelRequest& request, HostDevice& device,
                                                  const PrepareKernel& prepare) {
  return std::make_unique<KernelThroughFloat>(request, device, prepare);
}

}  // namespace lockstep
