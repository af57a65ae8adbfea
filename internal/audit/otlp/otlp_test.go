// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/internal/audit"
)

// collector is an OTLP receiver that keeps what it gets.
type collector struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*collogs.ExportLogsServiceRequest
	headers  []http.Header
	paths    []string
	// status is answered, once it is not 0.
	status int
	// hold, while it is open, keeps requests waiting.
	hold chan struct{}
}

func startCollector(t testing.TB) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	data, err := io.ReadAll(body)
	request := &collogs.ExportLogsServiceRequest{}
	if err != nil || proto.Unmarshal(data, request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if c.hold != nil {
		<-c.hold
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status != 0 {
		w.WriteHeader(c.status)
		return
	}
	c.requests = append(c.requests, request)
	c.headers, c.paths = append(c.headers, r.Header), append(c.paths, r.URL.Path)
	answer, _ := proto.Marshal(&collogs.ExportLogsServiceResponse{})
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(answer)
}

// bodies are the lines that the collector got, and attributes those of the last with a user.
func (c *collector) bodies() (lines []string, attributes map[string]string, service string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, request := range c.requests {
		for _, resource := range request.GetResourceLogs() {
			for _, attribute := range resource.GetResource().GetAttributes() {
				if attribute.GetKey() == "service.name" {
					service = attribute.GetValue().GetStringValue()
				}
			}
			for _, records := range resource.GetScopeLogs() {
				for _, record := range records.GetLogRecords() {
					lines = append(lines, record.GetBody().GetStringValue())
					found := map[string]string{}
					for _, attribute := range record.GetAttributes() {
						found[attribute.GetKey()] = attribute.GetValue().GetStringValue()
					}
					if found["user.name"] != "" {
						attributes = found
					}
				}
			}
		}
	}
	return lines, attributes, service
}

func count(t testing.TB, registry *prometheus.Registry, result string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if metric.GetLabel()[0].GetValue() == result {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return -1
}

// start starts an Exporter to a collector.
func start(t testing.TB, c *collector, registry *prometheus.Registry) *Exporter {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	exporter, err := New(t.Context(), "apikey-manager", logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	registry.MustRegister(exporter)
	return exporter
}

func TestTheCollectorHasTheTrailByteForByte(t *testing.T) {
	c := startCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=of-the-collector")
	registry := prometheus.NewRegistry()
	var out bytes.Buffer
	recorder := audit.NewRecorder(&out, clock.RealClock{}, audit.WithExporter(start(t, c, registry)))
	const events = 2000
	for range events {
		if err := recorder.Record(audit.Event{
			Action: audit.Minted, Object: audit.Object{Namespace: "team", Name: "agent"}, Organization: "acme", KeyID: "0123456789ab",
			Actor: audit.Actor{Kind: audit.ActorUser, Name: "erin"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	lines, attributes, service := c.bodies()
	if got := strings.Join(lines, "\n") + "\n"; got != out.String() {
		t.Errorf("%d lines came, and they are not those that were written", len(lines))
	}
	if service != "apikey-manager" || attributes["user.name"] != "erin" || attributes["hexcovery.key.id"] != "0123456789ab" || attributes["hexcovery.audit.action"] != "Minted" {
		t.Errorf("%q, %v", service, attributes)
	}
	if c.paths[0] != "/v1/logs" || c.headers[0].Get("X-Api-Key") != "of-the-collector" {
		t.Errorf("%v, %v", c.paths[0], c.headers[0])
	}
	if n := count(t, registry, exported); n != events+2 {
		t.Errorf("%v exported", n)
	}
}

// A collector that hangs makes nobody wait: what is too much is dropped, and counted.
func TestACollectorThatHangsHoldsNothingUp(t *testing.T) {
	c := startCollector(t)
	c.hold = make(chan struct{})
	registry := prometheus.NewRegistry()
	exporter := start(t, c, registry)
	const events = 3 * maxWaiting
	begin := time.Now()
	for range events {
		exporter.Export(audit.Line{}, "a")
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("%v", took)
	}
	if n := count(t, registry, dropped); n != events-maxWaiting {
		t.Errorf("%v were dropped at once, want %d", n, events-maxWaiting)
	}
	if err := exporter.Close(); err == nil {
		t.Error("an end that sent nothing is no error")
	}
	close(c.hold)
	exporter.Export(audit.Line{}, "late")
	if n := count(t, registry, dropped) + count(t, registry, failed) + count(t, registry, exported); n < events+1 {
		t.Errorf("%v of %d are accounted for", n, events+1)
	}
}

func TestWhatACollectorRefusesIsCounted(t *testing.T) {
	c := startCollector(t)
	c.status = http.StatusForbidden
	registry := prometheus.NewRegistry()
	exporter := start(t, c, registry)
	for range 3 {
		exporter.Export(audit.Line{}, "a")
	}
	if err := exporter.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, registry, failed); n != 3 {
		t.Errorf("%v failed", n)
	}
}

func TestTheEnvironmentNamesTheCollector(t *testing.T) {
	for text, want := range map[string]bool{
		"http://collector:4318":           true,
		"https://collector/":              true,
		"collector:4318":                  false,
		"grpc://collector:4317":           false,
		"http://":                         false,
		"https://user:password@collector": false,
	} {
		for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"} {
			t.Run(name+"="+text, func(t *testing.T) {
				t.Setenv(name, text)
				exporter, err := New(t.Context(), "p", logr.Discard())
				if (exporter != nil) != want || (err == nil) != want {
					t.Errorf("%v, %v", exporter, err)
				}
				if err != nil && strings.Contains(err.Error(), "password") {
					t.Error(err)
				}
			})
		}
	}
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318")
	if exporter, err := New(t.Context(), "p", logr.Discard()); exporter != nil || err != nil {
		t.Errorf("none is named: %v, %v", exporter, err)
	}
}
