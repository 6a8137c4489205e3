#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

// What the fuzz targets share: reading choices from the input, and stating what must hold.

namespace zkpfl::fuzz {

using Bytes = std::vector<std::uint8_t>;

// A property that fails ends the program, which every fuzzer takes for a finding.
#define REQUIRE(condition)                                                        \
  do {                                                                            \
    if (!(condition)) {                                                           \
      std::fprintf(stderr, "%s:%d: fails: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                               \
    }                                                                             \
  } while (false)

// The input from the front; zeros follow its end, so that every input says something.
class Reader {
 public:
  Reader(const std::uint8_t* data, std::size_t size) : left_(data, size) {}

  // A copy of its own, so that the sanitizer sees a read beyond it.
  Bytes take(std::size_t count) {
    const auto available = left_.first(std::min(count, left_.size()));
    left_ = left_.subspan(available.size());
    Bytes out(available.begin(), available.end());
    out.resize(count);
    return out;
  }

  Bytes rest() { return take(left_.size()); }

  std::uint8_t byte() { return take(1)[0]; }

  std::size_t below(std::size_t bound) { return byte() % bound; }

  std::uint64_t u64() { return number(8); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }

  bool empty() const { return left_.empty(); }

 private:
  std::uint64_t number(std::size_t bytes) {
    std::uint64_t out = 0;
    for (const std::uint8_t byte : take(bytes)) out = out << 8 | byte;
    return out;
  }

  std::span<const std::uint8_t> left_;
};

// Changes up to three bytes: nearly right is what decoders get wrong.
inline void damage(Bytes& bytes, Reader& in) {
  for (std::size_t changes = in.below(4); changes > 0 && !bytes.empty(); --changes) {
    const std::size_t place = in.u16() % bytes.size();
    bytes[place] ^= in.byte();
  }
}

inline Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

inline Bytes slice(const Bytes& bytes, std::size_t first, std::size_t count) {
  const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(first);
  return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

// Whether the body refuses with this error; any other error is a finding.
template <typename Error, typename Body>
bool refuses(const Body& body) {
  try {
    body();
  } catch (const Error&) {
    return true;
  }
  return false;
}

// Which of the twins runs: all that the processor has, without AVX-512, or without any vectors.
inline void choose_path(Reader& in) {
  const std::size_t choice = in.below(3);
  setenv("ZKPFL_NO_AVX512", choice == 1 ? "1" : "0", 1);
  setenv("ZKPFL_NO_VECTOR", choice == 2 ? "1" : "0", 1);
}

}  // namespace zkpfl::fuzz

// Threads cost more than these inputs are worth. ZKPFL_NUM_THREADS in the environment wins.
extern "C" [[gnu::used]] inline int LLVMFuzzerInitialize(int*, char***) {
  setenv("ZKPFL_NUM_THREADS", "1", 0);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
