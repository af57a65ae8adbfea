// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hexcovery/apikey-operator/internal/audit"
)

// open opens a trail as the arguments say.
func open(t *testing.T, arguments ...string) (*audit.Recorder, error) {
	t.Helper()
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	name := Flag(flags)
	if err := flags.Parse(arguments); err != nil {
		t.Fatal(err)
	}
	return Open(t.Context(), *name, "manager", prometheus.NewRegistry(), logr.Discard())
}

func TestATrailInAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	recorder, err := open(t, "--audit-log", name)
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Record(audit.Event{Action: audit.Minted}); err != nil {
		t.Fatal(err)
	}
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil || bytes.Count(data, []byte("\n")) != 3 {
		t.Errorf("%s, %v", data, err)
	}
}

func TestWhatCannotBeOpenedIsSaidByItsName(t *testing.T) {
	if _, err := open(t, "--audit-log", t.TempDir()); err == nil || !strings.Contains(err.Error(), "--audit-log") {
		t.Error(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")
	if _, err := open(t); err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_ENDPOINT") {
		t.Error(err)
	}
}

// The copies are sent before Close returns.
func TestTheEnvironmentNamesACollector(t *testing.T) {
	var requests atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	t.Cleanup(collector.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	recorder, err := open(t, "--audit-log", filepath.Join(t.TempDir(), "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Record(audit.Event{Action: audit.Minted}); err != nil {
		t.Fatal(err)
	}
	if err := recorder.Close(); err != nil || requests.Load() == 0 {
		t.Errorf("%v, %d requests", err, requests.Load())
	}
}
