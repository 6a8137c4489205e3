#include "zkpfl/eip2537.h"

#include <algorithm>
#include <array>
#include <string>

#include "zkpfl/errors.h"

namespace zkpfl::eip2537 {

namespace {

constexpr std::size_t kFieldBytes = 64, kPaddingBytes = 16;

constexpr std::array<std::uint8_t, 48> kModulus = {
    0x1a, 0x01, 0x11, 0xea, 0x39, 0x7f, 0xe6, 0x9a, 0x4b, 0x1b, 0xa7, 0xb6, 0x43, 0x4b, 0xac, 0xd7,
    0x64, 0x77, 0x4b, 0x84, 0xf3, 0x85, 0x12, 0xbf, 0x67, 0x30, 0xd2, 0xa0, 0xf6, 0xb0, 0xf6, 0x24,
    0x1e, 0xab, 0xff, 0xfe, 0xb1, 0x53, 0xff, 0xff, 0xb9, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xaa, 0xab};

bool all_zero(Input data) {
  return std::all_of(data.begin(), data.end(), [](std::uint8_t byte) { return byte == 0; });
}

blst_fp decode_fp(Input data) {
  const Input value = data.subspan(kPaddingBytes, kModulus.size());
  if (!all_zero(data.first(kPaddingBytes)) ||
      !std::lexicographical_compare(value.begin(), value.end(), kModulus.begin(), kModulus.end()))
    throw InvalidEncoding("field element is not below p");
  blst_fp result;
  blst_fp_from_bendian(&result, value.data());
  return result;
}

blst_fp2 decode_fp2(Input data) {
  return {{decode_fp(data.first(kFieldBytes)), decode_fp(data.subspan(kFieldBytes, kFieldBytes))}};
}

void encode_fp(Output& out, const blst_fp& value) {
  out.resize(out.size() + kFieldBytes);
  blst_bendian_from_fp(out.data() + out.size() - kModulus.size(), &value);
}

// What differs between the two groups, so that each operation is written once.
struct G1 {
  using Affine = blst_p1_affine;
  using Point = blst_p1;
  static constexpr std::size_t kBytes = kG1Bytes;
  static constexpr auto on_curve = blst_p1_affine_on_curve;
  static constexpr auto in_subgroup = blst_p1_affine_in_g1;
  static constexpr auto is_infinity = blst_p1_affine_is_inf;
  static constexpr auto from_affine = blst_p1_from_affine;
  static constexpr auto to_affine = blst_p1_to_affine;
  static constexpr auto add = blst_p1_add_or_double_affine;
  static constexpr auto multiply = blst_p1_mult;
  static constexpr auto msm = blst_p1s_mult_pippenger;
  static constexpr auto msm_scratch_bytes = blst_p1s_mult_pippenger_scratch_sizeof;
  static Affine decode_coordinates(Input data) {
    return {decode_fp(data.first(kFieldBytes)), decode_fp(data.subspan(kFieldBytes))};
  }
};

struct G2 {
  using Affine = blst_p2_affine;
  using Point = blst_p2;
  static constexpr std::size_t kBytes = kG2Bytes;
  static constexpr auto on_curve = blst_p2_affine_on_curve;
  static constexpr auto in_subgroup = blst_p2_affine_in_g2;
  static constexpr auto is_infinity = blst_p2_affine_is_inf;
  static constexpr auto from_affine = blst_p2_from_affine;
  static constexpr auto to_affine = blst_p2_to_affine;
  static constexpr auto add = blst_p2_add_or_double_affine;
  static constexpr auto multiply = blst_p2_mult;
  static constexpr auto msm = blst_p2s_mult_pippenger;
  static constexpr auto msm_scratch_bytes = blst_p2s_mult_pippenger_scratch_sizeof;
  static Affine decode_coordinates(Input data) {
    return {decode_fp2(data.first(2 * kFieldBytes)), decode_fp2(data.subspan(2 * kFieldBytes))};
  }
};

template <class Group>
typename Group::Affine decode_on_curve(Input data, std::size_t index) {
  const auto point = Group::decode_coordinates(data);  // all zeros is infinity for blst too
  if (!Group::is_infinity(&point) && !Group::on_curve(&point))
    throw InvalidPoint(index, "is not on the curve");
  return point;
}

template <class Group>
typename Group::Affine decode_in_subgroup(Input data, std::size_t index) {
  const auto point = decode_on_curve<Group>(data, index);
  if (!Group::in_subgroup(&point)) throw InvalidPoint(index, "is not in the prime-order subgroup");
  return point;
}

template <class Group>
Output encode_point(const typename Group::Point& point) {
  typename Group::Affine affine;
  Group::to_affine(&affine, &point);
  return encode(affine);
}

void require_bytes(Input data, std::size_t expected) {
  if (data.size() != expected)
    throw InvalidEncoding("expected " + std::to_string(expected) + " bytes, got " +
                          std::to_string(data.size()));
}

std::size_t count_items(Input data, std::size_t item_bytes) {
  if (data.empty() || data.size() % item_bytes != 0)
    throw InvalidEncoding("expected a positive multiple of " + std::to_string(item_bytes) +
                          " bytes, got " + std::to_string(data.size()));
  return data.size() / item_bytes;
}

template <class Group>
Output add(Input data) {
  require_bytes(data, 2 * Group::kBytes);
  const auto a = decode_on_curve<Group>(data.first(Group::kBytes), 0);
  const auto b = decode_on_curve<Group>(data.subspan(Group::kBytes), 1);
  typename Group::Point sum;
  Group::from_affine(&sum, &a);
  Group::add(&sum, &sum, &b);
  return encode_point<Group>(sum);
}

template <class Group>
typename Group::Point pippenger(const std::vector<typename Group::Affine>& points,
                                const std::vector<blst_scalar>& scalars) {
  typename Group::Point sum{};
  if (points.size() == 1) {
    Group::from_affine(&sum, points.data());
    Group::multiply(&sum, &sum, scalars[0].b, 255);
  } else if (points.size() > 1) {
    const typename Group::Affine* const point_list[] = {points.data(), nullptr};
    const std::uint8_t* const scalar_list[] = {scalars[0].b, nullptr};
    std::vector<limb_t> scratch(Group::msm_scratch_bytes(points.size()) / sizeof(limb_t) + 1);
    Group::msm(&sum, point_list, points.size(), scalar_list, 255, scratch.data());
  }
  return sum;
}

template <class Group>
Output msm(Input data) {
  constexpr std::size_t kItemBytes = Group::kBytes + kScalarBytes;
  std::vector<typename Group::Affine> points;
  std::vector<blst_scalar> scalars;
  for (std::size_t i = 0, n = count_items(data, kItemBytes); i < n; ++i) {
    const Input item = data.subspan(i * kItemBytes, kItemBytes);
    const auto point = decode_in_subgroup<Group>(item.first(Group::kBytes), i);
    if (Group::is_infinity(&point)) continue;
    points.push_back(point);
    blst_scalar_from_be_bytes(&scalars.emplace_back(), item.data() + Group::kBytes, kScalarBytes);
  }
  return encode_point<Group>(pippenger<Group>(points, scalars));
}

}  // namespace

Output encode(const blst_p1_affine& point) {
  Output out;
  encode_fp(out, point.x);
  encode_fp(out, point.y);
  return out;
}

Output encode(const blst_p2_affine& point) {
  Output out;
  for (const blst_fp2& coordinate : {point.x, point.y})
    for (const blst_fp& part : coordinate.fp) encode_fp(out, part);
  return out;
}

blst_p1_affine decode_g1(Input data) {
  require_bytes(data, kG1Bytes);
  return decode_in_subgroup<G1>(data, 0);
}

blst_p2_affine decode_g2(Input data) {
  require_bytes(data, kG2Bytes);
  return decode_in_subgroup<G2>(data, 0);
}

Output g1_add(Input data) { return add<G1>(data); }
Output g1_msm(Input data) { return msm<G1>(data); }
Output g2_add(Input data) { return add<G2>(data); }
Output g2_msm(Input data) { return msm<G2>(data); }

Output pairing_check(Input data) {
  constexpr std::size_t kItemBytes = kG1Bytes + kG2Bytes;
  blst_fp12 product = *blst_fp12_one();
  for (std::size_t i = 0, n = count_items(data, kItemBytes); i < n; ++i) {
    const Input item = data.subspan(i * kItemBytes, kItemBytes);
    const auto p = decode_in_subgroup<G1>(item.first(kG1Bytes), 2 * i);
    const auto q = decode_in_subgroup<G2>(item.subspan(kG1Bytes), 2 * i + 1);
    if (blst_p1_affine_is_inf(&p) || blst_p2_affine_is_inf(&q)) continue;
    blst_fp12 factor;
    blst_miller_loop(&factor, &q, &p);
    blst_fp12_mul(&product, &product, &factor);
  }
  Output result(32, 0);
  result.back() = blst_fp12_finalverify(&product, blst_fp12_one());
  return result;
}

Output map_fp_to_g1(Input data) {
  require_bytes(data, kFieldBytes);
  const blst_fp u = decode_fp(data);
  blst_p1 point;
  blst_map_to_g1(&point, &u, nullptr);
  return encode_point<G1>(point);
}

Output map_fp2_to_g2(Input data) {
  require_bytes(data, 2 * kFieldBytes);
  const blst_fp2 u = decode_fp2(data);
  blst_p2 point;
  blst_map_to_g2(&point, &u, nullptr);
  return encode_point<G2>(point);
}

}  // namespace zkpfl::eip2537
