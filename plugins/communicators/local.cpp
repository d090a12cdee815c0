// The communicator of a single rank: every collective is the identity and done when it returns.
#include <lockstep/plugin.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace {
using namespace lockstep;

class DoneAtOnce final : public Pending {
 public:
  bool test() override { return true; }
};

class LocalCommunicator final : public Communicator {
 public:
  std::string_view name() const override { return "local"; }
  int rank() const override { return 0; }
  int world_size() const override { return 1; }
  int local_rank() const override { return 0; }
  int local_size() const override { return 1; }

  std::unique_ptr<Pending> start_all_reduce(void*, int64_t, DType, Memory) override {
    return std::make_unique<DoneAtOnce>();
  }
  std::unique_ptr<Pending> start_broadcast(void*, int64_t, int, Memory) override {
    return std::make_unique<DoneAtOnce>();
  }
  std::unique_ptr<Pending> start_all_gather(const void* mine, void* all, int64_t bytes) override {
    if (bytes > 0) std::memmove(all, mine, static_cast<size_t>(bytes));
    return std::make_unique<DoneAtOnce>();
  }

  [[noreturn]] void abort(int exit_code) noexcept override {
    std::fflush(nullptr);
    _exit(exit_code);
  }
};

}  // namespace

LS_PLUGIN(local, registry) {
  registry.communicator(
      "local",
      [](const CommunicatorOptions&) -> std::unique_ptr<Communicator> {
        return std::make_unique<LocalCommunicator>();
      },
      "one rank, no other processes");
}
