#include "checkpoint/hdf5_image.hpp"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.hpp"

namespace lockstep {
namespace {

static_assert(sizeof(hid_t) == sizeof(int64_t));

constexpr size_t kMemoryIncrement = size_t{1} << 20;

// The library's own words for the innermost cause of its last failure.
std::string library_reason() {
  std::string reason;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
        auto& text = *static_cast<std::string*>(out);
        if (text.empty() && error->desc != nullptr) text = error->desc;
        return 0;
      },
      &reason);
  return reason.empty() ? "no reason given" : reason;
}

int64_t check(int64_t result, const std::string& path, const char* action) {
  if (result < 0) fail(Failure::checkpoint, path, ": HDF5 cannot ", action, ": ", library_reason());
  return result;
}

Hdf5Id make(int64_t id, Hdf5Id::Close close, const std::string& path, const char* action) {
  return {check(id, path, action), close};
}

template <herr_t (*Close)(hid_t)>
int close_with(int64_t id) {
  return Close(id);
}
constexpr auto kCloseDataset = &close_with<H5Dclose>;
constexpr auto kCloseSpace = &close_with<H5Sclose>;
constexpr auto kCloseType = &close_with<H5Tclose>;
constexpr auto kCloseSettings = &close_with<H5Pclose>;

Hdf5Id in_memory() {
  H5Eset_auto2(H5E_DEFAULT, nullptr,
               nullptr);  // errors are exceptions here, not text on the terminal
  Hdf5Id access = make(H5Pcreate(H5P_FILE_ACCESS), kCloseSettings, "file", "make access settings");
  check(H5Pset_fapl_core(access.get(), kMemoryIncrement, false), "file", "work in memory");
  return access;
}

Hdf5Id text_type(size_t length, const std::string& path) {
  Hdf5Id type = make(H5Tcopy(H5T_C_S1), kCloseType, path, "make a string type");
  check(H5Tset_size(type.get(), length > 0 ? length : 1), path, "set the length of a string");
  check(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), path, "set the padding of a string");
  check(H5Tset_cset(type.get(), H5T_CSET_UTF8), path, "set UTF-8");
  return type;
}

std::string without_padding(std::string text) {
  text.erase(text.find_last_not_of('\0') + 1);
  return text;
}

}  // namespace

Hdf5Id& Hdf5Id::operator=(Hdf5Id&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(close_, other.close_);
  return *this;
}

Hdf5Id::~Hdf5Id() {
  if (id_ >= 0 && close_ != nullptr) close_(id_);
}

// --- writing

Hdf5Writer::Hdf5Writer() {
  const Hdf5Id access = in_memory();
  const Hdf5Id creation =
      make(H5Pcreate(H5P_FILE_CREATE), kCloseSettings, "file", "make creation settings");
  check(H5Pset_userblock(creation.get(), kUserBlockBytes), "file", "reserve the user block");
  check(H5Pset_obj_track_times(creation.get(), false), "file", "leave out timestamps");
  file_ = make(H5Fcreate("checkpoint", H5F_ACC_TRUNC, creation.get(), access.get()),
               &close_with<H5Fclose>, "file", "create it in memory");
  link_settings_ = make(H5Pcreate(H5P_LINK_CREATE), kCloseSettings, "file", "make link settings");
  check(H5Pset_char_encoding(link_settings_.get(), H5T_CSET_UTF8), "file", "set UTF-8");
}

void Hdf5Writer::add_group(const std::string& path) {
  const Hdf5Id creation =
      make(H5Pcreate(H5P_GROUP_CREATE), kCloseSettings, path, "make group settings");
  check(H5Pset_obj_track_times(creation.get(), false), path, "leave out timestamps");
  make(H5Gcreate2(file_.get(), path.c_str(), link_settings_.get(), creation.get(), H5P_DEFAULT),
       &close_with<H5Gclose>, path, "create the group");
}

Hdf5Id Hdf5Writer::create_dataset(const std::string& path, int64_t type,
                                  std::span<const uint64_t> extents, bool scalar) {
  const std::vector<hsize_t> sizes(extents.begin(), extents.end());
  const Hdf5Id space =
      make(scalar ? H5Screate(H5S_SCALAR)
                  : H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr),
           kCloseSpace, path, "describe the extents");
  const Hdf5Id creation =
      make(H5Pcreate(H5P_DATASET_CREATE), kCloseSettings, path, "make dataset settings");
  check(H5Pset_obj_track_times(creation.get(), false), path, "leave out timestamps");
  check(H5Pset_layout(creation.get(), H5D_CONTIGUOUS), path, "lay it out contiguously");
  // Written in full at once: filling before would only cost time.
  check(H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER), path, "leave out filling");
  return make(H5Dcreate2(file_.get(), path.c_str(), type, space.get(), link_settings_.get(),
                         creation.get(), H5P_DEFAULT),
              kCloseDataset, path, "create the dataset");
}

void Hdf5Writer::add_tensor(const std::string& path, const HostTensor& tensor) {
  const std::vector<uint64_t> extents(tensor.shape.begin(), tensor.shape.end());
  const Hdf5Id dataset = create_dataset(path, H5T_IEEE_F32LE, extents, extents.empty());
  if (tensor.values.empty()) return;
  check(H5Dwrite(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                 tensor.values.data()),
        path, "write the values");
}

void Hdf5Writer::add_text(const std::string& path, std::string_view text) {
  const Hdf5Id type = text_type(text.size(), path);
  const Hdf5Id dataset = create_dataset(path, type.get(), {}, true);
  const std::string padded(text.empty() ? std::string_view("\0", 1) : text);
  check(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, padded.data()), path,
        "write the text");
}

void Hdf5Writer::add_texts(const std::string& path, const std::vector<std::string>& texts) {
  size_t length = 1;
  for (const std::string& text : texts) length = std::max(length, text.size());
  const Hdf5Id type = text_type(length, path);
  const uint64_t count = texts.size();
  const Hdf5Id dataset = create_dataset(path, type.get(), std::span(&count, 1), false);
  if (texts.empty()) return;
  std::string padded;
  for (const std::string& text : texts) {
    padded += text;
    padded.resize(padded.size() + length - text.size(), '\0');
  }
  check(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, padded.data()), path,
        "write the texts");
}

void Hdf5Writer::set_attribute(const std::string& path, const std::string& name, int64_t value) {
  write_attribute(path, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}
void Hdf5Writer::set_attribute(const std::string& path, const std::string& name, uint64_t value) {
  write_attribute(path, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value);
}
void Hdf5Writer::set_attribute(const std::string& path, const std::string& name, double value) {
  write_attribute(path, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

void Hdf5Writer::write_attribute(const std::string& path, const std::string& name,
                                 int64_t file_type, int64_t memory_type, const void* value) {
  const Hdf5Id space = make(H5Screate(H5S_SCALAR), kCloseSpace, path, "describe a scalar");
  const Hdf5Id attribute =
      make(H5Acreate_by_name(file_.get(), path.c_str(), name.c_str(), file_type, space.get(),
                             H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
           &close_with<H5Aclose>, path, "create an attribute");
  check(H5Awrite(attribute.get(), memory_type, value), path, "write an attribute");
}

std::string Hdf5Writer::finish() {
  check(H5Fflush(file_.get(), H5F_SCOPE_GLOBAL), "file", "complete it");
  const int64_t size = check(H5Fget_file_image(file_.get(), nullptr, 0), "file", "tell its size");
  std::string bytes(static_cast<size_t>(kUserBlockBytes + size), '\0');
  check(H5Fget_file_image(file_.get(), bytes.data() + kUserBlockBytes, static_cast<size_t>(size)),
        "file", "give its bytes");
  file_ = Hdf5Id();
  return bytes;
}

// --- reading

Hdf5Reader::Hdf5Reader(const std::string& bytes) : file_bytes_(bytes.size()) {
  const Hdf5Id access = in_memory();
  // The library copies the bytes and does not change these, whatever its signature says.
  check(H5Pset_file_image(access.get(), const_cast<char*>(bytes.data()), bytes.size()), "file",
        "take its bytes");
  file_ = make(H5Fopen("checkpoint", H5F_ACC_RDONLY, access.get()), &close_with<H5Fclose>, "file",
               "open it");
}

std::vector<std::string> Hdf5Reader::members(const std::string& path) const {
  const Hdf5Id group = make(H5Gopen2(file_.get(), path.c_str(), H5P_DEFAULT), &close_with<H5Gclose>,
                            path, "open the group");
  std::vector<std::string> names;
  check(H5Literate(
            group.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr,
            [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
              static_cast<std::vector<std::string>*>(out)->emplace_back(name);
              return 0;
            },
            &names),
        path, "list the group");
  return names;
}

HostTensor Hdf5Reader::tensor(const std::string& path) const {
  const Hdf5Id dataset = make(H5Dopen2(file_.get(), path.c_str(), H5P_DEFAULT), kCloseDataset, path,
                              "open the dataset");
  const Hdf5Id type = make(H5Dget_type(dataset.get()), kCloseType, path, "tell its type");
  const Hdf5Id space = make(H5Dget_space(dataset.get()), kCloseSpace, path, "tell its extents");
  if (H5Tget_class(type.get()) != H5T_FLOAT || H5Tget_size(type.get()) != sizeof(float)) {
    fail(Failure::checkpoint, path, ": is no dataset of 32-bit floats, which was expected");
  }
  std::array<hsize_t, H5S_MAX_RANK> extents{};
  const auto rank = check(H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr), path,
                          "tell its extents");
  if (rank > Shape::kMaxRank) {
    fail(Failure::checkpoint, path, ": has ", rank, " dimensions; at most ", Shape::kMaxRank,
         " were expected");
  }
  HostTensor tensor;
  uint64_t bytes = sizeof(float);
  for (int axis = 0; axis < rank; ++axis) {
    const bool overflow = __builtin_mul_overflow(bytes, extents[axis], &bytes);
    if (overflow || extents[axis] > file_bytes_) {
      fail(Failure::checkpoint, path, ": has an extent of ", extents[axis], " in a file of ",
           file_bytes_, " bytes");
    }
    tensor.shape.append(static_cast<int64_t>(extents[axis]));
  }
  if (bytes > file_bytes_ || H5Dget_storage_size(dataset.get()) != bytes) {
    fail(Failure::checkpoint, path, ": has the extents ", tensor.shape, ", but ",
         H5Dget_storage_size(dataset.get()),
         " bytes of values; plain contiguous values were expected");
  }
  tensor.values.resize(bytes / sizeof(float));
  if (tensor.values.empty()) return tensor;
  check(
      H5Dread(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.values.data()),
      path, "read the values");
  return tensor;
}

// All strings of a dataset, one after another, each padded with zeros to `length`.
std::string Hdf5Reader::strings(const std::string& path, size_t& length, size_t& count) const {
  const Hdf5Id dataset = make(H5Dopen2(file_.get(), path.c_str(), H5P_DEFAULT), kCloseDataset, path,
                              "open the dataset");
  const Hdf5Id type = make(H5Dget_type(dataset.get()), kCloseType, path, "tell its type");
  const Hdf5Id space = make(H5Dget_space(dataset.get()), kCloseSpace, path, "tell its extents");
  if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get()) != 0) {
    fail(Failure::checkpoint, path,
         ": is no dataset of strings of fixed length, which was expected");
  }
  length = H5Tget_size(type.get());
  count = static_cast<size_t>(
      check(H5Sget_simple_extent_npoints(space.get()), path, "tell its extents"));
  size_t bytes = 0;
  if (__builtin_mul_overflow(length, count, &bytes) || bytes > file_bytes_) {
    fail(Failure::checkpoint, path, ": has ", count, " strings of ", length, " bytes in a file of ",
         file_bytes_, " bytes");
  }
  std::string all(bytes, '\0');
  if (all.empty()) return all;
  check(H5Dread(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, all.data()), path,
        "read the text");
  return all;
}

std::string Hdf5Reader::text(const std::string& path) const {
  size_t length = 0;
  size_t count = 0;
  std::string all = strings(path, length, count);
  if (count != 1) fail(Failure::checkpoint, path, ": holds ", count, " strings; one was expected");
  return without_padding(std::move(all));
}

std::vector<std::string> Hdf5Reader::texts(const std::string& path) const {
  size_t length = 0;
  size_t count = 0;
  const std::string all = strings(path, length, count);
  std::vector<std::string> texts;
  for (size_t i = 0; i < count; ++i)
    texts.push_back(without_padding(all.substr(i * length, length)));
  return texts;
}

void Hdf5Reader::read_attribute(const std::string& path, const std::string& name,
                                int64_t memory_type, void* value) const {
  const std::string where = concat("attribute ", name, " of ", path);
  const Hdf5Id attribute =
      make(H5Aopen_by_name(file_.get(), path.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT),
           &close_with<H5Aclose>, where, "open it");
  const Hdf5Id space = make(H5Aget_space(attribute.get()), kCloseSpace, where, "tell its extents");
  if (H5Sget_simple_extent_npoints(space.get()) != 1) {
    fail(Failure::checkpoint, where, ": holds several values; one was expected");
  }
  check(H5Aread(attribute.get(), memory_type, value), where, "read it");
}

int64_t Hdf5Reader::integer(const std::string& path, const std::string& name) const {
  int64_t value = 0;
  read_attribute(path, name, H5T_NATIVE_INT64, &value);
  return value;
}
uint64_t Hdf5Reader::unsigned_integer(const std::string& path, const std::string& name) const {
  uint64_t value = 0;
  read_attribute(path, name, H5T_NATIVE_UINT64, &value);
  return value;
}
double Hdf5Reader::number(const std::string& path, const std::string& name) const {
  double value = 0;
  read_attribute(path, name, H5T_NATIVE_DOUBLE, &value);
  return value;
}
bool Hdf5Reader::has_attribute(const std::string& path, const std::string& name) const {
  const htri_t found = H5Aexists_by_name(file_.get(), path.c_str(), name.c_str(), H5P_DEFAULT);
  check(found, concat("attribute ", name, " of ", path), "look for it");
  return found > 0;
}

}  // namespace lockstep
