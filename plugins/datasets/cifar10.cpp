// CIFAR-10, binary version: five training files and a test file of 10,000 pictures each.
#include <lockstep/plugin.hpp>

#include "cifar_binary.hpp"

namespace {
using namespace lockstep;

const CifarLayout kLayout{
    .name = "CIFAR-10",
    .subfolder = "cifar-10-batches-bin",
    .train_files = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                    "data_batch_5.bin"},
    .test_files = {"test_batch.bin"},
    .label_bytes = 1,
    .names_file = "batches.meta.txt",
    .class_names = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
                    "truck"},
};

class Cifar10 final : public CifarBinary {
 public:
  Cifar10(const DatasetSource& source, const NoOptions&) : CifarBinary(source, kLayout) {}
};

}  // namespace

LS_PLUGIN(cifar10, registry) {
  registry.dataset<Cifar10>("cifar10", "CIFAR-10's binary files: 32x32 RGB, 10 classes");
}
