#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

// Bytes a second that one thread reads from memory: the limit of every kernel that streams.

int main(int argc, char** argv) {
  const std::size_t words = (argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 256u << 20) / 8;
  std::vector<std::uint64_t> memory(words, 1);
  double best = 0;
  std::uint64_t total = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    timespec begin, end;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    std::uint64_t lanes[16] = {};
    for (std::size_t i = 0; i + 16 <= words; i += 16) {
      for (std::size_t lane = 0; lane < 16; ++lane) lanes[lane] += memory[i + lane];
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    for (const auto lane : lanes) total += lane;
    const double seconds = static_cast<double>(end.tv_sec - begin.tv_sec) +
                           1e-9 * static_cast<double>(end.tv_nsec - begin.tv_nsec);
    best = std::max(best, 8.0 * static_cast<double>(words) / seconds);
  }
  std::printf("%.0f %llu\n", best, static_cast<unsigned long long>(total));
  return 0;
}
