// Which way is up: the orientation that a camera notes, and pictures turned by it.
#pragma once

#include "data/decoders.hpp"

namespace lockstep {

// The orientation, 1 to 8, by the first directory of the EXIF data or else by the XMP data, as
// Pillow's Image.getexif finds it; 1, upright, where there is none or what is there is damaged.
int orientation_of(const PictureMetadata& metadata);

// Turns or mirrors a picture that was stored with this orientation, so that it is upright.
void make_upright(Image& image, int orientation);

}  // namespace lockstep
