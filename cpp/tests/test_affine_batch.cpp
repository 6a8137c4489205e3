#include "check.h"
#include "zkpfl/affine_batch.h"

namespace zkpfl::tests {

namespace {

struct Pair {
  blst_p1_affine a, b;
  bool negate;
};

blst_p1_affine multiple_of_generator(std::uint64_t factor) {
  blst_p1 out;
  blst_p1_mult(&out, blst_p1_generator(), as_bytes(small(factor)), 64);
  return to_affine({out})[0];
}

// Sums of small multiples of the generator, so that equal, opposite and infinite operands abound
// when `range` is small.
std::vector<Pair> some_pairs(std::mt19937_64& rng, std::size_t count, std::uint64_t range) {
  G1Points points;
  for (std::uint64_t k = 0; k < range; ++k) points.push_back(multiple_of_generator(k));
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < count; ++i) {
    const auto &a = points[rng() % range], &b = points[rng() % range];
    pairs.push_back({rng() % 2 == 0 ? a : negated(a), b, rng() % 2 == 0});
  }
  return pairs;
}

G1Points naive_sums(const std::vector<Pair>& pairs) {
  std::vector<blst_p1> sums;
  for (const Pair& pair : pairs) {
    sums.push_back(from_affine(pair.a));
    const blst_p1_affine b = pair.negate ? negated(pair.b) : pair.b;
    blst_p1_add_or_double_affine(&sums.back(), &sums.back(), &b);
  }
  return to_affine(sums);
}

template <typename Adder>
G1Points batch_sums(const std::vector<Pair>& pairs) {
  using Point = typename Adder::Point;
  std::vector<Point> a(pairs.size()), b(pairs.size());
  std::vector<Addition<Point>> additions;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    Adder::import_points(&a[i], &pairs[i].a, 1);
    Adder::import_points(&b[i], &pairs[i].b, 1);
    additions.push_back({&a[i], &b[i], pairs[i].negate});
  }
  Adder::add(additions.data(), additions.size());
  G1Points sums(pairs.size());
  Adder::export_points(sums.data(), a.data(), a.size());
  return sums;
}

void each_length(const std::function<void(const std::vector<Pair>&)>& check) {
  std::mt19937_64 rng(21);
  for (const std::size_t count : {0, 1, 2, 3, 4, 5, 7, 8, 511, 512, 513, 1024, 2047, 2049}) {
    check(some_pairs(rng, count, 600));
  }
}

void each_range(const std::function<void(const std::vector<Pair>&)>& check) {
  std::mt19937_64 rng(22);
  for (const std::uint64_t range : {1, 2, 3, 40}) check(some_pairs(rng, 700, range));
}

template <typename Adder>
void sums_are_right(const std::vector<Pair>& pairs) {
  CHECK(same_points(batch_sums<Adder>(pairs), naive_sums(pairs)));
}

template <typename Adder>
void points_double(std::size_t count) {
  std::vector<typename Adder::Point> points(count), same(count);
  std::vector<Addition<typename Adder::Point>> additions;
  G1Points once(count), twice(count), sums(count);
  for (std::size_t i = 0; i < count; ++i) once[i] = multiple_of_generator(i);
  Adder::import_points(points.data(), once.data(), count);
  same = points;
  for (auto& point : points) additions.push_back({&point, &point, false});
  Adder::add(additions.data(), count);
  Adder::twice(same.data(), count);
  Adder::export_points(sums.data(), points.data(), count);
  Adder::export_points(twice.data(), same.data(), count);
  CHECK(same_points(sums, sum_points({&once, &once})));
  CHECK(same_points(twice, sums));
}

// Sums of sums, and negatives of them: numbers as large as they become.
template <typename Adder>
void long_chains_stay_right() {
  std::mt19937_64 rng(23);
  constexpr std::size_t kCount = 64;
  G1Points expected(kCount), got(kCount);
  for (auto& point : expected) point = multiple_of_generator(rng());
  const G1Points addends = expected;
  std::vector<typename Adder::Point> sums(kCount), points(kCount);
  Adder::import_points(sums.data(), expected.data(), kCount);
  points = sums;
  for (std::size_t round = 0; round < 50; ++round) {
    std::vector<Addition<typename Adder::Point>> additions;
    G1Points shifted(kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      const std::size_t j = (i + round + 1) % kCount;
      const bool negate = rng() % 2 == 0;
      additions.push_back({&sums[i], &points[j], negate});
      shifted[i] = negate ? negated(addends[j]) : addends[j];
    }
    Adder::add(additions.data(), kCount);
    Adder::twice(sums.data(), kCount);
    for (auto& sum : sums) Adder::negate(sum);
    expected = sum_points({&expected, &shifted});
    expected = sum_points({&expected, &expected});
    for (auto& point : expected) point = negated(point);
    Adder::export_points(got.data(), sums.data(), kCount);
    CHECK(same_points(got, expected));
  }
}

template <typename Adder>
void adds_points() {
  each_length(sums_are_right<Adder>);
  each_range(sums_are_right<Adder>);
  for (const std::size_t count : {1, 3, 8, 37, 600}) points_double<Adder>(count);
  long_chains_stay_right<Adder>();
}

}  // namespace

TEST(portable_batches_add_points) { adds_points<PortableAdder>(); }

#if defined(__x86_64__) && defined(__ELF__)

TEST(avx2_batches_add_points) {
  if (has_avx2()) adds_points<Avx2Adder>();
}

TEST(avx512_batches_add_points) {
  if (has_avx512_ifma()) adds_points<Avx512Adder>();
}

#endif

}  // namespace zkpfl::tests
