#include "http_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

namespace provisioner {

namespace {

constexpr std::size_t kMaxResponse = 16 * 1024;  // bytes, head and body
constexpr std::size_t kMaxIdle = 32;             // connections
// Less than servers wait for a next request: ours two minutes, many a minute.
constexpr auto kMaxIdleTime = std::chrono::seconds(30);

// The server closed a connection before it said anything: it had been idle
// for too long, or the server was restarted. Worth a second try.
class StaleConnection : public HttpError {
 public:
  using HttpError::HttpError;
};

std::string failure(const std::string& what) { return what + ": " + std::strerror(errno); }

sockaddr_storage socket_address(const Url& url, socklen_t& size) {
  sockaddr_storage storage{};
  if (auto* v4 = reinterpret_cast<sockaddr_in*>(&storage); inet_pton(AF_INET, url.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(url.port);
    size = sizeof *v4;
  } else if (auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage); inet_pton(AF_INET6, url.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(url.port);
    size = sizeof *v6;
  } else {
    throw std::invalid_argument("\"" + url.host + "\" is not an IP address; a name would make DHCP wait for the DNS");
  }
  return storage;
}

void wait_for(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      throw HttpError("no answer in time");
    }
    pollfd poller{fd, events, 0};
    const int ready = poll(&poller, 1, static_cast<int>(std::min<long long>(left, 60'000)));
    if (ready > 0) {
      return;
    }
    if (ready < 0 && errno != EINTR) {
      throw HttpError(failure("poll"));
    }
  }
}

Connection connect_to(const Url& url, Clock::time_point deadline) {
  socklen_t size = 0;
  const sockaddr_storage address = socket_address(url, size);
  Connection connection(socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (connection.fd() < 0) {
    throw HttpError(failure("socket"));
  }
  const int on = 1;
  setsockopt(connection.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(connection.fd(), reinterpret_cast<const sockaddr*>(&address), size) == 0) {
    return connection;
  }
  if (errno == EINPROGRESS) {
    wait_for(connection.fd(), POLLOUT, deadline);
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(connection.fd(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error == 0) {
      return connection;
    }
    errno = error;
  }
  throw HttpError(failure("connect"));
}

void write_all(const Connection& connection, std::string_view data, Clock::time_point deadline) {
  while (!data.empty()) {
    const ssize_t written = ::send(connection.fd(), data.data(), data.size(), MSG_NOSIGNAL);
    if (written >= 0) {
      data.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      throw StaleConnection(failure("send"));
    } else if (errno == EAGAIN) {
      wait_for(connection.fd(), POLLOUT, deadline);
    } else if (errno != EINTR) {
      throw HttpError(failure("send"));
    }
  }
}

// Returns how many bytes were read, 0 where the server has closed the connection.
std::size_t read_some(const Connection& connection, char* into, std::size_t size, Clock::time_point deadline) {
  for (;;) {
    const ssize_t got = recv(connection.fd(), into, size, 0);
    if (got >= 0) {
      return static_cast<std::size_t>(got);
    }
    if (errno == EAGAIN) {
      wait_for(connection.fd(), POLLIN, deadline);
    } else if (errno == ECONNRESET) {
      return 0;
    } else if (errno != EINTR) {
      throw HttpError(failure("receive"));
    }
  }
}

HttpResponse read_response(const Connection& connection, Clock::time_point deadline, bool& keep_alive) {
  std::string received;
  for (;;) {
    char part[2048];
    const std::size_t got = read_some(connection, part, sizeof part, deadline);
    if (got == 0 && received.empty()) {
      throw StaleConnection("the server closed the connection without an answer");
    }
    if (got == 0) {
      throw HttpError("the server closed the connection within its answer");
    }
    received.append(part, got);
    const ResponseHead head = parse_head(received);
    if (head.complete && received.size() >= head.size + head.body_length) {
      // What follows an answer that nobody asked for would be taken for the next one.
      keep_alive = head.keep_alive && received.size() == head.size + head.body_length;
      return {head.status, received.substr(head.size, head.body_length)};
    }
  }
}

bool equal_fold(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view trim(std::string_view s) {
  const auto first = s.find_first_not_of(" \t");
  if (first == std::string_view::npos) {
    return {};
  }
  return s.substr(first, s.find_last_not_of(" \t") - first + 1);
}

template <typename Number>
std::optional<Number> parse_number(std::string_view digits) {
  Number number{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || !std::isdigit(static_cast<unsigned char>(digits[0])) || error != std::errc() || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

Url parse_url(const std::string& text) {
  constexpr std::string_view kScheme = "http://";
  const auto refuse = [&text](const std::string& why) { return std::invalid_argument("\"" + text + "\": " + why); };
  if (text.compare(0, kScheme.size(), kScheme) != 0) {
    throw refuse("an address such as http://10.0.0.1:8080/dhcp is expected");
  }
  for (const unsigned char c : text) {
    if (c <= ' ' || c >= 0x7f) {
      throw refuse("blanks and control characters are not possible");
    }
  }
  Url url;
  std::string authority = text.substr(kScheme.size());
  if (const auto slash = authority.find('/'); slash != std::string::npos) {
    url.path = authority.substr(slash);
    authority.resize(slash);
    while (!url.path.empty() && url.path.back() == '/') {
      url.path.pop_back();
    }
  }
  std::string port;
  if (const auto bracket = authority.find(']'); !authority.empty() && authority[0] == '[' && bracket != std::string::npos) {
    url.host = authority.substr(1, bracket - 1);
    port = authority.substr(bracket + 1);
  } else {
    const auto colon = authority.find(':');
    url.host = authority.substr(0, colon);
    port = colon == std::string::npos ? "" : authority.substr(colon);
  }
  if (!port.empty()) {
    const auto number = parse_number<std::uint16_t>(std::string_view(port).substr(1));
    if (port[0] != ':' || !number || *number == 0) {
      throw refuse("the port is not a number from 1 to 65535");
    }
    url.port = *number;
  }
  socklen_t size = 0;
  socket_address(url, size);  // throws
  return url;
}

ResponseHead parse_head(std::string_view received) {
  ResponseHead head;
  const auto end = received.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (received.size() >= kMaxResponse) {
      throw HttpError("the answer has no end of its head within 16 KiB");
    }
    return head;
  }
  head.size = end + 4;
  std::string_view lines = received.substr(0, end);

  // HTTP/1.1 200 OK
  const auto status_line = lines.substr(0, lines.find("\r\n"));
  const auto status = status_line.size() >= 12 ? parse_number<int>(status_line.substr(9, 3)) : std::nullopt;
  if (status_line.substr(0, 7) != "HTTP/1." || !status || *status < 200) {
    throw HttpError("the answer is not HTTP/1.1");
  }
  head.status = *status;
  head.keep_alive = status_line[7] == '1';

  std::optional<std::size_t> length;
  while (lines.find("\r\n") != std::string_view::npos) {
    lines.remove_prefix(lines.find("\r\n") + 2);
    const auto line = lines.substr(0, lines.find("\r\n"));
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) {
      throw HttpError("the answer has a header without a colon");
    }
    const auto name = line.substr(0, colon);
    const auto value = trim(line.substr(colon + 1));
    if (equal_fold(name, "Content-Length")) {
      const auto number = parse_number<std::size_t>(value);
      if (!number || (length && *length != *number) || *number > kMaxResponse - std::min(head.size, kMaxResponse)) {
        throw HttpError("the answer's length makes no sense, or is above 16 KiB");
      }
      length = number;
    } else if (equal_fold(name, "Transfer-Encoding")) {
      throw HttpError("the answer is in chunks, which we do not read");
    } else if (equal_fold(name, "Connection") && equal_fold(value, "close")) {
      head.keep_alive = false;
    }
  }
  const bool bodiless = head.status == 204 || head.status == 304;  // whatever its length says: RFC 9112 §6.3
  if (!length && !bodiless) {
    throw HttpError("the answer does not say how long it is");
  }
  head.body_length = bodiless ? 0 : *length;
  head.complete = true;
  return head;
}

Connection::Connection(Connection&& other) noexcept : idle_since(other.idle_since), fd_(std::exchange(other.fd_, -1)) {}

Connection& Connection::operator=(Connection&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(idle_since, other.idle_since);
  return *this;
}

Connection::~Connection() {
  if (fd_ >= 0) {
    close(fd_);
  }
}

HttpClient::HttpClient(Url url, const std::string& secret) : url_(std::move(url)) {
  const bool v6 = url_.host.find(':') != std::string::npos;
  headers_ = " HTTP/1.1\r\nHost: " + (v6 ? "[" + url_.host + "]" : url_.host) + ":" + std::to_string(url_.port) + "\r\n";
  if (!secret.empty()) {
    headers_ += "Authorization: Bearer " + secret + "\r\n";
  }
}

HttpResponse HttpClient::get(const std::string& path, Clock::time_point deadline) {
  return send("GET " + url_.path + path + headers_ + "\r\n", deadline);
}

HttpResponse HttpClient::post(const std::string& path, const std::string& json, Clock::time_point deadline) {
  return send("POST " + url_.path + path + headers_ + "Content-Type: application/json\r\nContent-Length: " +
                  std::to_string(json.size()) + "\r\n\r\n" + json,
              deadline);
}

HttpResponse HttpClient::send(const std::string& request, Clock::time_point deadline) {
  Connection connection(-1);
  bool reused = take_idle(connection);
  for (;; reused = false) {
    if (!reused) {
      connection = connect_to(url_, deadline);
    }
    try {
      write_all(connection, request, deadline);
      bool keep_alive = false;
      HttpResponse response = read_response(connection, deadline, keep_alive);
      if (keep_alive) {
        give_back(std::move(connection));
      }
      return response;
    } catch (const StaleConnection&) {
      if (!reused) {
        throw;
      }
    }
  }
}

bool HttpClient::take_idle(Connection& connection) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto oldest = Clock::now() - kMaxIdleTime;
  idle_.erase(std::remove_if(idle_.begin(), idle_.end(), [oldest](const Connection& c) { return c.idle_since < oldest; }), idle_.end());
  if (idle_.empty()) {
    return false;
  }
  connection = std::move(idle_.back());
  idle_.pop_back();
  return true;
}

void HttpClient::give_back(Connection connection) {
  connection.idle_since = Clock::now();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (idle_.size() < kMaxIdle) {
    idle_.push_back(std::move(connection));
  }
}

}  // namespace provisioner
