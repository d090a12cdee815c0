// What a device is to the framework: memory, streams and events, and kernels that are prepared once
// and launched often.
//
// Preparing chooses algorithms, workspace and layout and may allocate. Launching enqueues on a
// stream, allocates nothing, and bakes in nothing that changes from step to step: rate, step
// number, loss scale and random keys lie in device memory (plan/step_block.hpp), so that a sequence
// of launches can be captured and replayed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/layout.hpp"
#include "graph/graph.hpp"
#include "graph/op.hpp"
#include "train/optimizer.hpp"

namespace lockstep {

// Opaque; a host device has one stream, on which everything is done when the call returns.
struct Stream;
struct Event;

struct DeviceOptions {
  int local_rank = 0;
  int local_size = 1;  // ranks on this host, for dividing cores or choosing a GPU
  int threads = 0;     // compute threads of this rank; 0: the rank's share of the host's cores
  // Of a GPU: equal inputs give equal bits; float32 products may round to TF32; algorithms are
  // chosen by measuring.
  bool deterministic = true;
  bool tf32 = true;
  bool autotune = true;
};

// Launches that were recorded once; replaying enqueues them all, with the addresses of then.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay(Stream*) = 0;
};

struct KernelArguments {
  std::span<const void* const> inputs;
  std::span<void* const> outputs;
  void* workspace =
      nullptr;  // Kernel::workspace_bytes(), 64-byte aligned; shared by all launches of a stream
  Stream* stream = nullptr;
  void* constants = nullptr;  // Kernel::constant_bytes(), 64-byte aligned; the launch's own
};

// A prepared launch. Its arguments' addresses are constant from the moment they are bound until the
// plan goes.
//
// Of the ops for evaluation (conv2d_inference, linear_inference) a kernel may keep what follows
// from parameters and buffers alone, such as packed weights, in `constants`: update_constants() is
// called before the first launch and then whenever they have changed. It reads those inputs that
// are parameters or buffers and may use the workspace; launch() then finds in `constants` what it
// wrote.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void launch(const KernelArguments& arguments) = 0;
  virtual int64_t workspace_bytes() const { return 0; }
  virtual int64_t constant_bytes() const { return 0; }
  virtual void update_constants(const KernelArguments&) {}
  // The algorithm chosen, for profiles and for the test that no slow reference path is taken:
  // "jit_wino:avx512_core".
  virtual std::string_view implementation() const { return ""; }
};

// What a kernel is prepared for: a node of the graph with its layouts assigned.
struct KernelRequest {
  std::string_view op;
  std::string_view label;
  const Attributes& attributes;
  std::span<const TensorType> inputs;
  std::span<const TensorType> outputs;
  const OpDef& definition;
  Mode mode;
};

// The layouts a node wants: one per input and output. An input in another layout gets a reorder
// before the node.
struct LayoutChoice {
  std::vector<Layout> inputs;
  std::vector<Layout> outputs;
};

// There is no room for what was asked for.
class OutOfMemory : public Error {
 public:
  OutOfMemory(std::string message, int64_t wanted)
      : Error(Failure::device, std::move(message)), wanted_(wanted) {}
  int64_t wanted() const { return wanted_; }  // bytes

 private:
  int64_t wanted_;
};

// Ranges of the parameter arena that one copy of the optimizer updates, in elements; a tensor each
// where the optimizer needs norms.
struct UpdateSegment {
  int64_t offset;
  int64_t count;
  int32_t group;  // index into UpdateRequest::groups
};

struct UpdateGroup {
  std::shared_ptr<const Optimizer> optimizer;
  float lr_multiplier = 1;
};

// The optimizer's update over the arenas, after the gradients are reduced: w and slots change, g is
// read. Kernel arguments: inputs {gradients, StepInfo*}, outputs {parameters, slot 0, slot 1, …}.
struct UpdateRequest {
  std::string_view optimizer_name;
  std::span<const UpdateGroup> groups;
  std::span<const UpdateSegment> segments;
  std::string_view optimizer_plugin = {};  // the file that the optimizer came from
};

class Device {
 public:
  virtual ~Device() = default;

  virtual std::string_view name() const = 0;
  virtual std::string description() const = 0;  // "cpu: AMD EPYC, avx512, 2 threads, oneDNN 2.6.3"
  virtual int threads() const { return 1; }
  // What no other device of the cluster has, as a GPU's UUID; empty where sharing it is no mistake.
  virtual std::string unique_id() const { return {}; }

  // --- memory: 64-byte aligned; failing throws OutOfMemory, which says how much was wanted
  virtual void* allocate(int64_t bytes) = 0;
  virtual void release(void* memory) noexcept = 0;
  // Host memory from which copies are fastest (pinned where that means something).
  virtual void* allocate_host(int64_t bytes) = 0;
  virtual void release_host(void* memory) noexcept = 0;
  // Copies between the device and memory of allocate_host may be under way when the call returns,
  // until the stream is there; other host memory may be read and reused at once.
  virtual void copy_to_device(void* device, const void* host, int64_t bytes, Stream* stream) = 0;
  virtual void copy_to_host(void* host, const void* device, int64_t bytes, Stream* stream) = 0;
  virtual void fill_zero(void* device, int64_t bytes, Stream* stream) = 0;
  // Bytes that allocate() could still give; -1: not known.
  virtual int64_t free_bytes() const { return -1; }
  // Whether the host may read and write memory of allocate(). Otherwise only a stream-ordered
  // communicator can reduce it.
  virtual bool host_accessible() const { return true; }

  // --- order: host devices keep these defaults, for all they enqueue is done at once
  virtual Stream* compute_stream() { return nullptr; }
  virtual Stream* copy_stream() { return nullptr; }
  virtual Stream* communication_stream() { return nullptr; }
  virtual Event* create_event() { return nullptr; }
  virtual void destroy_event(Event*) noexcept {}
  virtual void record(Event*, Stream*) {}
  virtual void wait(Stream*, Event*) {}  // the stream waits, not the host
  virtual bool finished(Event*) { return true; }
  virtual void synchronize(Event*) {}  // the host waits
  virtual void synchronize(Stream*) {}

  // --- recording, by the calling thread: what is enqueued on the stream from begin_recording to
  // end_recording is recorded and not run. Devices that cannot record launch as ever.
  virtual bool can_record() const { return false; }
  virtual void begin_recording(Stream*) {}
  virtual std::unique_ptr<Recording> end_recording(Stream*) { return nullptr; }

  // --- kernels
  // Whether the device has a kernel for this node as it is; the fuse pass keeps to what it has.
  virtual bool supports(std::string_view op, const Attributes& attributes, DType dtype) const = 0;
  // The layouts wished for a node, given the layouts its inputs come in.
  virtual LayoutChoice choose_layouts(
      const KernelRequest& request,
      std::span<const Layout> available) const;  // default: all plain
  // Throws Error{device} naming op and label where there is no kernel.
  virtual std::unique_ptr<Kernel> prepare(const KernelRequest& request) = 0;

  // --- over whole arenas, once per step
  virtual std::unique_ptr<Kernel> prepare_update(const UpdateRequest& request) = 0;
  // outputs {f64 squared norm}, inputs {f32 gradients}: the sum of squares of `count` elements
  virtual std::unique_ptr<Kernel> prepare_squared_norm(int64_t count) = 0;
  // outputs {a}, inputs {b}: a[i] = keep * a[i] + add * b[i] over f32; keep 1, add 1 sums shards;
  // keep 1 - momentum, add momentum updates running statistics
  virtual std::unique_ptr<Kernel> prepare_accumulate(int64_t count, double keep, double add) = 0;
};

}  // namespace lockstep
