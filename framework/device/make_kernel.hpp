// What devices make kernels of: a table of factories by op name, and kernels that call a function.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "device/device.hpp"

namespace lockstep {

// Kernel factories of a device `D` by op name. Each family of kernels has a file with a function
// that adds them.
template <class D>
class KernelTable {
 public:
  using Factory = std::unique_ptr<Kernel> (*)(const KernelRequest&, D&);

  // A later factory replaces an earlier one, so that a device can improve on shared kernels.
  void set(std::string_view op, Factory factory) { factories_[std::string(op)] = factory; }
  Factory find(std::string_view op) const {
    const auto found = factories_.find(op);
    return found == factories_.end() ? nullptr : found->second;
  }

 private:
  std::map<std::string, Factory, std::less<>> factories_;
};

// A kernel whose launch calls f(const KernelArguments&).
template <class F>
std::unique_ptr<Kernel> make_kernel(F f, std::string implementation = "loop",
                                    int64_t workspace_bytes = 0) {
  class FunctionKernel final : public Kernel {
   public:
    FunctionKernel(F function, std::string implementation, int64_t workspace_bytes)
        : function_(std::move(function)),
          implementation_(std::move(implementation)),
          workspace_bytes_(workspace_bytes) {}
    void launch(const KernelArguments& arguments) override { function_(arguments); }
    int64_t workspace_bytes() const override { return workspace_bytes_; }
    std::string_view implementation() const override { return implementation_; }

   private:
    F function_;
    std::string implementation_;
    int64_t workspace_bytes_;
  };
  return std::make_unique<FunctionKernel>(std::move(f), std::move(implementation), workspace_bytes);
}

// The i-th argument of a launch, typed.
template <class T = float>
const T* input(const KernelArguments& arguments, size_t i) {
  return static_cast<const T*>(arguments.inputs[i]);
}
template <class T = float>
T* output(const KernelArguments& arguments, size_t i) {
  return static_cast<T*>(arguments.outputs[i]);
}

}  // namespace lockstep
