// CIFAR-100, binary version: a training file of 50,000 pictures and a test file of 10,000, with the
// fine labels.
#include <lockstep/plugin.hpp>

#include "cifar_binary.hpp"

namespace {
using namespace lockstep;

const CifarLayout kLayout{
    .name = "CIFAR-100",
    .subfolder = "cifar-100-binary",
    .train_files = {"train.bin"},
    .test_files = {"test.bin"},
    .label_bytes = 2,  // the superclass, then the class
    .names_file = "fine_label_names.txt",
    .class_names = {"apple",    "aquarium_fish", "baby",       "bear",         "beaver",
                    "bed",      "bee",           "beetle",     "bicycle",      "bottle",
                    "bowl",     "boy",           "bridge",     "bus",          "butterfly",
                    "camel",    "can",           "castle",     "caterpillar",  "cattle",
                    "chair",    "chimpanzee",    "clock",      "cloud",        "cockroach",
                    "couch",    "crab",          "crocodile",  "cup",          "dinosaur",
                    "dolphin",  "elephant",      "flatfish",   "forest",       "fox",
                    "girl",     "hamster",       "house",      "kangaroo",     "keyboard",
                    "lamp",     "lawn_mower",    "leopard",    "lion",         "lizard",
                    "lobster",  "man",           "maple_tree", "motorcycle",   "mountain",
                    "mouse",    "mushroom",      "oak_tree",   "orange",       "orchid",
                    "otter",    "palm_tree",     "pear",       "pickup_truck", "pine_tree",
                    "plain",    "plate",         "poppy",      "porcupine",    "possum",
                    "rabbit",   "raccoon",       "ray",        "road",         "rocket",
                    "rose",     "sea",           "seal",       "shark",        "shrew",
                    "skunk",    "skyscraper",    "snail",      "snake",        "spider",
                    "squirrel", "streetcar",     "sunflower",  "sweet_pepper", "table",
                    "tank",     "telephone",     "television", "tiger",        "tractor",
                    "train",    "trout",         "tulip",      "turtle",       "wardrobe",
                    "whale",    "willow_tree",   "wolf",       "woman",        "worm"},
};

class Cifar100 final : public CifarBinary {
 public:
  Cifar100(const DatasetSource& source, const NoOptions&) : CifarBinary(source, kLayout) {}
};

}  // namespace

LS_PLUGIN(cifar100, registry) {
  registry.dataset<Cifar100>("cifar100", "CIFAR-100's binary files: 32x32 RGB, 100 classes");
}
