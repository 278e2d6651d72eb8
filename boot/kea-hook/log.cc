#include "log.h"

#include <log/message_initializer.h>

namespace provisioner {

isc::log::Logger logger("provisioner-hook");

const isc::log::MessageID PROVISIONER_LOADED = "PROVISIONER_LOADED";
const isc::log::MessageID PROVISIONER_NOT_LOADED = "PROVISIONER_NOT_LOADED";
const isc::log::MessageID PROVISIONER_FAILED = "PROVISIONER_FAILED";
const isc::log::MessageID PROVISIONER_RESERVATION_REFUSED = "PROVISIONER_RESERVATION_REFUSED";

namespace {

const char* texts[] = {
    "PROVISIONER_LOADED", "machines are asked about at %1",
    "PROVISIONER_NOT_LOADED", "the library cannot be loaded: %1",
    "PROVISIONER_FAILED", "%1 packets went on as they were, or leases untold, since this was said last; now: %2",
    "PROVISIONER_RESERVATION_REFUSED", "Kea did not grant %1 its reserved address %2, which has to be in a pool and free; for ten minutes it is not offered",
    nullptr,
};

const isc::log::MessageInitializer initializer(texts);

}  // namespace

}  // namespace provisioner
