#include "zkpfl/cpu.h"

#include <cstdlib>
#include <string_view>

namespace zkpfl {

namespace {

bool vectors_allowed() {
  const char* text = std::getenv("ZKPFL_NO_VECTOR");
  return text == nullptr || std::string_view(text) != "1";
}

bool machine_has_avx2() {
#if defined(__x86_64__) && defined(__ELF__)
  return __builtin_cpu_supports("avx2");
#else
  return false;
#endif
}

}  // namespace

bool has_avx2() { return vectors_allowed() && machine_has_avx2(); }

}  // namespace zkpfl
