// The functions by which Kea calls this library. Each lets the packet go on as
// it was where something is wrong: DHCP must not depend on provisioner.
//
// On the way of a DISCOVER or a REQUEST:
//
//   pkt4_receive               asks the endpoint, keeps the answer with the packet, sets client classes
//   lease4_select, _renew      have the reserved address offered
//   leases4_committed          tells the lease, later, by a thread of ours
//   pkt4_send                  sets next-server, boot file, host name
//
// A packet's callouts get the same handle, whichever thread runs them; all else
// that they share (Hook) locks for itself. So Kea may have many threads.

#include <cc/data.h>
#include <dhcp/dhcp4.h>
#include <dhcp/option_string.h>
#include <dhcp/pkt4.h>
#include <dhcpsrv/lease.h>
#include <hooks/hooks.h>
#include <stats/stats_mgr.h>

#include <exception>
#include <memory>
#include <string>

#include "hook.h"
#include "log.h"

namespace provisioner {
namespace {

using namespace isc::dhcp;
using isc::hooks::CalloutHandle;

using AnswerPtr = std::shared_ptr<const Answer>;

// The C interface has no place for it. Kea loads and unloads while no packet
// is under way.
std::unique_ptr<Hook> hook;

const char kAnswer[] = "answer";
constexpr std::size_t kBootpFile = 127;  // bytes without the NUL at their end (RFC 2131 §2)

// Kea keeps the prefix for classes that hooks set.
const char kKnownClass[] = "EXTERNAL_PROVISIONER";
const char kNetbootClass[] = "EXTERNAL_PROVISIONER_NETBOOT";
const char kReservedClass[] = "EXTERNAL_PROVISIONER_RESERVED";

// Runs a callout, and keeps its exceptions from crossing into Kea.
template <typename Work>
int guarded(Work work) noexcept {
  if (!hook) {
    return 0;
  }
  try {
    work();
  } catch (const std::exception& e) {
    try {
      hook->complaints.add(e.what());
    } catch (...) {
      // not even that can be said
    }
  } catch (...) {
    // nothing of Kea's, ours or the standard library's throws such
  }
  return 0;
}

// Null where the packet is nothing to us.
AnswerPtr answer_of(CalloutHandle& handle) {
  AnswerPtr answer;
  try {
    handle.getContext(kAnswer, answer);
  } catch (const isc::hooks::NoSuchCalloutContext&) {
    return nullptr;
  }
  return answer;
}

// The bytes of an option, whatever Kea takes it for; empty where it is absent.
std::string option_bytes(const Pkt4Ptr& packet, std::uint16_t code) {
  const auto option = packet->getOption(code);
  if (!option) {
    return {};
  }
  const auto bytes = option->toBinary();
  return {bytes.begin(), bytes.end()};
}

Sighting sighting_of(const Pkt4Ptr& query) {
  Sighting sighting;
  sighting.discover = query->getType() == DHCPDISCOVER;
  sighting.mac = query->getHWAddr()->toText(false);
  sighting.host_name = option_bytes(query, DHO_HOST_NAME);
  sighting.vendor_class = option_bytes(query, DHO_VENDOR_CLASS_IDENTIFIER);
  sighting.user_class = option_bytes(query, DHO_USER_CLASS);
  // A list of numbers; the first is the one that the client prefers (RFC 4578 §2.1).
  if (const std::string arch = option_bytes(query, DHO_SYSTEM); arch.size() >= 2) {
    sighting.arch = static_cast<std::uint16_t>(static_cast<unsigned char>(arch[0]) << 8 | static_cast<unsigned char>(arch[1]));
  }
  return sighting;
}

bool is_ethernet(const Pkt4Ptr& packet) {
  const auto address = packet->getHWAddr();
  return address && address->htype_ == HTYPE_ETHER && address->hwaddr_.size() == 6;
}

// Whether a REQUEST is for the reserved address.
bool requests_reserved(const Pkt4Ptr& query, const Answer& answer) {
  const auto requested = query->getOption(DHO_DHCP_REQUESTED_ADDRESS);
  return query->getType() == DHCPREQUEST && answer.reserved && requested &&
         requested->toBinary() == answer.reserved->toBytes();
}

void receive(CalloutHandle& handle) {
  Pkt4Ptr query;
  handle.getArgument("query4", query);
  const bool asks = query->getType() == DHCPDISCOVER || query->getType() == DHCPREQUEST;
  if (handle.getStatus() == CalloutHandle::NEXT_STEP_DROP || !asks || !is_ethernet(query)) {
    return;
  }
  if (!hook->endpoint.available()) {
    hook->complaints.add("the endpoint is left alone after failures");
    return;
  }
  isc::stats::StatsMgr::instance().addValue("provisioner-asked", static_cast<std::int64_t>(1));
  const AnswerPtr answer = hook->endpoint.ask(sighting_of(query));
  if (!answer) {
    return;
  }
  handle.setContext(kAnswer, answer);
  query->addClass(kKnownClass);
  if (!answer->boot_file.empty()) {
    query->addClass(kNetbootClass);
  }
  if (answer->reserved) {
    query->addClass(kReservedClass);
  }
  if (requests_reserved(query, *answer)) {
    hook->refusals.add(query->getHWAddr()->toText(false), Clock::now());  // until it is granted, in send
  }
}

// Has an offer be of the reserved address. The client asks for it by its
// REQUEST, which Kea grants without us; one that asks for the address it had
// before keeps that until it discovers anew. Kea decides on the REQUEST: it
// refuses, or says nothing, where the address is in no pool that the client may
// use, or is lent to somebody else. For some time it is not offered again then,
// or the client would come back for ever.
void reserve(CalloutHandle& handle) {
  const AnswerPtr answer = answer_of(handle);
  if (!answer || !answer->reserved) {
    return;
  }
  Pkt4Ptr query;
  Lease4Ptr lease;
  handle.getArgument("query4", query);
  handle.getArgument("lease4", lease);
  if (query->getType() != DHCPDISCOVER || lease->addr_ == *answer->reserved) {
    return;
  }
  const std::string mac = query->getHWAddr()->toText(false);
  if (hook->refusals.has(mac, Clock::now())) {
    LOG_WARN(logger, PROVISIONER_RESERVATION_REFUSED).arg(mac).arg(answer->reserved->toText());
    return;
  }
  lease->addr_ = *answer->reserved;
}

void report_leases(CalloutHandle& handle) {
  if (!answer_of(handle)) {
    return;
  }
  Lease4CollectionPtr leases;
  handle.getArgument("leases4", leases);
  if (!leases) {
    return;
  }
  for (const Lease4Ptr& lease : *leases) {
    if (lease && lease->hwaddr_) {
      hook->leases.put({lease->hwaddr_->toText(false), lease->addr_.toText(), lease->valid_lft_});
    }
  }
}

void set_option(const Pkt4Ptr& packet, std::uint16_t code, const std::string& text) {
  if (!text.empty()) {
    packet->delOption(code);
    packet->addOption(boost::make_shared<OptionString>(Option::V4, code, text));
  }
}

void send(CalloutHandle& handle) {
  const AnswerPtr answer = answer_of(handle);
  if (!answer) {
    return;
  }
  Pkt4Ptr response;
  handle.getArgument("response4", response);
  if (response->getType() != DHCPOFFER && response->getType() != DHCPACK) {
    return;
  }
  if (response->getType() == DHCPACK && answer->reserved) {
    hook->refusals.remove(response->getHWAddr()->toText(false));
  }
  set_option(response, DHO_HOST_NAME, answer->host_name);
  if (answer->boot_file.empty()) {
    return;
  }
  response->setSiaddr(*answer->next_server);
  set_option(response, DHO_BOOT_FILE_NAME, answer->boot_file);
  set_option(response, DHO_VENDOR_CLASS_IDENTIFIER, answer->vendor_class);
  // Old ROMs read the field, and some read nothing else. What does not fit is
  // in the option alone: half a name would name another file.
  const std::size_t length = answer->boot_file.size() <= kBootpFile ? answer->boot_file.size() : 0;
  response->setFile(reinterpret_cast<const std::uint8_t*>(answer->boot_file.data()), length);
}

}  // namespace
}  // namespace provisioner

extern "C" {

using isc::hooks::CalloutHandle;
using isc::hooks::LibraryHandle;

int version() { return KEA_HOOKS_VERSION; }

int multi_threading_compatible() { return 1; }

int load(LibraryHandle& handle) {
  using namespace provisioner;
  try {
    const auto parameters =
        Parameters::read(handle.getParameter("url"), handle.getParameter("timeout-ms"), handle.getParameter("secret-file"));
    hook = std::make_unique<Hook>(parameters);
    LOG_INFO(logger, PROVISIONER_LOADED).arg(parameters.url.host);
    return 0;
  } catch (const std::exception& e) {
    LOG_ERROR(logger, PROVISIONER_NOT_LOADED).arg(e.what());
    return 1;
  }
}

int unload() {
  provisioner::hook.reset();
  return 0;
}

int pkt4_receive(CalloutHandle& handle) {
  return provisioner::guarded([&handle] { provisioner::receive(handle); });
}

int lease4_select(CalloutHandle& handle) {
  return provisioner::guarded([&handle] { provisioner::reserve(handle); });
}

int lease4_renew(CalloutHandle& handle) {
  return provisioner::guarded([&handle] { provisioner::reserve(handle); });
}

int leases4_committed(CalloutHandle& handle) {
  return provisioner::guarded([&handle] { provisioner::report_leases(handle); });
}

int pkt4_send(CalloutHandle& handle) {
  return provisioner::guarded([&handle] { provisioner::send(handle); });
}

}  // extern "C"
