// The format: checkpoint/FORMAT.md.
#include "checkpoint/checkpoint.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "base/error.hpp"
#include "checkpoint/file.hpp"
#include "checkpoint/hdf5_image.hpp"

namespace lockstep {
namespace {

constexpr std::string_view kMagic = "LOCKSTEP";
constexpr uint64_t kVersion = 1;

// Where things lie in the user block; all the rest of it is zero.
constexpr size_t kVersionAt = 8;    // 4 bytes, little endian
constexpr size_t kLengthAt = 16;    // 8 bytes, little endian: of what follows the user block
constexpr size_t kChecksumAt = 24;  // 16 bytes: XXH3-128 of what follows, canonical (big endian)
constexpr size_t kHeadBytes = 40;

void put_integer(std::string& bytes, size_t at, uint64_t value, int width) {
  for (int i = 0; i < width; ++i)
    bytes[at + static_cast<size_t>(i)] = static_cast<char>(value >> (8 * i));
}

uint64_t get_integer(std::string_view bytes, size_t at, int width) {
  uint64_t value = 0;
  for (int i = width - 1; i >= 0; --i)
    value = value << 8 | static_cast<uint8_t>(bytes[at + static_cast<size_t>(i)]);
  return value;
}

std::string checksum(std::string_view bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  return {reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest};
}

// Fills the user block of a finished file.
void seal(std::string& bytes) {
  const std::string_view content = std::string_view(bytes).substr(kUserBlockBytes);
  const std::string sum = checksum(content);
  kMagic.copy(bytes.data(), kMagic.size());
  put_integer(bytes, kVersionAt, kVersion, 4);
  put_integer(bytes, kLengthAt, content.size(), 8);
  sum.copy(bytes.data() + kChecksumAt, sum.size());
}

// Throws unless the bytes are a whole, undamaged checkpoint of this version.
void verify(std::string_view bytes) {
  const auto refuse = [](const auto&... parts) { fail(Failure::checkpoint, parts...); };
  if (bytes.empty()) refuse("magic: the file is empty; it was never written in full");
  if (bytes.substr(0, kMagic.size()) != kMagic.substr(0, bytes.size())) {
    refuse("magic: the file does not begin with ", kMagic, "; it is no checkpoint of Lockstep");
  }
  if (bytes.size() < kUserBlockBytes) {
    refuse("length: the file ends after ", bytes.size(),
           " bytes, within its first block; it is truncated");
  }
  if (const uint64_t version = get_integer(bytes, kVersionAt, 4); version != kVersion) {
    refuse("version: the file's format is ", version, "; this program reads ", kVersion,
           "; use the version of Lockstep that wrote it");
  }
  const std::string_view content = bytes.substr(kUserBlockBytes);
  if (const uint64_t length = get_integer(bytes, kLengthAt, 8); length != content.size()) {
    refuse("length: ", content.size(), " bytes after the first block; ", length,
           " were expected; the file is truncated or damaged");
  }
  const std::string_view zeros = bytes.substr(kHeadBytes, kUserBlockBytes - kHeadBytes);
  const bool rest_is_zero =
      zeros.find_first_not_of('\0') == std::string_view::npos && get_integer(bytes, 12, 4) == 0;
  if (!rest_is_zero || bytes.substr(kChecksumAt, 16) != checksum(content)) {
    refuse(
        "checksum: the file's content differs from what was written; it is damaged; use another "
        "checkpoint");
  }
}

void check_name(std::string_view name) {
  if (name.empty() || name == "." || name.find('/') != std::string_view::npos ||
      name.find('\0') != std::string_view::npos) {
    fail(Failure::checkpoint, "checkpoint: the name '", name,
         "' of a tensor or slot; names without slashes, not empty and not '.', were expected; "
         "rename it in the model "
         "or optimizer");
  }
}

void add_tensors(Hdf5Writer& file, const std::string& group, const TensorMap& tensors) {
  file.add_group(group);
  for (const auto& [name, tensor] : tensors) {
    check_name(name);
    LS_ASSERT(tensor.shape.numel() == static_cast<int64_t>(tensor.values.size()));
    file.add_tensor(concat(group, '/', name), tensor);
  }
}

TensorMap read_tensors(const Hdf5Reader& file, const std::string& group) {
  TensorMap tensors;
  for (const std::string& name : file.members(group))
    tensors[name] = file.tensor(concat(group, '/', name));
  return tensors;
}

void add_progress(Hdf5Writer& file, const Progress& progress) {
  const std::string group = "/progress";
  file.add_group(group);
  file.set_attribute(group, "epoch", progress.epoch);
  file.set_attribute(group, "step", progress.step);
  file.set_attribute(group, "samples_in_epoch", progress.samples_in_epoch);
  file.set_attribute(group, "seed", progress.seed);
  file.set_attribute(group, "best_metric", progress.best_metric);
  file.set_attribute(group, "best_step", progress.best_step);
  file.set_attribute(group, "evaluations_without_gain", progress.evaluations_without_gain);
  file.set_attribute(group, "seconds", progress.seconds);
  if (progress.loss_scale == 0) return;
  file.set_attribute(group, "loss_scale", progress.loss_scale);
  file.set_attribute(group, "steps_at_scale", progress.steps_at_scale);
  file.set_attribute(group, "skipped_steps", progress.skipped_steps);
}

Progress read_progress(const Hdf5Reader& file) {
  const std::string group = "/progress";
  const auto count = [&](const char* name) {
    const int64_t value = file.integer(group, name);
    if (value < 0)
      fail(Failure::checkpoint, "attribute ", name, " of ", group, ": is ", value,
           "; not negative was expected");
    return value;
  };
  Progress progress;
  progress.epoch = count("epoch");
  progress.step = count("step");
  progress.samples_in_epoch = count("samples_in_epoch");
  progress.seed = file.unsigned_integer(group, "seed");
  progress.best_metric = file.number(group, "best_metric");
  progress.best_step = count("best_step");
  progress.evaluations_without_gain = count("evaluations_without_gain");
  progress.seconds = file.number(group, "seconds");
  if (!file.has_attribute(group, "loss_scale")) return progress;
  progress.loss_scale = file.number(group, "loss_scale");
  if (!(progress.loss_scale > 0 && std::isfinite(progress.loss_scale))) {
    fail(Failure::checkpoint, "attribute loss_scale of ", group, ": is ", progress.loss_scale,
         "; a positive number was expected");
  }
  progress.steps_at_scale = count("steps_at_scale");
  progress.skipped_steps = count("skipped_steps");
  return progress;
}

Checkpoint read(const std::filesystem::path& path, bool with_tensors) {
  const std::string bytes = read_file(path);
  try {
    verify(bytes);
    const Hdf5Reader file(bytes);
    Checkpoint checkpoint;
    checkpoint.progress = read_progress(file);
    checkpoint.recipe = file.text("/recipe");
    checkpoint.classes = file.texts("/classes");
    if (!with_tensors) return checkpoint;
    checkpoint.parameters = read_tensors(file, "/parameters");
    checkpoint.buffers = read_tensors(file, "/buffers");
    for (const std::string& slot : file.members("/optimizer")) {
      checkpoint.optimizer[slot] = read_tensors(file, "/optimizer/" + slot);
    }
    return checkpoint;
  } catch (Error& error) {
    error.add_context(path.string());
    throw;
  }
}

}  // namespace

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](float value) { return std::isfinite(value); });
}

std::string find_not_finite(const Checkpoint& checkpoint) {
  const auto find = [](std::string_view kind, const TensorMap& tensors) -> std::string {
    for (const auto& [name, tensor] : tensors) {
      if (!all_finite(tensor.values)) return concat(kind, " '", name, "'");
    }
    return "";
  };
  if (std::string found = find("parameter", checkpoint.parameters); !found.empty()) return found;
  if (std::string found = find("buffer", checkpoint.buffers); !found.empty()) return found;
  for (const auto& [slot, tensors] : checkpoint.optimizer) {
    if (std::string found = find(concat(slot, " of"), tensors); !found.empty()) return found;
  }
  return "";
}

std::string to_bytes(const Checkpoint& checkpoint) {
  Hdf5Writer file;
  add_tensors(file, "/parameters", checkpoint.parameters);
  add_tensors(file, "/buffers", checkpoint.buffers);
  file.add_group("/optimizer");
  for (const auto& [slot, tensors] : checkpoint.optimizer) {
    check_name(slot);
    add_tensors(file, "/optimizer/" + slot, tensors);
  }
  add_progress(file, checkpoint.progress);
  file.add_text("/recipe", checkpoint.recipe);
  file.add_texts("/classes", checkpoint.classes);
  std::string bytes = file.finish();
  seal(bytes);
  return bytes;
}

Checkpoint load_checkpoint(const std::filesystem::path& path) { return read(path, true); }

Checkpoint load_checkpoint_header(const std::filesystem::path& path) { return read(path, false); }

}  // namespace lockstep
