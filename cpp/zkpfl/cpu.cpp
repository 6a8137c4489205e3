#include "zkpfl/cpu.h"

#include <cstdlib>
#include <string_view>

namespace zkpfl {

namespace {

bool vectors_allowed() {
  const char* text = std::getenv("ZKPFL_NO_VECTOR");
  return text == nullptr || std::string_view(text) != "1";
}

// __builtin_cpu_supports takes literals only, and knows no feature of other machines.
#if defined(__x86_64__) && defined(__ELF__)
#define ZKPFL_MACHINE_HAS(feature) (__builtin_cpu_supports(feature) != 0)
#else
#define ZKPFL_MACHINE_HAS(feature) false
#endif

}  // namespace

bool has_avx2() { return vectors_allowed() && ZKPFL_MACHINE_HAS("avx2"); }

bool has_bmi2() {
  return vectors_allowed() && ZKPFL_MACHINE_HAS("bmi") && ZKPFL_MACHINE_HAS("bmi2");
}

bool has_aes() { return vectors_allowed() && ZKPFL_MACHINE_HAS("aes") && has_avx2(); }

}  // namespace zkpfl
