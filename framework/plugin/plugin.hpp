// The only include a plugin author needs. Compiles under g++ and nvcc; needs no library but the
// standard one.
//
//   #include <lockstep/plugin.hpp>
//   namespace { … }
//   LS_PLUGIN(resnet, registry) { registry.model("resnet", resnet); }
#pragma once

#include <cmath>
#include <cstdio>
#include <cstring>

#include "base/clones.hpp"
#include "data/dataset.hpp"
#include "device/simt_functors.hpp"
#include "graph/nn.hpp"
#include "ops/attributes.hpp"
#include "plugin/abi.h"
#include "plugin/abi_id.h"  // generated: LOCKSTEP_ABI_ID
#include "plugin/registry.hpp"

namespace lockstep {
namespace detail {

template <class F>
LOCKSTEP_CLONES void update_loop(const F& functor, StepInfo step, Norms norms, float* w,
                                 const float* g, float* const* slots, int64_t begin, int64_t end) {
  const F f = functor;
  if constexpr (F::slots == 0) {
    for (int64_t i = begin; i < end; ++i)
      update_element(f, step, norms, w[i], g[i] * step.gradient_scale, Slots<0>{slots, i});
  } else {
    std::array<float*, F::slots>
        arrays;  // a local copy, so that the compiler need not expect it to change
    for (int k = 0; k < F::slots; ++k) arrays[k] = slots[k];
#pragma GCC ivdep
    for (int64_t i = begin; i < end; ++i) {
      update_element(f, step, norms, w[i], g[i] * step.gradient_scale,
                     Slots<F::slots>{arrays.data(), i});
    }
  }
}

template <class F>
LOCKSTEP_CLONES void pointwise_forward(const float* x, float* y, int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) y[i] = F::forward(x[i]);
}
template <class F>
LOCKSTEP_CLONES void pointwise_backward(const float* y, const float* dy, float* dx, int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) dx[i] = F::backward(y[i], dy[i]);
}

template <class F>
class FunctorOptimizer final : public Optimizer {
 public:
  explicit FunctorOptimizer(F functor) : functor_(functor) {
    static_assert(std::is_trivially_copyable_v<F>, "an optimizer is a trivially copyable functor");
  }
  int slots() const override { return F::slots; }
  std::vector<std::string> slot_names() const override {
    std::vector<std::string> names;
    for (int k = 0; k < F::slots; ++k) {
      if constexpr (requires { F::slot_names; }) {
        names.emplace_back(F::slot_names[k]);
      } else {
        names.push_back("slot" + std::to_string(k));
      }
    }
    return names;
  }
  bool needs_norms() const override { return needs_norms_of<F>(); }
  void update(StepInfo step, Norms norms, float* w, const float* g, float* const* slots,
              int64_t begin, int64_t end) const override {
    update_loop(functor_, step, norms, w, g, slots, begin, end);
  }
  std::shared_ptr<const Optimizer> with(const Setting::Table& options) const override {
    F functor = functor_;
    const OptionTarget target{&options_of<F>(), &functor};
    read_options(std::span(&target, 1), options, "optimizer");
    return std::make_shared<FunctorOptimizer>(functor);
  }
  Setting::Table options() const override { return options_of<F>().write(&functor_); }
  const void* functor() const override { return &functor_; }
  int64_t functor_bytes() const override { return sizeof(F); }

 private:
  F functor_;
};

}  // namespace detail

template <class Result, class O>
void Registry::model(std::string name, Result (*build)(Scope, Value, int64_t, const O&),
                     std::string help, ModelInput usual) {
  add_model({{std::move(name), std::move(help), current_plugin_, &options_of<O>(),
              [build](Scope s, Value image, int64_t classes, const Setting::Table& settings) {
                return ModelOutput(build(s, image, classes, read_options<O>(settings, "model")));
              }},
             usual});
}

template <class D, class O>
void Registry::dataset(std::string name, std::string help) {
  add_dataset({std::move(name), std::move(help), current_plugin_, &options_of<O>(),
               [](const DatasetSource& source, const Setting::Table& settings) {
                 return std::make_unique<D>(source, read_options<O>(settings, "data"));
               }});
}

template <class T, class O>
void Registry::transform(std::string name, std::string help) {
  add_transform({std::move(name), std::move(help), current_plugin_, &options_of<O>(),
                 [](const Setting::Table& settings) {
                   return std::make_unique<T>(read_options<O>(settings, "transform"));
                 }});
}

template <class O>
void Registry::schedule(std::string name, double (*rate)(const ScheduleArguments&, const O&),
                        std::string help) {
  add_schedule({std::move(name), std::move(help), current_plugin_, &options_of<O>(),
                [rate](const Setting::Table& settings) -> ScheduleFunction {
                  return [rate, options = read_options<O>(settings, "schedule")](
                             const ScheduleArguments& a) { return rate(a, options); };
                }});
}

#if defined(__CUDACC__) || defined(LOCKSTEP_SIMT_SHIM)

// Compiled for a GPU the source is the plugin's twin: functors register how they are launched.
template <class Functor>
void Registry::optimizer(std::string name, std::string) {
  functor_launches_.optimizers.emplace(std::move(name), &simt::launch_update<Functor>);
}
template <class Functor>
void Registry::pointwise(std::string name, std::string) {
  functor_launches_.pointwise.emplace(std::move(name), simt::pointwise_launches<Functor>());
}

#else

template <class Functor>
void Registry::optimizer(std::string name, std::string help) {
  add_optimizer({std::move(name), std::move(help), current_plugin_, &options_of<Functor>(),
                 [](const Setting::Table& settings) {
                   return std::make_shared<const detail::FunctorOptimizer<Functor>>(
                       read_options<Functor>(settings, "optimizer"));
                 }});
}

template <class Functor>
void Registry::pointwise(std::string name, std::string help) {
  add_pointwise(std::move(name),
                {&detail::pointwise_forward<Functor>, &detail::pointwise_backward<Functor>,
                 Functor::forward(0.0f) == 0.0f},
                std::move(help));
}

#endif

}  // namespace lockstep

// Defines the plugin NAME and the function that fills the registry. NAME is also the file's name.
#define LS_PLUGIN(NAME, REGISTRY)                                                          \
  static void lockstep_register_##NAME(::lockstep::Registry& REGISTRY);                    \
  extern "C" __attribute__((visibility("default")))                                        \
  const lockstep_plugin* lockstep_plugin_##NAME(void) {                                    \
    static const lockstep_plugin plugin{                                                   \
        sizeof(lockstep_plugin), LOCKSTEP_ABI_ID, #NAME,                                   \
        [](void* registry, char* error, size_t error_size) -> int {                        \
          try {                                                                            \
            lockstep_register_##NAME(*static_cast<::lockstep::Registry*>(registry));       \
            return 0;                                                                      \
          } catch (const std::exception& e) {                                              \
            std::snprintf(error, error_size, "%s", e.what());                              \
          } catch (...) {                                                                  \
            std::snprintf(error, error_size, "threw something that is no std::exception"); \
          }                                                                                \
          return 1;                                                                        \
        }};                                                                                \
    return &plugin;                                                                        \
  }                                                                                        \
  static void lockstep_register_##NAME([[maybe_unused]] ::lockstep::Registry& REGISTRY)
