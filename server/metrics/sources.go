package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"provisioner/boot"
	"provisioner/lab"
	"provisioner/lab/console"
	"provisioner/server/api"
	"provisioner/store"
)

// Sources are what is counted elsewhere, and read when somebody reads the
// metrics.
type Sources struct {
	Lab       func(context.Context) (lab.Statistics, error)
	TFTP      func() boot.TFTPStats
	ProxyDHCP func() boot.ProxyDHCPStats
	DHCP      func() boot.DHCPServerStats
	API       func() api.Stats
}

// Collect has sources read. It is called once.
func (m *Metrics) Collect(s Sources) { m.registry.MustRegister(newCollector(s)) }

// collector reads sources. It is a [prometheus.Collector].
type collector struct {
	sources Sources

	machines, power, failing, held, queue, runs *prometheus.Desc
	consoles, guests, sessions                  *prometheus.Desc
	streams, sockets, told, skipped             *prometheus.Desc
	tftpActive, tftpBytes, tftpTransfers        *prometheus.Desc
	tftpRepeats, dhcp, problem                  *prometheus.Desc
}

func newCollector(s Sources) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("provisioner_"+name, help, labels, nil)
	}
	return &collector{
		sources:       s,
		machines:      desc("machines", "Machines by their state: unknown, provisioning, ready, error.", "state"),
		power:         desc("machines_power", "Machines with a BMC, by the power state that it said last: on, off, unknown.", "power"),
		failing:       desc("bmcs_failing", "Machines whose BMC did not answer when it was asked last."),
		held:          desc("machines_held", "Machines that somebody holds."),
		queue:         desc("queue_length", "Who waits for a machine."),
		runs:          desc("runs_running", "Provisioning runs that go on."),
		consoles:      desc("consoles", "Serial consoles by the state of their connection: closed, connecting, connected, lost.", "state"),
		guests:        desc("console_guests", "People and programs at consoles."),
		sessions:      desc("sessions", "People and programs who stay: dashboards, commands, streams, consoles over HTTP."),
		streams:       desc("event_streams", "Streams of events over HTTP that are open."),
		sockets:       desc("console_websockets", "WebSockets at consoles that are open."),
		told:          desc("event_stream_events_total", "Events that were sent, to all streams."),
		skipped:       desc("event_stream_skipped_events_total", "Events that were left out of streams, which were read too slowly."),
		tftpActive:    desc("tftp_transfers_active", "TFTP transfers that go on."),
		tftpBytes:     desc("tftp_sent_bytes_total", "Bytes of files that TFTP clients have acknowledged."),
		tftpTransfers: desc("tftp_transfers_total", "TFTP transfers that have ended, by how.", "result"),
		tftpRepeats:   desc("tftp_retransmissions_total", "Blocks that were sent again over TFTP."),
		dhcp: desc("dhcp_requests_total", "DHCP requests by who was asked (dhcp, proxydhcp) and what became of them. Those of the hook are HTTP requests.",
			"server", "result"),
		problem: desc("statistics_up", "Whether what is in the database could be counted: 1, or 0."),
	}
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.machines, c.power, c.failing, c.held, c.queue, c.runs, c.consoles, c.guests, c.sessions, c.streams, c.sockets, c.told, c.skipped,
		c.tftpActive, c.tftpBytes, c.tftpTransfers, c.tftpRepeats, c.dhcp, c.problem,
	} {
		descs <- d
	}
}

// collectTime bounds how long the database may take to be counted.
const collectTime = 5 * time.Second

// Collect implements [prometheus.Collector].
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	w := writer{metrics}
	ctx, cancel := context.WithTimeout(context.Background(), collectTime)
	defer cancel()
	site, err := c.sources.Lab(ctx)
	if err == nil {
		c.collectSite(w, site)
		w.gauge(c.problem, 1)
	} else {
		w.gauge(c.problem, 0)
	}

	live := c.sources.API()
	w.gauge(c.streams, live.Streams)
	w.gauge(c.sockets, live.Consoles)
	w.counter(c.told, uint64(live.Told))
	w.counter(c.skipped, uint64(live.Skipped))

	tftp := c.sources.TFTP()
	w.gauge(c.tftpActive, int64(tftp.Active))
	w.counter(c.tftpBytes, tftp.Bytes)
	w.counter(c.tftpRepeats, tftp.Retransmissions)
	for result, n := range map[string]uint64{
		"complete": tftp.Complete, "not found": tftp.NotFound, "options only": tftp.OptionsOnly, "silent": tftp.Silent,
		"client error": tftp.ClientError, "failed": tftp.Failed,
	} {
		w.counter(c.tftpTransfers, n, result)
	}

	proxy := c.sources.ProxyDHCP()
	for result, n := range map[string]uint64{
		"answered": proxy.Answered, "malformed": proxy.Malformed, "ignored": proxy.Ignored, "unknown": proxy.Unknown,
		"from disk": proxy.FromDisk, "failed": proxy.Failed,
	} {
		w.counter(c.dhcp, n, "proxydhcp", result)
	}
	dhcp := c.sources.DHCP()
	for result, n := range map[string]uint64{
		"offered": dhcp.Offered, "lent": dhcp.Lent, "refused": dhcp.Refused, "unanswered": dhcp.Unanswered, "no address": dhcp.NoAddress,
		"released": dhcp.Released, "declined": dhcp.Declined, "malformed": dhcp.Malformed, "ignored": dhcp.Ignored, "failed": dhcp.Failed,
	} {
		w.counter(c.dhcp, n, "dhcp", result)
	}
}

func (c *collector) collectSite(w writer, site lab.Statistics) {
	for _, state := range []store.MachineState{store.StateUnknown, store.StateProvisioning, store.StateReady, store.StateError} {
		w.gauge(c.machines, site.Machines[state], string(state))
	}
	for _, power := range []lab.PowerState{lab.PowerOn, lab.PowerOff, lab.PowerUnknown} {
		w.gauge(c.power, site.Power[power], string(power))
	}
	for state, name := range map[console.State]string{
		console.Closed: "closed", console.Connecting: "connecting", console.Connected: "connected", console.Lost: "lost",
	} {
		w.gauge(c.consoles, site.Consoles[state], name)
	}
	w.gauge(c.failing, site.Failing)
	w.gauge(c.held, site.Held)
	w.gauge(c.queue, site.Queue)
	w.gauge(c.runs, site.Runs)
	w.gauge(c.guests, site.Guests)
	w.gauge(c.sessions, site.Sessions)
}

type writer struct{ metrics chan<- prometheus.Metric }

func (w writer) gauge(d *prometheus.Desc, n int64, labels ...string) {
	w.metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
}

func (w writer) counter(d *prometheus.Desc, n uint64, labels ...string) {
	w.metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}
