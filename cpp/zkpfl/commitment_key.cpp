#include "zkpfl/commitment_key.h"

namespace zkpfl {

namespace {

// Building a table costs about as much as it saves in so many rows.
constexpr std::size_t kRowsThatPay = 10;

// Few different tables: the value_bits in use, and full width.
int rounded_up(int bits) {
  for (const int size : {8, 10, 12, 14, 16}) {
    if (bits <= size) return size;
  }
  return kScalarBits;
}

}  // namespace

CommitmentKey::CommitmentKey(const G1Points& columns, const blst_p1_affine& blinding)
    : columns(columns), blinding(blinding) {}

const FixedBase* CommitmentKey::table(int bits, std::size_t rows) const {
  const std::lock_guard lock(mutex_);
  const int size = rounded_up(bits);
  Slot& slot = slots_[size];
  slot.rows += rows;
  if (!slot.table && slot.rows >= kRowsThatPay) {
    slot.table = make_fixed_base(columns, blinding, cheapest_shape(columns.size(), size));
  }
  return slot.table.get();
}

}  // namespace zkpfl
