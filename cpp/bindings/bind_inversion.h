#pragma once

#include <algorithm>
#include <utility>

#include "arrays.h"
#include "zkpfl/inversion.h"

namespace zkpfl::bindings {

inline InversionTable checked_table(const IntegerArray<std::uint64_t>& bounds, std::uint64_t slack,
                                    const IntegerArray<std::uint32_t>& guide) {
  const auto size = static_cast<std::size_t>(bounds.size());
  const auto pieces = static_cast<std::size_t>(guide.size());
  require(bounds.ndim() == 1 && guide.ndim() == 1 && size >= 1, "a table and its guide");
  unsigned guide_bits = 0;
  while (guide_bits < 24 && (std::size_t{1} << guide_bits) + 1 < pieces) ++guide_bits;
  require((std::size_t{1} << guide_bits) + 1 == pieces, "a guide of 2^g + 1 entries, g <= 24");
  const std::uint32_t* const starts = guide.data();
  require(std::is_sorted(starts, starts + pieces) && starts[pieces - 1] <= size,
          "a guide that ascends inside the table");
  require(slack < std::uint64_t{1} << kFractionBits &&
              *std::max_element(bounds.data(), bounds.data() + size) <= std::uint64_t{1}
                                                                            << kFractionBits,
          "bounds of 63 bits");
  return {bounds.data(), size, slack, starts, guide_bits};
}

inline std::pair<IntegerArray<std::int64_t>, std::vector<std::uint64_t>> invert(
    const py::bytes& words, const IntegerArray<std::uint64_t>& bounds, std::uint64_t slack,
    const IntegerArray<std::uint32_t>& guide) {
  const InversionTable table = checked_table(bounds, slack, guide);
  require(size(words) % 8 == 0, "words of eight bytes");
  const std::size_t count = size(words) / 8;
  IntegerArray<std::int64_t> out(static_cast<py::ssize_t>(count));
  std::int64_t* const values = out.mutable_data();
  const std::uint8_t* const bits = data(words);
  std::vector<std::uint64_t> open;
  {
    const py::gil_scoped_release unlocked;
    open = invert_vartime(values, bits, count, table);
  }
  return {std::move(out), std::move(open)};
}

inline void bind_inversion(py::module_& m) {
  m.def("invert", &invert, py::arg("words"), py::arg("bounds").noconvert(), py::arg("slack"),
        py::arg("guide").noconvert());
}

}  // namespace zkpfl::bindings
