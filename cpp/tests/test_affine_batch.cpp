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
void a_point_doubles_itself(std::size_t count) {
  std::vector<typename Adder::Point> points(count);
  std::vector<Addition<typename Adder::Point>> additions;
  G1Points once(count), twice(count);
  for (std::size_t i = 0; i < count; ++i) once[i] = multiple_of_generator(i);
  Adder::import_points(points.data(), once.data(), count);
  for (auto& point : points) additions.push_back({&point, &point, false});
  Adder::add(additions.data(), count);
  Adder::export_points(twice.data(), points.data(), count);
  CHECK(same_points(twice, sum_points({&once, &once})));
}

}  // namespace

TEST(portable_batches_add_points) { each_length(sums_are_right<PortableAdder>); }
TEST(portable_batches_are_complete) { each_range(sums_are_right<PortableAdder>); }
TEST(portable_batches_double_in_place) { a_point_doubles_itself<PortableAdder>(37); }

#if defined(__x86_64__) && defined(__ELF__)

TEST(vector_batches_add_points) {
  if (has_avx2()) each_length(sums_are_right<VectorAdder>);
}

TEST(vector_batches_are_complete) {
  if (has_avx2()) each_range(sums_are_right<VectorAdder>);
}

TEST(vector_batches_double_in_place) {
  if (has_avx2()) a_point_doubles_itself<VectorAdder>(37);
}

#endif

}  // namespace zkpfl::tests
