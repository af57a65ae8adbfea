// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/hexcovery/apikey-operator/internal/keys"
)

// printed is what a command printed.
type printed struct{ stdout, stderr string }

func (p printed) String() string { return p.stdout + p.stderr }

// kubectl prints the command, runs it, and prints what it printed. It has to
// succeed, and to print each of the parts wanted.
func (w *walk) kubectl(ctx context.Context, line string, wanted ...string) error {
	w.out.command(line)
	output, err := w.run(ctx, line)
	w.out.answer(output.String())
	if err != nil {
		return &wrongAnswer{command: line, expected: "success", came: fmt.Sprintf("%s%v", output, err)}
	}
	for _, part := range wanted {
		if !strings.Contains(output.stdout, part) {
			return &wrongAnswer{command: line, expected: fmt.Sprintf("%q in what it prints", part), came: output.String()}
		}
	}
	return nil
}

// kubectlFails is like kubectl, but the command has to fail, with an error that
// has the part wanted.
func (w *walk) kubectlFails(ctx context.Context, line, wanted string) error {
	w.out.command(line)
	output, err := w.run(ctx, line)
	w.out.answer(output.String())
	if err == nil || !strings.Contains(output.stderr, wanted) {
		return &wrongAnswer{command: line, expected: fmt.Sprintf("an error with %q", wanted), came: output.String()}
	}
	return nil
}

// readKey runs the command that a person would type to have the key in a variable.
// What kubectl prints is the key, and not shown.
func (w *walk) readKey(ctx context.Context, variable, namespace, secret string) (credential, error) {
	const entry = `'{{index .data "api-key" | base64decode}}'`
	line := fmt.Sprintf("kubectl get secret %s -n %s -o go-template=%s", secret, namespace, entry)
	w.out.command(fmt.Sprintf(`export %s="$(%s)"`, variable, line))
	output, err := w.run(ctx, line)
	if err != nil {
		return credential{}, &wrongAnswer{command: line, expected: "a key", came: output.stderr}
	}
	if _, err := keys.Parse(output.stdout); err != nil {
		return credential{}, &wrongAnswer{command: line, expected: "a key", came: err.Error()}
	}
	w.out.conceal(output.stdout)
	return credential{variable: variable, value: output.stdout}, nil
}

// run runs a line that begins with kubectl.
func (w *walk) run(ctx context.Context, line string) (printed, error) {
	var stdout, stderr bytes.Buffer
	cmd := w.product.ControlPlane.Kubectl(ctx, words(line)[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	return printed{stdout: stdout.String(), stderr: stderr.String()}, err
}

// words splits a command line as a shell would, as far as this program's own lines
// need it: at spaces that are not between single quotes.
func words(line string) []string {
	var all []string
	var word strings.Builder
	inQuotes := false
	for _, c := range line {
		switch {
		case c == '\'':
			inQuotes = !inQuotes
		case c == ' ' && !inQuotes:
			all = append(all, word.String())
			word.Reset()
		default:
			word.WriteRune(c)
		}
	}
	return append(all, word.String())
}

// quoted quotes for a shell.
func quoted(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
