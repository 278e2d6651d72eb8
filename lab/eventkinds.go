package lab

import "slices"

var eventKinds = []string{
	EventUserAdded, EventUserChanged, EventUserRemoved, EventKeyEnrolled, EventKeyRemoved, EventTokenCreated,
	EventTokenRevoked, EventLogin, EventMachineAdded, EventMachineChanged, EventMachineRemoved, EventBMCAdded,
	EventBMCChanged, EventBMCRemoved, EventArchAdded, EventArchChanged, EventArchRemoved, EventImageAdded,
	EventImageChanged, EventImageRemoved, EventImageDamaged, EventBootloader, EventTemplateSet, EventTemplateReset,
	EventNetworkAdded, EventNetworkChanged, EventNetworkRemoved, EventPreseedAdded, EventPreseedChanged,
	EventPreseedRemoved, EventReserved, EventReleased, EventReasonChanged, EventExtended, EventTermEnding,
	EventTermOver, EventIdle, EventLent, EventReturned, EventQueued, EventQueueLeft, EventPoolChanged,
	EventWebhookChanged, EventPower, EventPowerFailed, EventIdentify, EventIdentifyFailed, EventBootDevice,
	EventBootDeviceFailed, EventPowerSeen, EventProvision, EventProvisionEnded, EventStage, EventDHCP, EventBootConfig,
	EventPreseedFetched, EventPreseedError, EventPreseedUndefined, EventPhoneHome, EventConsole, EventConsoleTaken,
	EventBreak, EventConsolePattern, EventTunnel, EventPatternAdded, EventPatternRemoved, EventSiteChanged,
}

// EventKinds are all kinds of events, in the order of what they are about.
func EventKinds() []string { return slices.Clone(eventKinds) }
