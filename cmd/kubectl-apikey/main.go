// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-apikey helps people with API keys. In the PATH it is a plugin of
// kubectl, and is called as kubectl apikey.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// What the program exits with.
const (
	exitOK     = 0
	exitDefect = 1
	exitUsage  = 2
)

// command is what one subcommand does with the arguments after it.
type command struct {
	words []string
	about string
	run   func(arguments []string, stdin io.Reader, stdout, stderr io.Writer) (int, error)
}

func commands() []command {
	return []command{
		{words: []string{"audit", "verify"}, about: "check that no line of an audit trail was deleted, altered or replaced", run: auditVerify},
	}
}

func main() {
	code, err := execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintf(os.Stderr, "kubectl-apikey: %v\n", err)
	}
	os.Exit(code)
}

// execute does what the command line says, and returns what to exit with.
func execute(arguments []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	for _, c := range commands() {
		if !begins(arguments, c.words) {
			continue
		}
		code, err := c.run(arguments[len(c.words):], stdin, stdout, stderr)
		if errors.Is(err, flag.ErrHelp) {
			return exitOK, nil
		}
		return code, err
	}
	usage(stderr)
	if len(arguments) == 0 || arguments[0] == "help" || arguments[0] == "-h" || arguments[0] == "--help" {
		return exitOK, nil
	}
	return exitUsage, fmt.Errorf("no command %q", arguments[0])
}

func begins(arguments, words []string) bool {
	if len(arguments) < len(words) {
		return false
	}
	for i, word := range words {
		if arguments[i] != word {
			return false
		}
	}
	return true
}

func usage(output io.Writer) {
	fmt.Fprintln(output, "usage: kubectl apikey COMMAND [flags] [arguments]; COMMAND --help has more")
	for _, c := range commands() {
		fmt.Fprintf(output, "  %s %s: %s\n", c.words[0], c.words[1], c.about)
	}
}
