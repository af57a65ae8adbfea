// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hexcovery/apikey-operator/internal/audit"
)

func parsed(t *testing.T, arguments ...string) *Options {
	t.Helper()
	o := &Options{Environment: func(string) string { return "" }}
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o.Bind(flags)
	if err := flags.Parse(arguments); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestATrailInAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	opened, err := parsed(t, "--audit-log", name).Open(t.Context(), "manager", prometheus.NewRegistry(), logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if err := opened.Recorder.Record(audit.Event{Action: audit.Minted}); err != nil {
		t.Fatal(err)
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil || bytes.Count(data, []byte("\n")) != 3 {
		t.Errorf("%s, %v", data, err)
	}
}

func TestWhatCannotBeOpenedIsSaidByItsFlag(t *testing.T) {
	for _, arguments := range [][]string{
		{"--audit-log", t.TempDir()},
		{"--audit-otlp-endpoint", "collector:4317"},
	} {
		if _, err := parsed(t, arguments...).Open(t.Context(), "manager", prometheus.NewRegistry(), logr.Discard()); err == nil {
			t.Errorf("%v: opened", arguments)
		}
	}
}

// A collector is asked for by the flag, or by the environment that every program with
// OpenTelemetry goes by.
func TestACollectorIsAskedFor(t *testing.T) {
	for name, want := range map[string]bool{"OTEL_EXPORTER_OTLP_ENDPOINT": true, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": true, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": false} {
		o := parsed(t)
		o.Environment = func(asked string) string {
			if asked == name {
				return "http://127.0.0.1:4318"
			}
			return ""
		}
		if o.exports() != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	if parsed(t).exports() || !parsed(t, "--audit-otlp-endpoint", "http://127.0.0.1:4318").exports() {
		t.Error("the flag")
	}
}
