// The 1,000 classes of ImageNet (ILSVRC 2012): what published weights call them.
#pragma once

#include <span>
#include <string_view>

namespace lockstep {

// torchvision's names, in its order: "tench", "goldfish", … A few are there twice ("crane").
std::span<const std::string_view> imagenet_class_names();

// WordNet's numbers, in the same order, which is theirs: "n01440764", "n01443537", …
std::span<const std::string_view> imagenet_wnids();

// The name of the class with this number; empty where there is none.
std::string_view imagenet_name_of(std::string_view wnid);

}  // namespace lockstep
