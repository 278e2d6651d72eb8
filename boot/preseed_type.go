package boot

// PreseedType is the kind of an installer's answer file.
type PreseedType string

// The preseed types: Debian's installer, Anaconda, YaST, cloud-init, and
// Ignition.
//
// Ubuntu's autoinstall has no type of its own: its answers are a key in the
// user-data of cloud-init, which also hands them over.
const (
	Preseed   PreseedType = "preseed"
	Kickstart PreseedType = "kickstart"
	AutoYaST  PreseedType = "autoyast"
	CloudInit PreseedType = "cloud-init"
	Ignition  PreseedType = "ignition"
)

// PreseedTypes are all of them, in the order in which people are asked.
var PreseedTypes = []PreseedType{Preseed, Kickstart, AutoYaST, CloudInit, Ignition}

// ContentType is the media type with which a preseed is served. Most programs
// look at the content; Ignition's specification names its own.
func (t PreseedType) ContentType() string {
	switch t {
	case Ignition:
		return "application/json"
	case AutoYaST:
		return "application/xml"
	}
	return "text/plain; charset=utf-8" // for cloud-init, too: the first line of user-data says what it is
}

// PreseedOptions gives the kernel options by which an installer finds its
// preseed at url, and its DNS server where dns is not empty. That of
// [CloudInit] is the folder of its seed, and ends in a slash. An unknown kind
// has none.
func PreseedOptions(kind PreseedType, url, dns string) string {
	var options, nameserver string
	switch kind {
	case Preseed:
		options, nameserver = "auto=true priority=critical url="+url+" interface=auto", " netcfg/get_nameservers="
	case Kickstart:
		// Anaconda reads only what begins with inst. since Fedora 34 and RHEL 9,
		// and knew nothing of that before RHEL 7. dracut takes its name server.
		options = "ks=" + url + " kssendmac inst.ks=" + url + " inst.ks.sendmac"
		if dns != "" {
			options += " dns=" + dns
		}
		nameserver = " nameserver="
	case AutoYaST:
		options, nameserver = "autoyast="+url, " nameserver="
	case CloudInit:
		// Ubuntu's installer asks before it overwrites a disk, unless it is told
		// autoinstall here. To everything else the word means nothing.
		return "autoinstall ds=nocloud-net;s=" + url
	case Ignition:
		options, nameserver = "ignition.config.url="+url+" ignition.firstboot ignition.platform.id=metal", " nameserver="
	default:
		return ""
	}
	if dns != "" {
		options += nameserver + dns
	}
	return options
}
