// What is asked of provisioner's DHCP hook, and its answers, as docs/dhcp.md
// describes them.
#pragma once

#include <asiolink/io_address.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "http_client.h"

namespace provisioner {

// What a DHCP client says of itself.
struct Sighting {
  bool discover = false;  // else it was a REQUEST
  std::string mac;        // aa:bb:cc:dd:ee:ff
  // Options as they came; empty: absent (RFC 2132 §3.14, §9.13; RFC 3004).
  std::string host_name;     // 12
  std::string vendor_class;  // 60
  std::string user_class;    // 77
  std::optional<std::uint16_t> arch;  // 93 (RFC 4578 §2.1)
};

// What a machine is to be told. Everything has been checked: addresses are
// IPv4, texts printable and at most 255 bytes.
struct Answer {
  std::optional<isc::asiolink::IOAddress> next_server;
  std::optional<isc::asiolink::IOAddress> reserved;
  std::string boot_file;     // empty, as the others: nothing to be said
  std::string vendor_class;  // HTTPClient beside a URL
  std::string host_name;
};

// The endpoint answered, but not with what it should.
class BadAnswer : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Reads the body of an answer. Throws BadAnswer.
Answer parse_answer(const std::string& json);

// Text in quotes, as JSON, pure ASCII whatever bytes it holds: a byte above
// 0x7f is taken for ISO 8859-1.
std::string json_string(std::string_view text);

// Leaves an endpoint alone that fails: after three failures in a row for five
// seconds, when one caller tries again. Without it, an endpoint that is away
// would cost each packet its time limit.
class Breaker {
 public:
  bool allows(Clock::time_point now);
  void succeeded();
  void failed(Clock::time_point now);

 private:
  std::mutex mutex_;
  int failures_ = 0;
  Clock::time_point closed_until_;
};

// Safe for use by many threads.
class Endpoint {
 public:
  // The limit is for everything that is asked about one packet.
  Endpoint(Url url, const std::string& secret, std::chrono::milliseconds limit);

  // False while the endpoint is left alone.
  bool available() { return breaker_.allows(Clock::now()); }

  // Tells that a client asked, and returns what it is to be told; null for one
  // that is no machine of provisioner's. Throws HttpError and BadAnswer.
  std::shared_ptr<const Answer> ask(const Sighting& sighting);

  // Tells that a machine was lent an address for that many seconds. Throws likewise.
  void tell_lease(const std::string& mac, const std::string& address, std::uint32_t seconds);

 private:
  template <typename Work>
  auto watched(Work work);

  HttpClient http_;
  Breaker breaker_;
  const std::chrono::milliseconds limit_;
};

}  // namespace provisioner
