#pragma once

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "zkpfl/fr.h"
#include "zkpfl/g1.h"

// A test registers itself by being defined: TEST(name) { CHECK(...); }.

namespace zkpfl::tests {

struct Test {
  const char* name;
  std::function<void()> body;
};

inline std::vector<Test>& all_tests() {
  static std::vector<Test> tests;
  return tests;
}

struct Registration {
  Registration(const char* name, std::function<void()> body) {
    all_tests().push_back({name, std::move(body)});
  }
};

#define TEST(name)                                                                    \
  static void test_##name();                                                          \
  static const ::zkpfl::tests::Registration registration_##name(#name, &test_##name); \
  static void test_##name()

#define CHECK(condition)                                                                       \
  do {                                                                                         \
    if (!(condition))                                                                          \
      throw std::runtime_error(std::string(__FILE__) + ":" + std::to_string(__LINE__) + ": " + \
                               #condition);                                                    \
  } while (false)

template <typename Error>
bool throws(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error&) {
    return true;
  }
  return false;
}

// Runs the body as the environment says, and then without the vector path.
inline void on_both_paths(const std::function<void()>& body) {
  const char* set = std::getenv("ZKPFL_NO_VECTOR");
  const std::string before = set == nullptr ? "0" : set;
  body();
  setenv("ZKPFL_NO_VECTOR", "1", 1);
  body();
  setenv("ZKPFL_NO_VECTOR", before.c_str(), 1);
}

inline std::vector<std::uint8_t> random_bytes(std::mt19937_64& rng, std::size_t count) {
  std::vector<std::uint8_t> out(count);
  for (auto& byte : out) byte = static_cast<std::uint8_t>(rng());
  return out;
}

inline std::vector<Scalar> random_scalars(std::mt19937_64& rng, std::size_t count) {
  std::vector<Scalar> out(count);
  for (std::size_t found = 0; found < count;) {
    const auto blocks = random_bytes(rng, 32 * (count - found));
    found += accept_scalars(out.data() + found, count - found, blocks.data(), count - found);
  }
  return out;
}

inline bool same_points(const G1Points& a, const G1Points& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!blst_p1_affine_is_equal(&a[i], &b[i])) return false;
  }
  return true;
}

inline Scalar small(std::uint64_t value) { return {{value, 0, 0, 0}}; }

}  // namespace zkpfl::tests
