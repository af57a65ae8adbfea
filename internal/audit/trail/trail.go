// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package trail opens the audit trail of a program: a file or standard output as its flag says, and the
// collector that the environment names.
package trail

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/audit/otlp"
)

// standardOutput is its name on a command line.
const standardOutput = "-"

// Flag adds --audit-log, the name of the file for Open.
func Flag(flags *flag.FlagSet) *string {
	return flags.String("audit-log", standardOutput, "`FILE` that the audit trail is appended to, opened anew when it was renamed; - is standard output")
}

// Open opens the audit trail of a program.
func Open(ctx context.Context, name, program string, registerer prometheus.Registerer, log logr.Logger) (*audit.Recorder, error) {
	options := []audit.Option{audit.WithProgram(program), audit.WithLog(log)}
	exporter, err := otlp.New(ctx, "apikey-"+program, log)
	switch {
	case err != nil:
		return nil, fmt.Errorf("export audit trail: %w", err)
	case exporter != nil:
		options = append(options, audit.WithExporter(exporter))
		if err := registerer.Register(exporter); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	var writer io.Writer = struct{ io.Writer }{os.Stdout} // not to be closed
	if name != standardOutput {
		if writer, err = audit.OpenFile(name); err != nil {
			return nil, fmt.Errorf("--audit-log: %w", err)
		}
	}
	recorder := audit.NewRecorder(writer, clock.RealClock{}, options...)
	if err := registerer.Register(recorder); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return recorder, nil
}
