#include "lease_reporter.h"

#include <pthread.h>
#include <signal.h>

#include <exception>
#include <utility>

namespace provisioner {

namespace {
constexpr std::size_t kMaxWaiting = 1000;
}

LeaseReporter::LeaseReporter(Endpoint& endpoint, std::function<void(const char*)> lost)
    : endpoint_(endpoint), lost_(std::move(lost)) {
  // Signals are Kea's: the thread starts with all of them blocked.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LeaseReporter::~LeaseReporter() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void LeaseReporter::put(LeaseReport report) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (waiting_.size() < kMaxWaiting) {
      waiting_.push_back(std::move(report));
      changed_.notify_one();
      return;
    }
  }
  lost_("more leases than the endpoint takes");
}

void LeaseReporter::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) {
      return;
    }
    const LeaseReport report = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    try {
      if (endpoint_.available()) {
        endpoint_.tell_lease(report.mac, report.address, report.seconds);
      } else {
        lost_("the endpoint is left alone after failures");
      }
    } catch (const std::exception& e) {
      lost_(e.what());
    }
    lock.lock();
  }
}

}  // namespace provisioner
