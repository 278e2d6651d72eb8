// What the callouts share: the configured endpoint, and the account of failures.
#pragma once

#include <cc/data.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "endpoint.h"
#include "lease_reporter.h"

namespace provisioner {

// Counts what went wrong, and logs it at most once a minute.
class Complaints {
 public:
  void add(const char* why);

 private:
  std::mutex mutex_;
  std::uint64_t unsaid_ = 0;
  bool said_ = false;
  Clock::time_point said_at_;
};

// The machines that have requested their reserved address lately, and were not
// granted it: each is noted before Kea decides. Bounded: beyond a thousand, all
// are forgotten.
class Refusals {
 public:
  void add(const std::string& mac, Clock::time_point now);
  void remove(const std::string& mac);
  bool has(const std::string& mac, Clock::time_point now);

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, Clock::time_point> until_;
};

// The library's parameters in Kea's configuration.
struct Parameters {
  Url url;
  std::chrono::milliseconds limit{200};
  std::string secret;

  // Throws std::invalid_argument that names the parameter. Each may be null.
  static Parameters read(const isc::data::ConstElementPtr& url, const isc::data::ConstElementPtr& limit,
                         const isc::data::ConstElementPtr& secret_file);
};

struct Hook {
  explicit Hook(const Parameters& parameters);

  Complaints complaints;
  Refusals refusals;
  Endpoint endpoint;
  LeaseReporter leases;
};

}  // namespace provisioner
