// The readers behind read_weights, one file each. What is wrong throws Error{checkpoint} that
// begins with the place in the file; the file's name is for the caller to add.
#pragma once

#include <functional>

#include "weights/bytes.hpp"
#include "weights/pickle.hpp"
#include "weights/weights.hpp"

namespace lockstep {

Weights read_torch_zip(const FileBytes& file);     // torch.save since PyTorch 1.6
Weights read_torch_legacy(const FileBytes& file);  // torch.save before that
Weights read_safetensors(const FileBytes& file);

// Whether a file begins as the legacy format: with its magic number, pickled.
bool is_torch_legacy(std::string_view bytes);

// By content, among the three above; what is none of them is refused with what it seems to be.
Weights read_weights_in(const FileBytes& file);

// The tensors of a pickled state dict, or of one inside a dictionary (see kNested in the source).
// `storage` returns the bytes of a whole storage, elements * size_of(dtype) of them; it is asked
// for those that tensors use.
Weights weights_of_pickle(const Pickle& pickle,
                          const std::function<FileBytes(const PickledStorage&)>& storage);

// Puts a tensor's view on its storage; throws where it reaches past `elements`, or repeats elements
// out of all proportion.
StoredTensor place_tensor(DType dtype, const Shape& shape, std::vector<int64_t> strides,
                          int64_t offset, int64_t elements, const FileBytes& bytes);

// Removes the prefix "module." (torch.nn.DataParallel's) if all names have it.
void strip_module_prefix(Weights& weights);

}  // namespace lockstep
