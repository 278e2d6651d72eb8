// The messages of this library in Kea's log.
#pragma once

#include <log/macros.h>
#include <log/message_types.h>

namespace provisioner {

extern isc::log::Logger logger;

extern const isc::log::MessageID PROVISIONER_LOADED;
extern const isc::log::MessageID PROVISIONER_NOT_LOADED;
extern const isc::log::MessageID PROVISIONER_FAILED;
extern const isc::log::MessageID PROVISIONER_RESERVATION_REFUSED;

}  // namespace provisioner
