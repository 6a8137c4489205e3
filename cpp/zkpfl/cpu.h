#pragma once

namespace zkpfl {

// The one door for features that not every x86-64 processor has. Code for them lives in files
// named *_avx2.cpp or *_avx512.cpp, compiled with the flags it needs and called only behind these
// questions. ZKPFL_NO_VECTOR=1 in the environment answers no to all of them, ZKPFL_NO_AVX512=1 to
// those about AVX-512: results are the same, slower.

bool has_avx2();
bool has_bmi2();  // with BMI1
bool has_adx();   // with BMI2
bool has_aes();   // with AVX2
bool has_avx512_ifma();

}  // namespace zkpfl
