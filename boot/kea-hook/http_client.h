// A small HTTP/1.1 client (RFC 9112) for one server: blocking, bounded in time
// and size, with connections that are used again. It knows nothing of Kea.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace provisioner {

using Clock = std::chrono::steady_clock;

// The server could not be asked, or its answer is none.
class HttpError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Where the server is.
struct Url {
  std::string host;  // an IPv4 or IPv6 address, without brackets
  std::uint16_t port = 80;
  std::string path;  // without a slash at its end
};

// Reads http://ADDRESS[:PORT][/PATH]. A host name is refused, since DHCP must
// not wait for the DNS. Throws std::invalid_argument that says what is wrong.
Url parse_url(const std::string& text);

struct HttpResponse {
  int status = 0;
  std::string body;
};

// The head of a response, and where its body is.
struct ResponseHead {
  bool complete = false;  // the rest is worth nothing before
  int status = 0;
  std::size_t size = 0;         // bytes of the head
  std::size_t body_length = 0;  // bytes that follow
  bool keep_alive = false;
};

// Reads what has come of a response so far. Throws HttpError for what cannot
// become one that we understand: such that have a Content-Length.
ResponseHead parse_head(std::string_view received);

// A socket that is closed with its object.
class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;
  ~Connection();

  int fd() const { return fd_; }
  Clock::time_point idle_since;

 private:
  int fd_;
};

// Safe for use by many threads; each request has a connection for itself.
class HttpClient {
 public:
  // The secret is sent as a bearer token (RFC 6750 §2.1); empty: none is.
  HttpClient(Url url, const std::string& secret);

  // The path begins with a slash, and comes after that of the URL. Both throw
  // HttpError, at the latest when the deadline has come.
  HttpResponse get(const std::string& path, Clock::time_point deadline);
  HttpResponse post(const std::string& path, const std::string& json, Clock::time_point deadline);

 private:
  HttpResponse send(const std::string& request, Clock::time_point deadline);
  bool take_idle(Connection& connection);
  void give_back(Connection connection);

  const Url url_;
  std::string headers_;  // those that all requests have

  std::mutex mutex_;
  std::vector<Connection> idle_;  // the one used last at the end
};

}  // namespace provisioner
