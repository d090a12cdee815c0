// Dynamic loss scaling for fp16, as PyTorch's torch.amp.GradScaler. Micikevicius et al.,
// arXiv:1710.03740, section 3.2: gradients below 2^-24 vanish in fp16, so the loss is multiplied
// with a large number, and its gradients are divided by it in float32.
//
// The scale begins at 65536, doubles after 2000 steps without overflow, and is halved when a
// gradient is not finite; that step changes no parameter. Its state is part of Progress, so that a
// resumed training goes on with it.
#pragma once

#include "checkpoint/checkpoint.hpp"
#include "recipe/recipe.hpp"

namespace lockstep {

// 0 unless the recipe's precision is fp16.
double initial_loss_scale(const TrainSection& train);

// What follows from a step that was, or was not, skipped. A scale that the recipe fixes stays.
void update_loss_scale(Progress& progress, const TrainSection& train, bool skipped);

}  // namespace lockstep
