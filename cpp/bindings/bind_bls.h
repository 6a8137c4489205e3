#pragma once

#include <span>
#include <string>
#include <vector>

#include "arrays.h"
#include "zkpfl/bls.h"
#include "zkpfl/eip2537.h"

namespace zkpfl::bindings {

using ByteView = std::span<const std::uint8_t>;
using ByteVector = std::vector<std::uint8_t>;

inline ByteView view(const py::bytes& bytes) { return {data(bytes), size(bytes)}; }

inline py::bytes to_python(const ByteVector& bytes) {
  return py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// A kernel from bytes to bytes.
template <ByteVector (*Kernel)(ByteView)>
py::bytes map_bytes(const py::bytes& input) {
  ByteVector output;
  {
    const py::gil_scoped_release unlocked;
    output = Kernel(view(input));
  }
  return to_python(output);
}

inline py::bytes bls_sign(const py::bytes& secret, const py::bytes& message,
                          const std::string& dst) {
  ByteVector signature;
  {
    const py::gil_scoped_release unlocked;
    signature = bls::sign(view(secret), view(message), dst);
  }
  return to_python(signature);
}

inline bool bls_verify(const py::bytes& key, const py::bytes& message, const std::string& dst,
                       const py::bytes& signature) {
  const py::gil_scoped_release unlocked;
  return bls::verify(view(key), view(message), dst, view(signature));
}

inline void bind_bls(py::module_& m) {
  m.def("bls_generate", &map_bytes<bls::generate>, py::arg("seed"));
  m.def("bls_public_key", &map_bytes<bls::public_key>, py::arg("secret"));
  m.def("bls_sign", &bls_sign, py::arg("secret"), py::arg("message"), py::arg("dst"));
  m.def("bls_verify", &bls_verify, py::arg("key"), py::arg("message"), py::arg("dst"),
        py::arg("signature"));
  m.def("bls_aggregate_signatures", &map_bytes<bls::aggregate_signatures>, py::arg("signatures"));
  m.def("bls_aggregate_public_keys", &map_bytes<bls::aggregate_public_keys>, py::arg("keys"));
  m.def("bls_signature_to_ledger", &map_bytes<bls::signature_to_ledger>, py::arg("signature"));
  m.def("bls_signature_from_ledger", &map_bytes<bls::signature_from_ledger>, py::arg("signature"));
  m.def("bls_public_key_to_ledger", &map_bytes<bls::public_key_to_ledger>, py::arg("key"));
  m.def("bls_public_key_from_ledger", &map_bytes<bls::public_key_from_ledger>, py::arg("key"));
}

inline void bind_eip2537(py::module_& m) {
  m.def("eip2537_g1_add", &map_bytes<eip2537::g1_add>, py::arg("data"));
  m.def("eip2537_g1_msm", &map_bytes<eip2537::g1_msm>, py::arg("data"));
  m.def("eip2537_g2_add", &map_bytes<eip2537::g2_add>, py::arg("data"));
  m.def("eip2537_g2_msm", &map_bytes<eip2537::g2_msm>, py::arg("data"));
  m.def("eip2537_pairing_check", &map_bytes<eip2537::pairing_check>, py::arg("data"));
  m.def("eip2537_map_fp_to_g1", &map_bytes<eip2537::map_fp_to_g1>, py::arg("data"));
  m.def("eip2537_map_fp2_to_g2", &map_bytes<eip2537::map_fp2_to_g2>, py::arg("data"));
}

}  // namespace zkpfl::bindings
