#include "cudnn.hpp"

#include "base/error.hpp"
#include "check.hpp"

namespace lockstep::cuda {

Descriptor::State::~State() {
  if (raw != nullptr) cudnnBackendDestroyDescriptor(raw);
}

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) : state_(std::make_shared<State>()) {
  check(cudnnBackendCreateDescriptor(type, &state_->raw), "cudnnBackendCreateDescriptor");
  state_->text = concat(static_cast<int>(type), ':');
}

Descriptor& Descriptor::set_values(cudnnBackendAttributeName_t name,
                                   cudnnBackendAttributeType_t type, int64_t count,
                                   const void* values, std::string_view text) {
  check(cudnnBackendSetAttribute(raw(), name, type, count, values),
        concat("cudnnBackendSetAttribute ", static_cast<int>(name)));
  state_->text += concat(static_cast<int>(name), '=', text, ';');
  return *this;
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values) {
  std::string text;
  for (int64_t value : values) text += concat(value, ',');
  return set_values(name, CUDNN_TYPE_INT64, static_cast<int64_t>(values.size()), values.data(),
                    text);
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const std::string& characters) {
  return set_values(name, CUDNN_TYPE_CHAR, static_cast<int64_t>(characters.size()),
                    characters.data(), characters);
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name,
                            std::span<const void* const> addresses) {
  return set_values(name, CUDNN_TYPE_VOID_PTR, static_cast<int64_t>(addresses.size()),
                    addresses.data(), "addresses");
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const Descriptor& part) {
  return set(name, std::span(&part, 1));
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, std::span<const Descriptor> parts) {
  std::vector<cudnnBackendDescriptor_t> raws;
  std::string text;
  for (const Descriptor& part : parts) {
    raws.push_back(part.raw());
    text += concat('{', part.text(), '}');
    state_->parts.push_back(part);
  }
  return set_values(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<int64_t>(raws.size()),
                    raws.data(), text);
}

Descriptor& Descriptor::finalize(std::string_view what) {
  check(cudnnBackendFinalize(raw()), what);
  return *this;
}

int64_t Descriptor::integer(cudnnBackendAttributeName_t name) const {
  int64_t value = 0, count = 0;
  check(cudnnBackendGetAttribute(raw(), name, CUDNN_TYPE_INT64, 1, &count, &value),
        "cudnnBackendGetAttribute");
  return value;
}

std::string Descriptor::characters(cudnnBackendAttributeName_t name) const {
  int64_t size = 0;
  check(cudnnBackendGetAttribute(raw(), name, CUDNN_TYPE_CHAR, 0, &size, nullptr),
        "cudnnBackendGetAttribute");
  std::string text(static_cast<size_t>(size), '\0');
  check(cudnnBackendGetAttribute(raw(), name, CUDNN_TYPE_CHAR, size, &size, text.data()),
        "cudnnBackendGetAttribute");
  text.resize(text.find_last_not_of('\0') + 1);
  return text;
}

std::vector<Descriptor> Descriptor::parts(cudnnBackendAttributeName_t name,
                                          cudnnBackendDescriptorType_t type, int64_t most) const {
  std::vector<Descriptor> parts;
  std::vector<cudnnBackendDescriptor_t> raws;
  for (int64_t i = 0; i < most; ++i) {
    parts.emplace_back(type);
    raws.push_back(parts.back().raw());
  }
  int64_t count = 0;
  check(cudnnBackendGetAttribute(raw(), name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, &count,
                                 raws.data()),
        "cudnnBackendGetAttribute");
  parts.resize(static_cast<size_t>(std::min(count, most)));
  return parts;
}

cudnnDataType_t cudnn_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return CUDNN_DATA_FLOAT;
    case DType::f16:
      return CUDNN_DATA_HALF;
    case DType::bf16:
      return CUDNN_DATA_BFLOAT16;
    default:
      fail(Failure::device, "cuda: cuDNN is given no ", name(dtype), "; expected f32, f16 or bf16");
  }
}

std::string OperationGraph::text() const {
  std::string text;
  for (const Descriptor& operation : operations) text += operation.text() + '\n';
  return text;
}

Descriptor OperationGraph::descriptor(cudnnHandle_t handle) const {
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, std::span(operations));
  if (handle != nullptr) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle);
  return graph.finalize("operation graph");
}

}  // namespace lockstep::cuda
