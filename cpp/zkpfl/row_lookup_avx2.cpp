#include "zkpfl/row_lookup.h"

namespace zkpfl {

void add_lookups_avx2(RowLookups& sums, const RowTables& tables, const std::uint8_t* blocks,
                      bool fresh) {
  add_lookups(sums, tables, blocks, fresh);
}

}  // namespace zkpfl
