#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "zkpfl/digits.h"
#include "zkpfl/g1.h"

namespace zkpfl {

// Writes the digits of one row.
using DigitWriter = std::function<void(std::int16_t* digits, std::size_t row)>;

// Sums of multiples of points that never change: a table holds 2^(window j) P for every point P
// and digit j, after which no doubling is left to do (Brickell, Gordon, McCurley and Wilson
// 1992). 128 bytes an entry with vectors, else 96.
class FixedBase {
 public:
  virtual ~FixedBase() = default;

  const DigitShape& shape() const { return shape_; }

  // One sum a row, on all threads. Time and memory access depend on the digits.
  virtual std::vector<blst_p1> sums_vartime(std::size_t rows, const DigitWriter& write) const = 0;

 protected:
  explicit FixedBase(const DigitShape& shape) : shape_(shape) {}

 private:
  const DigitShape shape_;
};

// Builds the table on all threads: about 0.1 ms a column for full-width scalars.
std::unique_ptr<const FixedBase> make_fixed_base(const G1Points& columns,
                                                 const blst_p1_affine& blinding,
                                                 const DigitShape& shape);

}  // namespace zkpfl
