// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
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

// bodies are the lines that the collector got, and attributes those of the last.
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
					attributes = map[string]string{}
					for _, attribute := range record.GetAttributes() {
						attributes[attribute.GetKey()] = attribute.GetValue().GetStringValue()
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

// lineCounter is written to by the goroutine of a Recorder, for which nobody waits where
// it is slow. whole is closed when it has all lines that are wanted.
type lineCounter struct {
	bytes.Buffer
	want  int
	whole chan struct{}
}

func (c *lineCounter) Write(p []byte) (int, error) {
	n, err := c.Buffer.Write(p)
	if c.want -= bytes.Count(p, []byte("\n")); c.want == 0 {
		close(c.whole)
	}
	return n, err
}

func TestTheCollectorHasTheTrailByteForByte(t *testing.T) {
	c := startCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=of-the-collector")
	registry := prometheus.NewRegistry()
	exporter, err := New(t.Context(), Config{Endpoint: c.URL, Program: "apikey-manager", Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	registry.MustRegister(exporter)
	const events = 2000
	out := &lineCounter{want: events + 1, whole: make(chan struct{})}
	recorder := audit.NewRecorder(out, clock.RealClock{}, audit.WithExporter(exporter))
	for range events {
		if err := recorder.Record(audit.Event{
			Action: audit.Minted, Object: audit.Object{Namespace: "team", Name: "agent"}, Organization: "acme", KeyID: "0123456789ab",
			Actor: audit.Actor{Kind: audit.ActorUser, Name: "erin"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	<-out.whole
	if err := exporter.Shutdown(t.Context()); err != nil {
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
	if n := count(t, registry, exported); n != events+1 {
		t.Errorf("%v exported", n)
	}
	verifier := audit.NewVerifier(audit.VerifierOptions{Report: func(d audit.Defect) { t.Error(d) }})
	if err := verifier.Read("copy", strings.NewReader(strings.Join(lines, "\n"))); err != nil {
		t.Fatal(err)
	}
	verifier.Finish()
}

func TestTheEnvironmentNamesTheCollector(t *testing.T) {
	c := startCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	exporter, err := New(t.Context(), Config{Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	exporter.Export(audit.Copy{Line: "a"})
	if err := exporter.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lines, _, _ := c.bodies(); len(lines) != 1 {
		t.Errorf("%v", lines)
	}
}

// A collector that hangs makes nobody wait: what is too much is dropped, and counted.
func TestACollectorThatHangsHoldsNothingUp(t *testing.T) {
	c := startCollector(t)
	c.hold = make(chan struct{})
	registry := prometheus.NewRegistry()
	exporter, err := New(t.Context(), Config{Endpoint: c.URL, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	registry.MustRegister(exporter)
	const events = 3 * maxWaiting
	begin := time.Now()
	for range events {
		exporter.Export(audit.Copy{Line: "a"})
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("%v", took)
	}
	if n := count(t, registry, dropped); n != events-maxWaiting {
		t.Errorf("%v were dropped at once, want %d", n, events-maxWaiting)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := exporter.Shutdown(ctx); err == nil {
		t.Error("a shutdown that sent nothing is no error")
	}
	close(c.hold)
	exporter.Export(audit.Copy{Line: "late"})
	if n := count(t, registry, dropped) + count(t, registry, failed) + count(t, registry, exported); n < events+1 {
		t.Errorf("%v of %d are accounted for", n, events+1)
	}
}

func TestWhatACollectorRefusesIsCounted(t *testing.T) {
	c := startCollector(t)
	c.status = http.StatusForbidden
	registry := prometheus.NewRegistry()
	exporter, err := New(t.Context(), Config{Endpoint: c.URL, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	registry.MustRegister(exporter)
	for range 3 {
		exporter.Export(audit.Copy{Line: "a"})
	}
	if err := exporter.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, registry, failed); n != 3 {
		t.Errorf("%v failed", n)
	}
}

func TestACollectorIsAURL(t *testing.T) {
	for text, want := range map[string]string{
		"http://collector:4318":           "http://collector:4318/v1/logs",
		"https://collector/":              "https://collector/v1/logs",
		"https://collector/otlp/v1/logs":  "https://collector/otlp/v1/logs",
		"collector:4318":                  "",
		"grpc://collector:4317":           "",
		"http://":                         "",
		"https://user:password@collector": "",
	} {
		got, err := parseEndpoint(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "password@") {
			t.Error(err)
		}
	}
}
