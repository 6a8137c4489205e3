#include "zkpfl/fixed_base.h"

#include <algorithm>

#include "zkpfl/affine_batch.h"
#include "zkpfl/bucket_rows.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

// P, 2^window P, 2^(2 window) P, ...: `count` points.
G1Points powers(const blst_p1_affine& point, int window, int count) {
  std::vector<blst_p1> out = {from_affine(point)};
  while (out.size() < static_cast<std::size_t>(count)) {
    out.push_back(out.back());
    for (int i = 0; i < window; ++i) blst_p1_double(&out.back(), &out.back());
  }
  return to_affine(out);
}

template <typename Adder>
class FixedBaseOn : public FixedBase {
 public:
  using Point = typename Adder::Point;

  FixedBaseOn(const G1Points& columns, const blst_p1_affine& blinding, const DigitShape& shape)
      : FixedBase(shape), table_(shape.entries()) {
    parallel_for(columns.size(), 16, [&](std::size_t begin, std::size_t end) {
      for (std::size_t c = begin; c < end; ++c) {
        import(c, columns.size(), powers(columns[c], shape.window, shape.column_digits));
      }
    });
    import(shape.column_entries(), 1, powers(blinding, shape.window, shape.blinding_digits));
  }

  std::vector<blst_p1> sums_vartime(std::size_t rows, const DigitWriter& write) const override {
    return sums_of_rows<Adder>(shape(), table_.data(), rows, write);
  }

 private:
  void import(std::size_t first, std::size_t stride, const G1Points& points) {
    for (std::size_t j = 0; j < points.size(); ++j) {
      Adder::import_points(&table_[first + j * stride], &points[j], 1);
    }
  }

  std::vector<Point> table_;
};

}  // namespace

std::unique_ptr<const FixedBase> make_fixed_base(const G1Points& columns,
                                                 const blst_p1_affine& blinding,
                                                 const DigitShape& shape) {
  return with_adder([&]<typename Adder>(Adder) -> std::unique_ptr<const FixedBase> {
    return std::make_unique<FixedBaseOn<Adder>>(columns, blinding, shape);
  });
}

}  // namespace zkpfl
