#include "zkpfl/fp_roots.h"

#if defined(__x86_64__) && defined(__ELF__)

#include "zkpfl/fp4_avx2.h"
#include "zkpfl/fp_roots_vector.h"

namespace zkpfl {

void candidate_roots_avx2(blst_fp* out, const blst_fp* in, std::size_t count) {
  candidate_roots_on<Numbers4>(out, in, count);
}

}  // namespace zkpfl

#endif
