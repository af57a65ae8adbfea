// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/plain"
)

// standardInput is the name by which a command line means it.
const standardInput = "-"

func auditVerify(arguments []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	options := audit.VerifierOptions{Report: func(d audit.Defect) { fmt.Fprintln(stdout, d) }}
	flags := flag.NewFlagSet("kubectl apikey audit verify", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&options.Partial, "partial", false, "permit chains without their beginning, as in a rotated file without its predecessors")
	flags.BoolVar(&options.Closed, "closed", false,
		"require each chain to end with Stopped, as after a graceful stop; without it, lines missing at its end are not detected")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: kubectl apikey audit verify [flags] FILE...\n"+
			"Verifies audit lines, and the OTLP JSON lines of an OpenTelemetry collector's file exporter, in any order\n"+
			"and with repetitions; - is standard input. Exits with 0 if nothing is wrong, also where a chain has known gaps,\n"+
			"1 if something is wrong, and 2 if the files could not be read.")
		flags.PrintDefaults()
	}
	if err := flags.Parse(arguments); err != nil {
		return exitUsage, err
	}
	if flags.NArg() == 0 {
		return exitUsage, errors.New("name the files to verify; - is standard input")
	}
	verifier := audit.NewVerifier(options)
	for _, name := range flags.Args() {
		if err := verifyFile(verifier, name, stdin); err != nil {
			return exitUsage, err
		}
	}
	return printSummary(stdout, verifier.Finish()), nil
}

func verifyFile(verifier *audit.Verifier, name string, stdin io.Reader) error {
	if name == standardInput {
		return verifier.Read(name, stdin)
	}
	file, err := os.Open(name) //nolint:gosec // The command line names it.
	if err != nil {
		return fmt.Errorf("open audit trail: %w", err)
	}
	defer file.Close()
	return verifier.Read(name, file)
}

// printSummary says what was verified, and returns what to exit with.
func printSummary(output io.Writer, summary audit.Summary) int {
	for _, c := range summary.Chains {
		end := "open: lines missing at its end are not detected"
		if c.Closed {
			end = "closed"
		}
		fmt.Fprintf(output, "chain %s: %d lines, the last is %d with hash %s; %s\n", plain.Text(c.Process), c.Lines, c.Sequence, plain.Text(c.Hash), end)
	}
	fmt.Fprintf(output, "%d lines in %d chains: %d defects, %d known gaps\n", summary.Lines, len(summary.Chains), summary.Defects, summary.Gaps)
	if summary.Pieces > 0 {
		fmt.Fprintf(output, "%d lines are pieces of a line: a write ended in its middle\n", summary.Pieces)
	}
	if summary.Defects > 0 {
		return exitDefect
	}
	return exitOK
}
