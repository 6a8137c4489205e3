#include "zkpfl/fr_columns.h"

namespace zkpfl {

void add_columns_avx2(std::uint64_t* low, std::uint64_t* high, const std::uint64_t* const* rows,
                      std::size_t limbs) {
  add_columns(low, high, rows, limbs);
}

}  // namespace zkpfl
