#include "zkpfl/fp_roots.h"

#if defined(__x86_64__) && defined(__ELF__)

#include "zkpfl/fp8_avx512.h"
#include "zkpfl/fp_roots_vector.h"

namespace zkpfl {

void candidate_roots_avx512(blst_fp* out, const blst_fp* in, std::size_t count) {
  candidate_roots_on<Numbers8>(out, in, count);
}

}  // namespace zkpfl

#endif
