// Drawn pictures, read back: what is where.
#include "cli/draw.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "cli/canvas.hpp"
#include "data/decode.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace lockstep {
namespace {

using Lines = std::vector<std::string>;

constexpr Rgb kWhite = {255, 255, 255};

class DrawTest : public ::testing::Test {
 protected:
  static Image gradient(int height, int width) {
    Image image;
    image.resize(3, height, width);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        image.row(0, y)[x] = static_cast<uint8_t>(x);
        image.row(1, y)[x] = static_cast<uint8_t>(y);
        image.row(2, y)[x] = 77;
      }
    }
    return image;
  }
  static Rgb pixel(const Image& image, int y, int x) {
    return {image.row(0, y)[x], image.row(1, y)[x], image.row(2, y)[x]};
  }
  // How many pixels in rows [top, bottom) are black.
  static int letters_in(const Image& image, int top, int bottom) {
    int count = 0;
    for (int y = top; y < bottom; ++y) {
      for (int x = 0; x < image.width; ++x) count += pixel(image, y, x) == Rgb{0, 0, 0};
    }
    return count;
  }
  Image drawn() {
    Image image;
    decode_picture_file(file.string(), image);
    return image;
  }
  Image labelled(const Image& image, const Lines& lines) {
    draw_labels(image, lines, file);
    return drawn();
  }
  Image matrix(const std::vector<int64_t>& counts, const Lines& names) {
    draw_confusion_matrix(counts, names, file);
    return drawn();
  }
  static Rgb cell(const Image& image, const MatrixLayout& layout, int row, int column) {
    const int inset = layout.cell > 2 ? 1 : 0;  // inside the lines
    return pixel(image, layout.top + row * layout.cell + inset,
                 layout.left + column * layout.cell + inset);
  }
  static Lines numbered(int count) {
    Lines names;
    for (int k = 0; k < count; ++k) names.push_back(concat("class ", k));
    return names;
  }

  test::TemporaryFolder folder;
  std::filesystem::path file = folder / "drawn.png";
};

TEST_F(DrawTest, KeepsThePictureAboveTheLines) {
  const Image image = gradient(100, 240);
  const Image result = labelled(image, {"goldfish 97.1%", "tench 1.3%"});
  ASSERT_EQ(result.width, 240);
  ASSERT_GT(result.height, 100);
  for (int y = 0; y < 100; ++y) {
    for (int x = 0; x < 240; ++x) ASSERT_EQ(pixel(result, y, x), pixel(image, y, x));
  }
  EXPECT_GT(letters_in(result, 100, result.height), 100);
}

TEST_F(DrawTest, EnlargesSmallPicturesPixelByPixel) {
  const Image image = gradient(32, 32);
  const Image result = labelled(image, {"frog"});
  ASSERT_EQ(result.width, 224);
  for (int y = 0; y < 224; ++y) {
    for (int x = 0; x < 224; ++x) ASSERT_EQ(pixel(result, y, x), pixel(image, y / 7, x / 7));
  }
}

TEST_F(DrawTest, GivesEachLineItsPlaceAndTheWidthItNeeds) {
  const std::string wide(120, 'w');
  const Image one = labelled(gradient(10, 240), {"cat"});
  const Image two = labelled(gradient(10, 240), {"cat", "dog"});
  const Image long_line = labelled(gradient(10, 240), {wide});
  EXPECT_EQ(two.height - one.height, Canvas::kLineHeight);
  EXPECT_GT(letters_in(two, 10, two.height), letters_in(one, 10, one.height));
  EXPECT_GT(long_line.width, Canvas::text_width(wide, 1));
  EXPECT_EQ(pixel(long_line, 5, 0), kWhite) << "the picture is in the middle";
}

TEST_F(DrawTest, ALetterHasItsShape) {
  // "I" has a bar at its top, a stem in the middle and a bar at its foot.
  Canvas canvas(8, 12, kWhite);
  canvas.text("I", 0, 0, 1, {0, 0, 0});
  canvas.write_png(file);
  const Image image = drawn();
  std::vector<int> widths;
  for (int y = 0; y < image.height; ++y) {
    if (const int width = letters_in(image, y, y + 1)) widths.push_back(width);
  }
  ASSERT_GE(widths.size(), 5u);
  EXPECT_EQ(widths.front(), 3);
  EXPECT_EQ(widths.back(), 3);
  for (size_t i = 1; i + 1 < widths.size(); ++i) EXPECT_EQ(widths[i], 1);
}

TEST_F(DrawTest, ShowsLettersThatTheFontLacksAsQuestionMarks) {
  const Image found = labelled(gradient(5, 224), {"K\xc3\xbche\t\x7f"});
  const Image expected = labelled(gradient(5, 224), {"K?he??"});
  ASSERT_EQ(found.bytes(), expected.bytes());
  EXPECT_TRUE(std::equal(found.data(), found.data() + found.bytes(), expected.data()));
}

TEST_F(DrawTest, TakesPicturesOfAnyShape) {
  EXPECT_EQ(labelled(gradient(1, 1), {"x"}).width, 224);
  EXPECT_EQ(labelled(gradient(9000, 1), {"x"}).width, 224) << "not enlarged beyond measure";
  EXPECT_EQ(labelled(gradient(3, 1000), {}).height, 3);
}

TEST_F(DrawTest, SaysWhereItCannotWrite) {
  testing::expect_error([&] { draw_labels(gradient(5, 5), {}, folder / "none/a.png"); },
                        Failure::other, "none/a.png: cannot be written");
}

TEST_F(DrawTest, ACellIsAsDarkAsItsShareOfTheRow) {
  const Lines names = {"ant", "bee"};
  const Image image = matrix({3, 1, 0, 8}, names);
  const MatrixLayout layout = matrix_layout(names);
  ASSERT_TRUE(layout.named);
  EXPECT_EQ(cell(image, layout, 1, 0), kWhite);
  const int full = cell(image, layout, 1, 1)[0], three_quarters = cell(image, layout, 0, 0)[0],
            quarter = cell(image, layout, 0, 1)[0];
  EXPECT_LT(full, three_quarters);
  EXPECT_LT(three_quarters, quarter);
  EXPECT_NEAR(quarter, 255 - (255 - full) / 4, 1);
}

TEST_F(DrawTest, WritesNamesAndNumbersOfUpToAHundredClasses) {
  for (int classes : {2, 10, 30, 100}) {
    const Lines names = numbered(classes);
    std::vector<int64_t> counts(static_cast<size_t>(classes * classes));
    const Image empty = matrix(counts, names);
    for (int k = 0; k < classes; ++k) counts[static_cast<size_t>(k * (classes + 1))] = 5;
    const Image image = matrix(counts, names);
    const MatrixLayout layout = matrix_layout(names);
    ASSERT_GE(image.height, layout.top + classes * layout.cell);
    EXPECT_GE(layout.cell, Canvas::kLineHeight) << "names do not overlap";
    EXPECT_EQ(cell(image, layout, classes - 1, 0), kWhite);
    EXPECT_NE(cell(image, layout, classes - 1, classes - 1), kWhite);
    // In the last row: its name, left of the cells, and its number, in white on a dark cell.
    const int top = layout.top + (classes - 1) * layout.cell, bottom = top + layout.cell;
    EXPECT_GT(letters_in(empty, top, bottom), 10);
    int white = 0;
    for (int y = top + 1; y < bottom; ++y) {
      for (int x = 1; x < layout.cell; ++x)
        white += pixel(image, y, layout.left + (classes - 1) * layout.cell + x) == kWhite;
    }
    EXPECT_GT(white, 5);
  }
}

TEST_F(DrawTest, AThousandClassesAreAHeatMap) {
  const Lines names = numbered(1000);
  std::vector<int64_t> counts(1000 * 1000);
  for (size_t k = 0; k < 1000; ++k) counts[k * 1000 + (k * 7) % 1000] = 50;
  const Image image = matrix(counts, names);
  const MatrixLayout layout = matrix_layout(names);
  EXPECT_FALSE(layout.named);
  EXPECT_LT(image.height, 1100);
  EXPECT_LT(image.width, 1100);
  EXPECT_NE(cell(image, layout, 123, 861), kWhite);
  EXPECT_EQ(cell(image, layout, 123, 860), kWhite);
}

}  // namespace
}  // namespace lockstep
