#include "endpoint.h"

#include <cc/data.h>
#include <exceptions/exceptions.h>

#include <algorithm>
#include <utility>

namespace provisioner {

namespace {

using isc::asiolink::IOAddress;
using isc::data::ConstElementPtr;
using isc::data::Element;

constexpr std::size_t kMaxText = 255;  // bytes: what one DHCP option holds
constexpr int kMaxNesting = 8;
constexpr int kFailuresInARow = 3;
constexpr auto kLeftAlone = std::chrono::seconds(5);

// Kea's parser calls itself for each bracket: an answer of nothing else would
// need more stack than a thread has. Brackets within a text are none.
bool nested_too_deeply(const std::string& json) {
  int depth = 0;
  bool text = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (text && c == '\\') {
      ++i;  // what is escaped ends no text
    } else if (c == '"') {
      text = !text;
    } else if (!text && (c == '[' || c == '{')) {
      if (++depth > kMaxNesting) {
        return true;
      }
    } else if (!text && (c == ']' || c == '}')) {
      --depth;
    }
  }
  return false;
}

std::string text_of(const ConstElementPtr& element, const std::string& what) {
  if (element->getType() != Element::string) {
    throw BadAnswer(what + " is not a text");
  }
  std::string text = element->stringValue();
  const bool printable = std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= ' ' && c < 0x7f; });
  if (text.empty() || text.size() > kMaxText || !printable) {
    throw BadAnswer(what + " is empty, above 255 bytes, or not printable");
  }
  return text;
}

std::optional<IOAddress> address_of(const ConstElementPtr& map, const std::string& key) {
  const ConstElementPtr element = map->get(key);
  if (!element || element->getType() == Element::null) {
    return std::nullopt;
  }
  const std::string text = text_of(element, key);
  try {
    const IOAddress address(text);
    if (address.isV4() && !address.isV4Zero() && !address.isV4Bcast()) {
      return address;
    }
  } catch (const isc::Exception&) {
    // falls through: it is no address at all
  }
  throw BadAnswer(key + " is not an IPv4 address");
}

}  // namespace

Answer parse_answer(const std::string& json) {
  if (nested_too_deeply(json)) {
    throw BadAnswer("the answer is nested too deeply");
  }
  ConstElementPtr body;
  try {
    body = Element::fromJSON(json);
  } catch (const isc::Exception&) {
    throw BadAnswer("the answer is not JSON");
  }
  if (!body || body->getType() != Element::map) {
    throw BadAnswer("the answer is not a JSON object");
  }
  Answer answer;
  answer.next_server = address_of(body, "next-server");
  answer.reserved = address_of(body, "ipv4");
  const ConstElementPtr options = body->get("options");
  if (!options) {
    return answer;
  }
  if (options->getType() != Element::list) {
    throw BadAnswer("options is not a list");
  }
  for (const auto& option : options->listValue()) {
    if (!option || option->getType() != Element::map) {
      throw BadAnswer("an option is not an object");
    }
    const ConstElementPtr code = option->get("option");
    const ConstElementPtr value = option->get("value");
    if (!code || code->getType() != Element::integer || !value) {
      throw BadAnswer("an option lacks its number or its value");
    }
    switch (code->intValue()) {
      case 12:
        answer.host_name = text_of(value, "option 12");
        break;
      case 60:
        answer.vendor_class = text_of(value, "option 60");
        break;
      case 67:
        answer.boot_file = text_of(value, "option 67");
        break;
      default:  // of a later release; not ours to set
        break;
    }
  }
  if (!answer.boot_file.empty() && !answer.next_server) {
    throw BadAnswer("there is a boot file, but no next-server");
  }
  return answer;
}

std::string json_string(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const unsigned char c : text) {
    if (c < ' ' || c >= 0x7f || c == '"' || c == '\\') {
      quoted += "\\u00";
      quoted += kHex[c >> 4];
      quoted += kHex[c & 0xf];
    } else {
      quoted += static_cast<char>(c);
    }
  }
  return quoted + "\"";
}

bool Breaker::allows(Clock::time_point now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (failures_ < kFailuresInARow) {
    return true;
  }
  if (now < closed_until_) {
    return false;
  }
  closed_until_ = now + kLeftAlone;  // for all but this caller
  return true;
}

void Breaker::succeeded() {
  const std::lock_guard<std::mutex> lock(mutex_);
  failures_ = 0;
}

void Breaker::failed(Clock::time_point now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (++failures_ >= kFailuresInARow) {
    failures_ = kFailuresInARow;
    closed_until_ = now + kLeftAlone;
  }
}

Endpoint::Endpoint(Url url, const std::string& secret, std::chrono::milliseconds limit)
    : http_(std::move(url), secret), limit_(limit) {}

template <typename Work>
auto Endpoint::watched(Work work) {
  try {
    auto result = work(Clock::now() + limit_);
    breaker_.succeeded();
    return result;
  } catch (...) {
    breaker_.failed(Clock::now());
    throw;
  }
}

std::shared_ptr<const Answer> Endpoint::ask(const Sighting& sighting) {
  std::string options;
  const auto add = [&options](int code, const std::string& value) {
    options += (options.empty() ? "" : ",") + ("{\"option\":" + std::to_string(code)) + ",\"value\":" + value + "}";
  };
  if (!sighting.host_name.empty()) {
    add(12, json_string(sighting.host_name));
  }
  if (!sighting.vendor_class.empty()) {
    add(60, json_string(sighting.vendor_class));
  }
  if (!sighting.user_class.empty()) {
    add(77, json_string(sighting.user_class));
  }
  if (sighting.arch) {
    add(93, std::to_string(*sighting.arch));
  }
  const std::string body = std::string("{\"discover\":") + (sighting.discover ? "true" : "false") + ",\"mac\":\"" +
                           sighting.mac + "\",\"options\":[" + options + "]}";

  return watched([&](Clock::time_point deadline) -> std::shared_ptr<const Answer> {
    const HttpResponse seen = http_.post("/ipv4/seen", body, deadline);
    if (seen.status == 202) {
      return nullptr;
    }
    if (seen.status != 200) {
      throw BadAnswer("status " + std::to_string(seen.status));
    }
    const HttpResponse response = http_.get("/ipv4?hwaddr=" + sighting.mac, deadline);
    if (response.status == 404) {  // it was removed this moment
      return nullptr;
    }
    if (response.status != 200) {
      throw BadAnswer("status " + std::to_string(response.status));
    }
    return std::make_shared<const Answer>(parse_answer(response.body));
  });
}

void Endpoint::tell_lease(const std::string& mac, const std::string& address, std::uint32_t seconds) {
  const std::string body =
      "{\"mac\":\"" + mac + "\",\"ipv4\":\"" + address + "\",\"duration\":" + std::to_string(seconds) + "}";
  watched([&](Clock::time_point deadline) {
    const int status = http_.post("/ipv4/lease", body, deadline).status;
    if (status != 201 && status != 404) {
      throw BadAnswer("status " + std::to_string(status));
    }
    return status;
  });
}

}  // namespace provisioner
