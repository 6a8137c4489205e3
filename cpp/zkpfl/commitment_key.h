#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

#include "zkpfl/fixed_base.h"
#include "zkpfl/g1.h"

namespace zkpfl {

// The generators of docs/spec.md §4, one for each column and the one for blindings, and the
// tables that make commitments fast. A table is built once, when enough rows have been asked for
// to pay for it, and lives as long as the key. Shared by threads.
class CommitmentKey {
 public:
  CommitmentKey(const G1Points& columns, const blst_p1_affine& blinding);

  const G1Points columns;
  const blst_p1_affine blinding;

  // The table for `rows` more rows of column values of up to `bits` bits, sign included; null as
  // long as it would not pay.
  const FixedBase* table(int bits, std::size_t rows) const;

 private:
  struct Slot {
    std::size_t rows = 0;
    std::unique_ptr<const FixedBase> table;
  };

  mutable std::mutex mutex_;
  mutable std::map<int, Slot> slots_;
};

}  // namespace zkpfl
