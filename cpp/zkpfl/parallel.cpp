#include "zkpfl/parallel.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace zkpfl {

std::size_t thread_count() {
  if (const char* text = std::getenv("ZKPFL_NUM_THREADS")) {
    const long wanted = std::strtol(text, nullptr, 10);
    if (wanted > 0) return static_cast<std::size_t>(std::min(wanted, 1024L));
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

namespace {

// Threads that help in kernels now, in the whole process.
std::atomic<std::size_t> helping = 0;

// Takes up to `wanted` helpers out of those that the process may still start, and gives them back.
class Helpers {
 public:
  explicit Helpers(std::size_t wanted) {
    const std::size_t most = thread_count() - 1;
    std::size_t seen = helping;
    do {
      count_ = std::min(wanted, seen < most ? most - seen : 0);
    } while (!helping.compare_exchange_weak(seen, seen + count_));
  }
  ~Helpers() { helping -= count_; }
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;

  std::size_t count() const { return count_; }

 private:
  std::size_t count_ = 0;
};

}  // namespace

void parallel_for(std::size_t count, std::size_t grain,
                  const std::function<void(std::size_t, std::size_t)>& body) {
  const std::size_t most = std::max<std::size_t>(1, count / std::max<std::size_t>(1, grain));
  const Helpers helpers(most - 1);
  const std::size_t parts = 1 + helpers.count();
  if (parts == 1) {
    if (count > 0) body(0, count);
    return;
  }
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto run = [&](std::size_t part) {
    try {
      body(count * part / parts, count * (part + 1) / parts);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t part = 1; part < parts; ++part) threads.emplace_back(run, part);
    run(0);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace zkpfl
