#pragma once

#include <pybind11/stl.h>

#include <algorithm>

#include "arrays.h"
#include "zkpfl/merkle.h"

namespace zkpfl::bindings {

inline py::bytes as_python(const Digest& digest) {
  return py::bytes(reinterpret_cast<const char*>(digest.data()), digest.size());
}

inline Digest as_digest(const py::bytes& bytes) {
  Digest digest;
  require(size(bytes) == digest.size(), "a digest is 32 bytes");
  std::copy_n(data(bytes), digest.size(), digest.begin());
  return digest;
}

inline py::bytes keccak256(const py::bytes& text) {
  Digest digest;
  {
    const py::gil_scoped_release unlocked;
    digest = zkpfl::keccak256({Bytes(data(text), size(text))});
  }
  return as_python(digest);
}

// Hashes leaf i = text[ends[i - 1] : ends[i]] and applies `use` to the leaf hashes, without the
// GIL.
template <typename Use>
auto with_leaves(const py::bytes& text, const std::vector<std::size_t>& ends, Use use) {
  require(!ends.empty() && std::is_sorted(ends.begin(), ends.end()) && ends.back() == size(text),
          "ends of leaves ascend to the end of the data");
  const py::gil_scoped_release unlocked;
  return use(merkle_leaves(Bytes(data(text), size(text)), ends));
}

inline py::bytes merkle_root(const py::bytes& text, const std::vector<std::size_t>& ends) {
  return as_python(
      with_leaves(text, ends, [](const auto& leaves) { return zkpfl::merkle_root(leaves); }));
}

inline std::vector<py::bytes> merkle_proof(const py::bytes& text,
                                           const std::vector<std::size_t>& ends,
                                           std::size_t index) {
  require(index < ends.size(), "an index below the number of leaves");
  const auto proof = with_leaves(
      text, ends, [&](const auto& leaves) { return zkpfl::merkle_proof(leaves, index); });
  std::vector<py::bytes> out;
  for (const Digest& sibling : proof) out.push_back(as_python(sibling));
  return out;
}

inline py::bytes merkle_root_from_proof(std::size_t count, std::size_t index, const py::bytes& leaf,
                                        const std::vector<py::bytes>& proof) {
  require(index < count, "an index below the number of leaves");
  std::vector<Digest> siblings;
  for (const py::bytes& sibling : proof) siblings.push_back(as_digest(sibling));
  return as_python(zkpfl::merkle_root_from_proof(
      count, index, merkle_leaf(index, Bytes(data(leaf), size(leaf))), siblings));
}

inline void bind_merkle(py::module_& m) {
  m.def("keccak256", &keccak256, py::arg("data"));
  m.def("merkle_root", &merkle_root, py::arg("data"), py::arg("ends"));
  m.def("merkle_proof", &merkle_proof, py::arg("data"), py::arg("ends"), py::arg("index"));
  m.def("merkle_root_from_proof", &merkle_root_from_proof, py::arg("count"), py::arg("index"),
        py::arg("leaf"), py::arg("proof"));
}

}  // namespace zkpfl::bindings
