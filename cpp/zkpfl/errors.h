#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace zkpfl {

// Each class maps to the class of the same name in zkpfl.errors. Texts never contain a secret.
struct InvalidEncoding : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct InvalidScalar : InvalidEncoding {
  explicit InvalidScalar(std::size_t index)
      : InvalidEncoding("scalar " + std::to_string(index) + " is not below the group order") {}
};

struct InvalidPoint : InvalidEncoding {
  using InvalidEncoding::InvalidEncoding;
  InvalidPoint(std::size_t index, const char* why)
      : InvalidEncoding("point " + std::to_string(index) + " " + why) {}
};

struct InvalidUpdate : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace zkpfl
