// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package trail opens the audit trail of a program as its flags say: the file or
// standard output that lines go to, and the collector that gets copies.
package trail

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/audit/otlp"
)

// standardOutput is the name by which a command line means it.
const standardOutput = "-"

// closeTimeout is how long the end of a program waits for the collector.
const closeTimeout = 5 * time.Second

// Options are what the flags say.
type Options struct {
	// Log is the name of a file, or - for standard output.
	Log string
	// Collector is a URL; empty for what the environment says.
	Collector string
	// Environment is that of the process; os.Getenv unless it is set.
	Environment func(string) string
}

// Bind adds the flags.
func (o *Options) Bind(flags *flag.FlagSet) {
	flags.StringVar(&o.Log, "audit-log", standardOutput, "`FILE` that the audit trail is appended to, opened anew when it was renamed; - is standard output")
	flags.StringVar(&o.Collector, "audit-otlp-endpoint", "", "URL of an OpenTelemetry collector that gets a copy of each audit line, over OTLP/HTTP; by default that of OTEL_EXPORTER_OTLP_LOGS_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT, and none without these")
}

// Trail is an audit trail that is open.
type Trail struct {
	Recorder *audit.Recorder
	exporter *otlp.Exporter
}

// Open opens the audit trail of a program.
func (o *Options) Open(ctx context.Context, program string, registerer prometheus.Registerer, log logr.Logger) (*Trail, error) {
	var writer io.Writer = struct{ io.Writer }{os.Stdout} // not to be closed
	if o.Log != standardOutput {
		file, err := audit.OpenFile(o.Log)
		if err != nil {
			return nil, fmt.Errorf("--audit-log: %w", err)
		}
		writer = file
	}
	options := []audit.Option{audit.WithProgram(program), audit.WithLog(log)}
	t := &Trail{}
	if o.exports() {
		var err error
		t.exporter, err = otlp.New(ctx, otlp.Config{Endpoint: o.Collector, Program: "apikey-" + program, Log: log})
		if err != nil {
			return nil, fmt.Errorf("--audit-otlp-endpoint: %w", err)
		}
		options = append(options, audit.WithExporter(t.exporter))
		if err := registerer.Register(t.exporter); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	t.Recorder = audit.NewRecorder(writer, clock.RealClock{}, options...)
	if err := registerer.Register(t.Recorder); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return t, nil
}

// exports reports whether there is a collector.
func (o *Options) exports() bool {
	environment := o.Environment
	if environment == nil {
		environment = os.Getenv
	}
	return o.Collector != "" || environment("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT") != "" || environment("OTEL_EXPORTER_OTLP_ENDPOINT") != ""
}

// Close writes the last line, and sends the copies that wait, also if ctx is done. It
// waits for neither for longer than some seconds.
func (t *Trail) Close(ctx context.Context) error {
	err := t.Recorder.Close()
	if t.exporter != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, t.exporter.Shutdown(ctx))
	}
	return err
}
