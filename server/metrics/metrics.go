// Package metrics counts what the product does, for Prometheus.
//
// [Metrics] is told what happens ([lab.Observer], and [Metrics.Requests] of HTTP
// requests), and asks for what is counted elsewhere when it is read ([Sources]).
// No label is a name of a machine or a user: how many series there are depends
// on the product, and not on the site.
package metrics

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"provisioner/lab"
	"provisioner/store"
)

// Metrics is what is counted. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	events       *prometheus.CounterVec
	runs         *prometheus.CounterVec
	runSeconds   *prometheus.HistogramVec
	stageSeconds *prometheus.HistogramVec
	bmcSeconds   *prometheus.HistogramVec
	bmcFailures  *prometheus.CounterVec

	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec
	sent           *prometheus.CounterVec
	under          prometheus.Gauge
}

// Metrics is told by the lab.
var _ lab.Observer = (*Metrics)(nil)

// New makes metrics that count from zero.
func New() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "provisioner_" + name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "provisioner_" + name, Help: help, Buckets: buckets}, labels)
	}
	minutes := []float64{1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200}
	m := &Metrics{
		registry:     prometheus.NewPedanticRegistry(),
		events:       counter("events_total", "What has happened, by its kind.", "kind"),
		runs:         counter("runs_total", "Provisioning runs that have ended, by how: done, failed, cancelled.", "result"),
		runSeconds:   histogram("run_duration_seconds", "How long provisioning runs took.", minutes, "result"),
		stageSeconds: histogram("run_stage_duration_seconds", "How long provisioning runs stayed at a stage.", minutes, "stage"),
		bmcSeconds: histogram("bmc_request_duration_seconds", "How long BMCs took to answer, by what they were asked. Failures are in it.",
			[]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}, "request"),
		bmcFailures: counter("bmc_failures_total", "What BMCs were asked in vain, by the reason: no answer, credentials, refused, protocol, paused, "+
			"console in use, cancelled, other.", "request", "reason"),
		requests: counter("http_requests_total", "HTTP requests that were answered.", "route", "method", "code"),
		requestSeconds: histogram("http_request_duration_seconds", "How long answers to HTTP requests took, without streams and WebSockets.",
			[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}, "route"),
		sent: counter("http_sent_bytes_total", "Bytes of bodies that were sent over HTTP.", "route"),
		under: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "provisioner_http_requests_in_flight", Help: "HTTP requests that are being answered, with streams and WebSockets.",
		}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.events, m.runs, m.runSeconds, m.stageSeconds, m.bmcSeconds, m.bmcFailures, m.requests, m.requestSeconds, m.sent, m.under,
	)
	for _, state := range []store.RunState{store.RunDone, store.RunFailed, store.RunCancelled} {
		m.runs.WithLabelValues(string(state)) // so that the first one is an increase
	}
	return m
}

// Happened implements [lab.Observer].
func (m *Metrics) Happened(kind string) { m.events.WithLabelValues(kind).Inc() }

// RunStage implements [lab.Observer].
func (m *Metrics) RunStage(stage string, took time.Duration) {
	m.stageSeconds.WithLabelValues(stage).Observe(took.Seconds())
}

// RunEnded implements [lab.Observer].
func (m *Metrics) RunEnded(state store.RunState, took time.Duration) {
	m.runs.WithLabelValues(string(state)).Inc()
	m.runSeconds.WithLabelValues(string(state)).Observe(took.Seconds())
}

// AskedBMC implements [lab.Observer].
func (m *Metrics) AskedBMC(what string, took time.Duration, err error) {
	m.bmcSeconds.WithLabelValues(what).Observe(took.Seconds())
	if err != nil {
		m.bmcFailures.WithLabelValues(what, lab.BMCFailure(err)).Inc()
	}
}

// methods are those that are counted by their name; a client may make up others.
var methods = map[string]bool{
	http.MethodGet: true, http.MethodHead: true, http.MethodPost: true, http.MethodPut: true, http.MethodPatch: true,
	http.MethodDelete: true, http.MethodOptions: true,
}

// Requests counts the requests of a router, whose middleware it is, by their
// route: its pattern, or "other" for what has none.
func (m *Metrics) Requests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		counted := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		m.under.Inc()
		defer func() {
			m.under.Dec()
			route := routeOf(r)
			method := r.Method
			if !methods[method] {
				method = "other"
			}
			status := counted.Status()
			if status == 0 {
				status = http.StatusOK
			}
			m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
			m.sent.WithLabelValues(route).Add(float64(counted.BytesWritten()))
			if status != http.StatusSwitchingProtocols && !strings.HasPrefix(counted.Header().Get("Content-Type"), "text/event-stream") {
				m.requestSeconds.WithLabelValues(route).Observe(time.Since(began).Seconds())
			}
		}()
		next.ServeHTTP(counted, r)
	})
}

// routeOf is the pattern that a request was routed by.
func routeOf(r *http.Request) string {
	routed := chi.RouteContext(r.Context())
	if routed == nil {
		return "other"
	}
	pattern := routed.RoutePattern()
	if pattern == "" || pattern == "/*" {
		return "other"
	}
	return pattern
}

// Handler answers with everything, in the text format of Prometheus or
// OpenMetrics. Reading it counts the machines, which is a look at each.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true, MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	})
}
