// For tests of bad input: this call throws this kind of Error, with this text in its message.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace lockstep::testing {

template <class Call>
void expect_error(Call&& call, Failure failure, std::string_view text) {
  try {
    call();
    ADD_FAILURE() << "threw nothing; expected an Error with: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.failure(), failure) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(text), std::string_view::npos)
        << "found:    " << error.what() << "\nexpected: " << text;
  }
}

}  // namespace lockstep::testing
