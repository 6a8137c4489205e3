#include "zkpfl/cpu.h"

#include <cstdlib>
#include <string_view>

namespace zkpfl {

namespace {

bool is_set(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr && std::string_view(text) == "1";
}

bool vectors_allowed() { return !is_set("ZKPFL_NO_VECTOR"); }

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

bool has_adx() { return ZKPFL_MACHINE_HAS("adx") && has_bmi2(); }

bool has_aes() { return vectors_allowed() && ZKPFL_MACHINE_HAS("aes") && has_avx2(); }

bool has_avx512_ifma() {
  return vectors_allowed() && !is_set("ZKPFL_NO_AVX512") && ZKPFL_MACHINE_HAS("avx512f") &&
         ZKPFL_MACHINE_HAS("avx512dq") && ZKPFL_MACHINE_HAS("avx512ifma");
}

}  // namespace zkpfl
