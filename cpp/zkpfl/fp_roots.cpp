#include "zkpfl/fp_roots.h"

#include "zkpfl/cpu.h"

namespace zkpfl {

void candidate_roots(blst_fp* out, const blst_fp* in, std::size_t count) {
#if defined(__x86_64__) && defined(__ELF__)
  if (has_avx512_ifma()) return candidate_roots_avx512(out, in, count);
  if (has_avx2()) return candidate_roots_avx2(out, in, count);
#endif
  candidate_roots_portable(out, in, count);
}

void candidate_roots_portable(blst_fp* out, const blst_fp* in, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) blst_fp_sqrt(&out[i], &in[i]);
}

}  // namespace zkpfl
