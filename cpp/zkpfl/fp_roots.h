#pragma once

#include <blst.h>

#include <cstddef>

namespace zkpfl {

// out[i] = in[i]^((p + 1) / 4), which is a square root of in[i] modulo p if it has any. The caller
// checks. A point that is decoded costs one.
void candidate_roots(blst_fp* out, const blst_fp* in, std::size_t count);
void candidate_roots_portable(blst_fp* out, const blst_fp* in, std::size_t count);

// Only behind has_avx2() and has_avx512_ifma().
void candidate_roots_avx2(blst_fp* out, const blst_fp* in, std::size_t count);
void candidate_roots_avx512(blst_fp* out, const blst_fp* in, std::size_t count);

}  // namespace zkpfl
