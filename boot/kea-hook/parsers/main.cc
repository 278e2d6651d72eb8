// Runs what the library reads of others, compiled with sanitizers, on what the
// tests of package boot make up. It reads requests from standard input, and
// answers each on standard output, until the input ends:
//
//	request   kind (1 byte), length (4, big-endian), content
//	answer    '+' read or '-' refused, length, what was read, or why it was refused
//
// An exception that the library does not throw on purpose ends the program, as
// do the sanitizers where they find something.

#include <cc/data.h>
#include <exceptions/exceptions.h>
#include <log/logger_support.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include "endpoint.h"
#include "hook.h"
#include "http_client.h"

namespace {

using namespace provisioner;

constexpr std::uint32_t kMaxContent = 1 << 20;  // bytes

// One word a line, each after its name: what texts hold is printable, and has no line end.
std::string describe(const Answer& answer) {
  const auto address = [](const auto& a) { return a ? a->toText() : std::string(); };
  return "next-server " + address(answer.next_server) + "\nreserved " + address(answer.reserved) + "\nboot-file " + answer.boot_file +
         "\nvendor-class " + answer.vendor_class + "\nhost-name " + answer.host_name;
}

std::string read_head(const std::string& content) {
  // As it comes from a socket: in a buffer of just its size, so that a byte too far is noticed.
  const auto received = std::make_unique<char[]>(content.size());
  content.copy(received.get(), content.size());
  const ResponseHead head = parse_head({received.get(), content.size()});
  if (!head.complete) {
    return "incomplete";
  }
  return std::to_string(head.status) + " " + std::to_string(head.size) + " " + std::to_string(head.body_length) +
         (head.keep_alive ? " keep" : " close");
}

std::string read_url(const std::string& content) {
  const Url url = parse_url(content);
  return url.host + "\n" + std::to_string(url.port) + "\n" + url.path;
}

// The content is the library's parameters as Kea has read them from its configuration.
std::string read_parameters(const std::string& content) {
  isc::data::ConstElementPtr map;
  try {
    map = isc::data::Element::fromJSON(content);
  } catch (const isc::Exception&) {
    throw std::invalid_argument("not for us: Kea does not read it");
  }
  if (!map || map->getType() != isc::data::Element::map) {
    throw std::invalid_argument("not for us: Kea wants a map");
  }
  const Parameters parameters = Parameters::read(map->get("url"), map->get("timeout-ms"), map->get("secret-file"));
  return parameters.url.host + "\n" + std::to_string(parameters.limit.count()) + "\n" + parameters.secret;
}

// The content is what a client says of itself.
std::string ask(Endpoint& endpoint, const std::string& content) {
  Sighting sighting;
  sighting.discover = true;
  sighting.mac = "52:54:00:00:00:01";
  sighting.host_name = sighting.vendor_class = sighting.user_class = content;
  sighting.arch = 7;
  const auto answer = endpoint.ask(sighting);
  return answer ? describe(*answer) : "unknown";
}

std::string run(char kind, const std::string& content, Endpoint* endpoint) {
  switch (kind) {
    case 'h':
      return read_head(content);
    case 'j':
      return describe(parse_answer(content));
    case 'u':
      return read_url(content);
    case 's':
      return json_string(content);
    case 'p':
      return read_parameters(content);
    case 'a':
      if (endpoint != nullptr) {
        return ask(*endpoint, content);
      }
  }
  std::cerr << "what is '" << kind << "'?\n";
  std::exit(2);
}

bool read_request(char& kind, std::string& content) {
  unsigned char head[5];
  if (!std::cin.read(reinterpret_cast<char*>(head), sizeof head)) {
    return false;
  }
  kind = static_cast<char>(head[0]);
  const std::uint32_t size = std::uint32_t{head[1]} << 24 | std::uint32_t{head[2]} << 16 | std::uint32_t{head[3]} << 8 | head[4];
  if (size > kMaxContent) {
    std::cerr << "a request of " << size << " bytes\n";
    std::exit(2);
  }
  content.resize(size);
  return size == 0 || std::cin.read(content.data(), size);
}

void write_answer(char verdict, const std::string& text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  const char head[] = {verdict, static_cast<char>(size >> 24), static_cast<char>(size >> 16), static_cast<char>(size >> 8), static_cast<char>(size)};
  std::cout.write(head, sizeof head).write(text.data(), static_cast<std::streamsize>(text.size())).flush();
}

}  // namespace

// The arguments are the endpoint that is asked, and its limit in milliseconds; without them none is.
int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  isc::log::initLogger("parsers");
  std::unique_ptr<Endpoint> endpoint;
  if (argc == 3) {
    endpoint = std::make_unique<Endpoint>(parse_url(argv[1]), "secret", std::chrono::milliseconds(std::atoi(argv[2])));
  }
  char kind = 0;
  std::string content;
  while (read_request(kind, content)) {
    try {
      write_answer('+', run(kind, content, endpoint.get()));
    } catch (const HttpError& e) {
      write_answer('-', e.what());
    } catch (const BadAnswer& e) {
      write_answer('-', e.what());
    } catch (const std::invalid_argument& e) {
      write_answer('-', e.what());
    }
  }
  return 0;
}
