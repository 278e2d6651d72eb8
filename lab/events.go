package lab

// The kinds of events, as they are kept and shown.
const (
	EventUserAdded        = "user added"
	EventUserChanged      = "user changed"
	EventUserRemoved      = "user removed"
	EventKeyEnrolled      = "key enrolled"
	EventKeyRemoved       = "key removed"
	EventTokenCreated     = "token created"
	EventTokenRevoked     = "token revoked"
	EventLogin            = "login"
	EventMachineAdded     = "machine added"
	EventMachineChanged   = "machine changed"
	EventMachineRemoved   = "machine removed"
	EventImageAdded       = "image added"
	EventImageChanged     = "image changed"
	EventImageRemoved     = "image removed"
	EventImageDamaged     = "image damaged" // its file is not what was uploaded
	EventBootloader       = "bootloader"    // hangs on a subarchitecture, with what lies beside it
	EventTemplateSet      = "template set"
	EventTemplateReset    = "template reset"
	EventNetworkAdded     = "network added"
	EventNetworkChanged   = "network changed"
	EventNetworkRemoved   = "network removed"
	EventPreseedAdded     = "preseed added"
	EventPreseedChanged   = "preseed changed"
	EventPreseedRemoved   = "preseed removed"
	EventReserved         = "reserved"
	EventReleased         = "released"
	EventPower            = "power"        // somebody asked for it
	EventPowerFailed      = "power failed" // somebody asked, in vain
	EventIdentify         = "identify"
	EventIdentifyFailed   = "identify failed"
	EventBootDevice       = "boot device"
	EventBootDeviceFailed = "boot device failed"
	EventPowerSeen        = "power seen" // the BMC reports another state than before
	EventProvision        = "provision"  // a run began
	EventProvisionEnded   = "provision ended"
	EventStage            = "stage" // a run has come further
	EventDHCP             = "dhcp"
	EventBootConfig       = "boot configuration"
	EventPreseedFetched   = "preseed fetched"
	EventPreseedError     = "preseed error"
	EventPreseedUndefined = "preseed undefined" // it uses variables that nobody has defined
	EventPhoneHome        = "phone home"
	EventConsole          = "console opened"
	EventConsoleTaken     = "console taken"   // from another person, or another program
	EventBreak            = "break"           // sent to a machine
	EventConsolePattern   = "console pattern" // the detail names it, and the line; at a position in the log
	EventPatternAdded     = "pattern added"
	EventPatternRemoved   = "pattern removed"
	EventSiteChanged      = "site changed"
)
