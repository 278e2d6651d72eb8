// Tells the endpoint of leases, after Kea has answered: no client waits for it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "endpoint.h"

namespace provisioner {

struct LeaseReport {
  std::string mac;
  std::string address;
  std::uint32_t seconds = 0;
};

class LeaseReporter {
 public:
  // Starts a thread, which the destructor ends; that waits for a request that
  // is under way. lost is called, by any thread, for each lease that could not
  // be told, with the reason.
  LeaseReporter(Endpoint& endpoint, std::function<void(const char* why)> lost);
  ~LeaseReporter();
  LeaseReporter(const LeaseReporter&) = delete;
  LeaseReporter& operator=(const LeaseReporter&) = delete;

  // Never waits: of more than a thousand leases that wait, the new one is lost.
  void put(LeaseReport report);

 private:
  void run();

  Endpoint& endpoint_;
  const std::function<void(const char*)> lost_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<LeaseReport> waiting_;
  bool stopping_ = false;
  std::thread thread_;  // the last: it uses all of the above
};

}  // namespace provisioner
