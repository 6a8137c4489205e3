#pragma once

#include <cstddef>
#include <functional>

namespace zkpfl {

// Threads for kernels: ZKPFL_NUM_THREADS if set to a positive number, else every core.
std::size_t thread_count();

// Calls body(begin, end) on disjoint ranges that cover [0, count), on up to thread_count()
// threads but with at least `grain` items each. Kernels that run at once share those threads, so
// that the process never has more than one less besides the callers. The first exception is thrown
// again here.
void parallel_for(std::size_t count, std::size_t grain,
                  const std::function<void(std::size_t begin, std::size_t end)>& body);

}  // namespace zkpfl
