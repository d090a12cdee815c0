// Pickles byte by byte: what they make, and every way to be wrong.
#include "weights/pickle.hpp"

#include <gtest/gtest.h>

#include "support/expect_error.hpp"
#include "weights/weight_files.hpp"

namespace lockstep::testing {
namespace {

using namespace std::string_literals;

Pickle pickle(const std::string& operations) {
  // Lives on, for texts point into it.
  static std::vector<std::shared_ptr<std::string>> kept;
  kept.push_back(std::make_shared<std::string>("\x80\x02" + operations));
  return read_pickle(*kept.back(), "test");
}

template <class T>
const T& root_as(const Pickle& pickle) {
  return std::get<T>(pickle.root());
}

TEST(PickleTest, ReadsNumbersOfEveryWidth) {
  const std::pair<std::string, int64_t> cases[] = {
      {"K\xff.", 255},
      {"M\xff\xff.", 65535},
      {"J\xff\xff\xff\xff.", -1},
      {"J\0\0\0\x80."s, INT32_MIN},
      {"\x8a\0."s, 0},
      {"\x8a\x01\xff.", -1},
      {"\x8a\x02\xff\0."s, 255},
      {"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", INT64_MAX},
      {"\x8b\x01\0\0\0\x80."s, -128},
  };
  for (const auto& [operations, expected] : cases) {
    EXPECT_EQ(root_as<int64_t>(pickle(operations)), expected);
  }
  EXPECT_EQ(root_as<double>(pickle("G\x3f\xf8\0\0\0\0\0\0."s)), 1.5);
  EXPECT_TRUE(root_as<bool>(pickle("\x88.")));
  EXPECT_FALSE(root_as<bool>(pickle("\x89.")));
  EXPECT_EQ(root_as<Pickle::Bytes>(pickle("\x8a\x09" + std::string(9, '\x01') + ".")).bytes.size(),
            9u);
}

TEST(PickleTest, ReadsTextsOfEveryOpcode) {
  for (const std::string& operations : {"X\2\0\0\0ab."s,
                                        "\x8c\2"
                                        "ab."s,
                                        "\x8d\2\0\0\0\0\0\0\0ab."s, "U\2ab."s, "T\2\0\0\0ab."s}) {
    EXPECT_EQ(root_as<Pickle::Text>(pickle(operations)).text, "ab");
  }
}

TEST(PickleTest, BuildsContainers) {
  EXPECT_EQ(root_as<Pickle::Sequence>(pickle("(K\1K\2K\3t.")).items.size(), 3u);
  EXPECT_EQ(root_as<Pickle::Sequence>(pickle("K\1K\2K\3\x87.")).items.size(), 3u);
  EXPECT_EQ(root_as<Pickle::Sequence>(pickle("](K\1K\2e.")).items.size(), 2u);
  EXPECT_EQ(root_as<Pickle::Sequence>(pickle("]K\1a.")).items.size(), 1u);
  EXPECT_EQ(root_as<Pickle::Sequence>(pickle("\x8f(K\1K\2\x90.")).items.size(), 2u);
  EXPECT_EQ(root_as<Pickle::Dict>(pickle("}(K\1K\2K\3K\4u.")).items.size(), 2u);
  const Pickle named = pickle("}U\1aK\1sU\1aK\2sU\1bK\3s.");
  const auto* a = named.find(root_as<Pickle::Dict>(named), "a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(std::get<int64_t>(*a), 2) << "the last one of a key counts";
  EXPECT_EQ(named.find(root_as<Pickle::Dict>(named), "c"), nullptr);
}

TEST(PickleTest, RemembersObjects) {
  const Pickle same = pickle("]q\0h\0\x86."s);
  EXPECT_EQ(root_as<Pickle::Sequence>(same).items[0], root_as<Pickle::Sequence>(same).items[1]);
  const Pickle itself = pickle("]q\0h\0a."s);
  EXPECT_EQ(root_as<Pickle::Sequence>(itself).items.size(), 1u) << "a list inside itself ends";
  EXPECT_EQ(root_as<Pickle::Sequence>(pickle("]\x94K\1\x94"
                                             "0h\1\x86."s))
                .items.size(),
            2u);
}

TEST(PickleTest, ReadsOrderedDictsAsPythonTwoWritesThem) {
  const Pickle pairs = pickle("ccollections\nOrderedDict\n(](](U\1aK\1e](U\1bK\2eetR.");
  EXPECT_EQ(root_as<Pickle::Dict>(pairs).items.size(), 2u);
}

TEST(PickleTest, SaysHowLongItWas) {
  const std::string two = "\x80\x02K\1.\x80\x02K\2.";
  EXPECT_EQ(read_pickle(two, "test").length, 5u);
}

// (storage, offset, shape, strides) of ten floats.
std::string tensor(const std::string& offset, const std::string& shape,
                   const std::string& strides) {
  return "ctorch._utils\n_rebuild_tensor\n((U\7storagectorch\nFloatStorage\nU\1"
         "0U\3cpuK\ntQ" +
         offset + shape + strides + "tR.";
}

TEST(PickleTest, MakesTensors) {
  const Pickle one = pickle(tensor("K\4", "K\2K\3\x86", "K\3K\1\x86"));
  ASSERT_EQ(one.tensors.size(), 1u);
  EXPECT_EQ(one.tensors[0].offset, 4);
  EXPECT_EQ(one.tensors[0].shape, Shape({2, 3}));
  EXPECT_EQ(one.tensors[0].strides, std::vector<int64_t>({3, 1}));
  EXPECT_EQ(one.storages[0].key, "0");
  EXPECT_EQ(one.storages[0].elements, 10);
  EXPECT_EQ(pickle("ctorch.nn.parameter\nParameter\n(" +
                   tensor("K\0"s, ")", ")").substr(0, tensor("K\0"s, ")", ")").size() - 1) + "tR.")
                .tensors.size(),
            1u);
}

TEST(PickleTest, RefusesWhatIsWrongWithItsPlace) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "test, byte 2: the file ends"},
      {"K", "test, byte 3: the file ends"},
      {"X\xff\xff\xff\xffxx", "too early"},
      {"\x8d\xff\xff\xff\xff\xff\xff\xff\xffxx", "too early"},
      {"!", "byte 2: unknown opcode 33"},
      {"cos\nsystem\nU\2ls\x85R.", "wants os.system; expected tensors, numbers"},
      {"U\2osU\6system\x93.", "wants os.system"},
      {"cos\nsystem", "name without end"},
      {"c" + std::string(100000, 'a'), "name without end"},
      {".", "without operands"},
      {"(K\1", "the file ends"},
      {"K\1(.", "without operands"},
      {"t.", "no mark"},
      {"h\5.", "memo number 5"},
      {"K\1r\xff\xff\xff\xff.", "memo number 4294967295"},
      {"K\1K\2a.", "found an integer; expected a list or set"},
      {"}(K\1u.", "key without value"},
      {")(K\1e.", "another container"},
      {"K\1)R.", "expected a function"},
      {"ctorch\nFloatStorage\n)R.", "a storage's type is called"},
      {"ctorch.nn.parameter\nParameter\n)R.", "without a tensor"},
      {"K\1}b.", "attributes of an integer"},
      {"K\1Q.", "a persistent id is an integer"},
      {"U\6module\x85Q.", "a tuple of 1"},
      {"\x80\x07.", "protocol 7"},
      {tensor("J\xff\xff\xff\xff", ")", ")"), "a tensor's offset is -1"},
      {tensor("K\1", "K\1\x85", ")"), "1 extents and 0 strides"},
      {tensor("K\1", "(K\1K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1K\1t"), "at most 6"},
      {tensor("K\1", "K\1", ")"), "a tensor's shape is an integer"},
      {tensor("K\1", "\x8a\x08\0\0\0\0\0\0\0\x40\x8a\x08\0\0\0\0\0\0\0\x40\x86"s, ")")
           .substr(0, 200),
       "strides"},
      {tensor("K\1", "\x8a\x08\0\0\0\0\0\0\0\x40\x8a\x08\0\0\0\0\0\0\0\x40\x86"s, "K\1K\1\x86"),
       "more elements than any file"},
  };
  for (const auto& [operations, text] : cases) {
    expect_error([&, &bytes = operations] { pickle(bytes); }, Failure::checkpoint, text);
  }
}

TEST(PickleTest, BoundsObjectsStackAndCopies) {
  const size_t many = Pickle::kMostObjects + 1;
  for (const char* operation : {"N", "(", ")"}) {
    std::string all;
    for (size_t i = 0; i < many; ++i) all += operation;
    expect_error([&] { pickle(all); }, Failure::checkpoint, "objects; expected a state dict");
  }
  expect_error([&] { pickle("N" + std::string(many, '2')); }, Failure::checkpoint, "objects");

  // A long list of pairs, copied into one OrderedDict after the other.
  std::string copies = "ccollections\nOrderedDict\nq\1]q\0(K\1K\2\x86q\2"s;
  for (int i = 0; i < 100000; ++i) copies += "h\2"s;
  copies += "e\x85q\3";
  for (int i = 0; i < 100; ++i) copies += "h\1h\3R"s;
  expect_error([&] { pickle(copies); }, Failure::checkpoint, "objects");
}

}  // namespace
}  // namespace lockstep::testing
