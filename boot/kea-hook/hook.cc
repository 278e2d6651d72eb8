#include "hook.h"

#include <stats/stats_mgr.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "log.h"

namespace provisioner {

namespace {

using isc::data::ConstElementPtr;
using isc::data::Element;

constexpr auto kSilence = std::chrono::minutes(1);
constexpr auto kRefusalTerm = std::chrono::minutes(10);
constexpr std::size_t kMaxRefusals = 1000;
constexpr std::int64_t kMinLimit = 10;     // milliseconds
constexpr std::int64_t kMaxLimit = 5'000;  // a client asks again after some seconds

std::string read_secret(const std::string& path) {
  std::ifstream file(path);
  std::string secret;
  if (!std::getline(file, secret)) {
    throw std::invalid_argument("secret-file " + path + ": cannot be read, or is empty; it holds the secret as its only line");
  }
  const auto visible = [](unsigned char c) { return c > ' ' && c < 0x7f; };
  if (!std::all_of(secret.begin(), secret.end(), visible) || secret.empty()) {
    throw std::invalid_argument("secret-file " + path + ": the secret has to be printable ASCII without blanks");
  }
  return secret;
}

}  // namespace

void Complaints::add(const char* why) {
  isc::stats::StatsMgr::instance().addValue("provisioner-failed", static_cast<std::int64_t>(1));
  std::uint64_t count = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++unsaid_;
    const auto now = Clock::now();
    if (said_ && now - said_at_ < kSilence) {
      return;
    }
    said_ = true;
    said_at_ = now;
    count = unsaid_;
    unsaid_ = 0;
  }
  LOG_WARN(logger, PROVISIONER_FAILED).arg(count).arg(why);
}

void Refusals::add(const std::string& mac, Clock::time_point now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (until_.size() >= kMaxRefusals) {
    until_.clear();
  }
  until_[mac] = now + kRefusalTerm;
}

void Refusals::remove(const std::string& mac) {
  const std::lock_guard<std::mutex> lock(mutex_);
  until_.erase(mac);
}

bool Refusals::has(const std::string& mac, Clock::time_point now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = until_.find(mac);
  if (found == until_.end()) {
    return false;
  }
  if (found->second <= now) {
    until_.erase(found);
    return false;
  }
  return true;
}

Parameters Parameters::read(const ConstElementPtr& url, const ConstElementPtr& limit, const ConstElementPtr& secret_file) {
  Parameters parameters;
  if (!url || url->getType() != Element::string) {
    throw std::invalid_argument("parameter url is missing: the DHCP hook's address, such as http://10.0.0.1:8080/dhcp");
  }
  parameters.url = parse_url(url->stringValue());
  if (limit) {
    if (limit->getType() != Element::integer || limit->intValue() < kMinLimit || limit->intValue() > kMaxLimit) {
      throw std::invalid_argument("parameter timeout-ms has to be a number from 10 to 5000");
    }
    parameters.limit = std::chrono::milliseconds(limit->intValue());
  }
  if (secret_file) {
    if (secret_file->getType() != Element::string) {
      throw std::invalid_argument("parameter secret-file has to be the path of a file");
    }
    parameters.secret = read_secret(secret_file->stringValue());
  }
  return parameters;
}

Hook::Hook(const Parameters& parameters)
    : endpoint(parameters.url, parameters.secret, parameters.limit),
      leases(endpoint, [this](const char* why) { complaints.add(why); }) {}

}  // namespace provisioner
