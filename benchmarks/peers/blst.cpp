#include <blst.h>
#include <time.h>

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

// What blst does by itself, on the input that the package's kernels get: a peer for the benchmarks,
// not part of the package. Called by blst.py as `peer_blst task points rows < input > output`, on
// one thread. Input: `points` compressed points, then the values of `rows` rows. Output: CPU
// seconds as a double, then the compressed results.

namespace {

using Bytes = std::vector<std::uint8_t>;
using Points = std::vector<blst_p1_affine>;
using Pointers = std::vector<const blst_p1_affine*>;

double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

Bytes read_bytes(std::size_t count) {
  Bytes out(count);
  if (std::fread(out.data(), 1, count, stdin) != count) throw std::runtime_error("short input");
  return out;
}

void decode(Points& out, const Bytes& wire) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (blst_p1_uncompress(&out[i], wire.data() + 48 * i) != BLST_SUCCESS ||
        !blst_p1_affine_in_g1(&out[i]))
      throw std::runtime_error("not a point of G1");
  }
}

blst_p1 pippenger(const Pointers& points, const std::uint8_t* scalars, std::size_t bits) {
  blst_p1 out{};
  const std::uint8_t* const list[] = {scalars, nullptr};
  std::vector<limb_t> scratch(blst_p1s_mult_pippenger_scratch_sizeof(points.size()) /
                              sizeof(limb_t));
  blst_p1s_mult_pippenger(&out, points.data(), points.size(), list, bits, scratch.data());
  return out;
}

// One multi-scalar multiplication of signed 16-bit values a row: signs go to the points.
std::vector<blst_p1> rows_of_values(const Points& points, const Bytes& values, std::size_t rows) {
  Points negatives = points;
  for (auto& point : negatives) blst_fp_cneg(&point.y, &point.y, true);
  std::vector<blst_p1> out(rows);
  Pointers picked(points.size());
  std::vector<std::int16_t> row(points.size());
  std::vector<std::uint16_t> magnitudes(points.size());
  for (std::size_t r = 0; r < rows; ++r) {
    std::memcpy(row.data(), values.data() + 2 * r * points.size(), 2 * points.size());
    unsigned any = 1u << 8;  // at least 9 bits: blst then takes two bytes a value
    for (std::size_t c = 0; c < points.size(); ++c) {
      picked[c] = row[c] < 0 ? &negatives[c] : &points[c];
      magnitudes[c] = static_cast<std::uint16_t>(std::abs(int{row[c]}));
      any |= magnitudes[c];
    }
    out[r] = pippenger(picked, reinterpret_cast<const std::uint8_t*>(magnitudes.data()),
                       static_cast<std::size_t>(std::bit_width(any)));
  }
  return out;
}

Pointers repeated(const Points& points, std::size_t times) {
  Pointers out;
  for (std::size_t i = 0; i < times; ++i) {
    for (const auto& point : points) out.push_back(&point);
  }
  return out;
}

std::vector<blst_p1> rows_of_scalars(const Points& points, const Bytes& scalars, std::size_t rows) {
  const Pointers all = repeated(points, 1);
  std::vector<blst_p1> out(rows);
  for (std::size_t r = 0; r < rows; ++r) {
    out[r] = pippenger(all, scalars.data() + 32 * r * points.size(), 255);
  }
  return out;
}

void write_result(double seconds, const std::vector<blst_p1>& points) {
  std::fwrite(&seconds, sizeof seconds, 1, stdout);
  for (const auto& point : points) {
    std::uint8_t wire[48];
    blst_p1_compress(wire, &point);
    std::fwrite(wire, 1, sizeof wire, stdout);
  }
}

void run(const std::string& task, std::size_t count, std::size_t rows) {
  const Bytes wire = read_bytes(48 * count);
  Points points(count);
  double start = cpu_seconds();
  decode(points, wire);
  if (task == "decode") return write_result(cpu_seconds() - start, {});
  const Bytes values = read_bytes(rows * count * (task == "values" ? 2 : 32));
  start = cpu_seconds();
  std::vector<blst_p1> results;
  if (task == "values")
    results = rows_of_values(points, values, rows);
  else if (task == "scalars")
    results = rows_of_scalars(points, values, rows);
  else if (task == "one")
    results = {pippenger(repeated(points, rows), values.data(), 255)};
  else
    throw std::runtime_error("no task " + task);
  write_result(cpu_seconds() - start, results);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 4) throw std::runtime_error("usage: peer_blst task points rows");
    run(argv[1], std::stoul(argv[2]), std::stoul(argv[3]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "peer_blst: %s\n", error.what());
    return 1;
  }
  return 0;
}
