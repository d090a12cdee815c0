#include "gpus.hpp"

#include <cuda_runtime_api.h>
#include <cudnn_graph.h>
#include <nccl.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.hpp"
#include "base/text.hpp"
#include "check.hpp"

namespace lockstep::cuda {
namespace {

std::string visible_devices() {
  const char* text = std::getenv("CUDA_VISIBLE_DEVICES");
  return text == nullptr ? std::string() : text;
}

int driver_version() {
  int version = 0;  // stays 0 without a driver
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

std::string why_no_gpu(cudaError_t status) {
  switch (status) {
    case cudaErrorInsufficientDriver:
      if (driver_version() == 0) {
        return "cuda: found no NVIDIA driver (libcuda.so.1); install one, or take device.name = "
               "\"cpu\"";
      }
      return concat("cuda: found a driver for CUDA ", cuda_version_text(driver_version()),
                    "; expected CUDA ", cuda_version_text(CUDART_VERSION),
                    " or newer; update the driver");
    case cudaErrorStubLibrary:
      return "cuda: found the toolkit's stub in place of the driver's libcuda.so.1; take the "
             "folder stubs off LD_LIBRARY_PATH";
    case cudaErrorNoDevice:
      return concat("cuda: found a driver but no GPU that this process may use",
                    std::getenv("CUDA_VISIBLE_DEVICES") == nullptr
                        ? std::string()
                        : concat(" (CUDA_VISIBLE_DEVICES=", visible_devices(), ')'),
                    "; start on a host with one, or take device.name = \"cpu\"");
    default:
      return concat("cuda: counting the GPUs failed: ", cudaGetErrorString(status), " (",
                    cudaGetErrorName(status), "); see what nvidia-smi says");
  }
}

std::string uuid_text(const cudaUUID_t& uuid) {
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    std::array<char, 3> byte{};
    std::snprintf(byte.data(), byte.size(), "%02x", static_cast<unsigned char>(uuid.bytes[i]));
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += byte.data();
  }
  return text;
}

// The numbers of the GPUs whose memory this one reaches without the host: "1 2 3".
std::string peers_of(int gpu, int count) {
  std::string peers;
  for (int other = 0; other < count; ++other) {
    int can = 0;
    if (other == gpu || cudaDeviceCanAccessPeer(&can, gpu, other) != cudaSuccess || can == 0) {
      continue;
    }
    peers += concat(peers.empty() ? "" : " ", other);
  }
  return peers.empty() ? "none" : peers;
}

// The smallest in "80-real,90-real,100", or 0 where it says "native" and the like.
int least_architecture() {
  const std::string_view list = LOCKSTEP_CUDA_ARCHITECTURES;
  int least = 0;
  for (size_t at = 0; at < list.size(); at = list.find(',', at) + 1) {
    const int value = std::atoi(list.data() + at);
    if (value > 0 && (least == 0 || value < least)) least = value;
    if (list.find(',', at) == list.npos) break;
  }
  return least;
}

}  // namespace

GpuCount count_gpus() {
  GpuCount gpus;
  const cudaError_t status = cudaGetDeviceCount(&gpus.count);
  if (status == cudaSuccess && gpus.count > 0) return gpus;
  return {0, why_no_gpu(status == cudaSuccess ? cudaErrorNoDevice : status)};
}

GpuProperties gpu_properties(int gpu) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, gpu), "cudaGetDeviceProperties");
  return {.name = properties.name,
          .architecture = properties.major * 10 + properties.minor,
          .multiprocessors = properties.multiProcessorCount,
          .memory_bytes = static_cast<int64_t>(properties.totalGlobalMem),
          .uuid = uuid_text(properties.uuid)};
}

GpuProperties described_properties(const std::string& description) {
  try {
    const auto json = nlohmann::json::parse(description);
    return {.name = json.at("deviceName").get<std::string>(),
            .architecture = json.at("deviceVer").get<int>() / 10,
            .multiprocessors = json.at("multiProcessorCount").get<int>(),
            .memory_bytes = json.at("totalGlobalMem").get<int64_t>(),
            .uuid = {}};
  } catch (const nlohmann::json::exception& e) {
    fail(Failure::device, "device description: ", e.what(),
         "; expected the JSON form of cuDNN's device properties");
  }
}

int gpu_of_rank(const DeviceOptions& options, int count) {
  if (options.local_size <= count) return options.local_rank;
  if (count == 1 && !visible_devices().empty()) return 0;  // unique_id() tells who shares it
  fail(Failure::device, "cuda: rank ", options.local_rank, " of ", options.local_size,
       " on this host found ", count, count == 1 ? " GPU" : " GPUs",
       "; expected one for each rank; start ", count, " per host");
}

void require_compiled_for(const GpuProperties& gpu) {
  const int least = least_architecture();
  if (gpu.architecture >= least) return;
  fail(Failure::device, "cuda: ", gpu.name, " is sm_", gpu.architecture,
       "; this build has code for sm_", least,
       " and newer; configure with "
       "-DCMAKE_CUDA_ARCHITECTURES=",
       gpu.architecture);
}

std::string cuda_version_text(int version) {
  return concat(version / 1000, '.', version % 1000 / 10);
}

std::string cudnn_version_text() {
  const auto version = static_cast<int64_t>(cudnnGetVersion());
  return concat(version / 10000, '.', version / 100 % 100, '.', version % 100);
}

DeviceFacts probe_gpus() {
  const GpuCount gpus = count_gpus();
  DeviceFacts probe{.unusable = gpus.unusable, .facts = {}};
  const int driver = driver_version();
  probe.facts.emplace_back("driver", driver == 0 ? "none" : "CUDA " + cuda_version_text(driver));
  int runtime = 0;
  if (cudaRuntimeGetVersion(&runtime) == cudaSuccess) {
    probe.facts.emplace_back("runtime", "CUDA " + cuda_version_text(runtime));
  }
  probe.facts.emplace_back("cuDNN", cudnn_version_text());
  probe.facts.emplace_back("NCCL", concat(NCCL_MAJOR, '.', NCCL_MINOR, '.', NCCL_PATCH));
  probe.facts.emplace_back("built for", LOCKSTEP_CUDA_ARCHITECTURES);
  for (int gpu = 0; gpu < gpus.count; ++gpu) {
    try {
      const GpuProperties p = gpu_properties(gpu);
      probe.facts.emplace_back(
          concat("GPU ", gpu),
          concat(p.name, ", sm_", p.architecture, ", ", bytes_text(p.memory_bytes), ", ", p.uuid,
                 ", peer access to ", peers_of(gpu, gpus.count)));
    } catch (const Error& error) {
      probe.facts.emplace_back(concat("GPU ", gpu), error.what());
    }
  }
  return probe;
}

}  // namespace lockstep::cuda
