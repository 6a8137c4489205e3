#include <cstdio>

#include "check.h"

int main() {
  int failures = 0;
  for (const auto& test : zkpfl::tests::all_tests()) {
    try {
      test.body();
      std::printf("ok    %s\n", test.name);
    } catch (const std::exception& error) {
      ++failures;
      std::printf("FAIL  %s: %s\n", test.name, error.what());
    }
  }
  return failures == 0 ? 0 : 1;
}
