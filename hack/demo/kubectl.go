// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// kubectl prints the command, runs it, and prints what it printed. It has to
// succeed, and to print each of the parts wanted.
func (w *walk) kubectl(ctx context.Context, line string, wanted ...string) error {
	w.out.command(line)
	output, err := w.output(ctx, line)
	w.out.answer(output)
	if err != nil {
		return &wrongAnswer{command: line, expected: "success", came: output + err.Error()}
	}
	for _, part := range wanted {
		if !strings.Contains(output, part) {
			return &wrongAnswer{command: line, expected: fmt.Sprintf("%q in what it prints", part), came: output}
		}
	}
	return nil
}

// kubectlFails is like kubectl, but the command has to fail, with an error that
// has the part wanted.
func (w *walk) kubectlFails(ctx context.Context, line, wanted string) error {
	w.out.command(line)
	output, err := w.output(ctx, line)
	if err == nil {
		w.out.answer(output)
		return &wrongAnswer{command: line, expected: fmt.Sprintf("an error with %q", wanted), came: output}
	}
	w.out.answer(err.Error())
	if !strings.Contains(err.Error(), wanted) {
		return &wrongAnswer{command: line, expected: fmt.Sprintf("an error with %q", wanted), came: err.Error()}
	}
	return nil
}

// readKey runs the command that a person would type to have the key in a variable.
// What kubectl prints is the key, and not shown.
func (w *walk) readKey(ctx context.Context, variable, namespace, secret string) (credential, error) {
	const entry = `'{{index .data "api-key" | base64decode}}'`
	line := fmt.Sprintf("kubectl get secret %s -n %s -o go-template=%s", secret, namespace, entry)
	w.out.command(fmt.Sprintf(`export %s="$(%s)"`, variable, line))
	output, err := w.output(ctx, line)
	if err != nil {
		return credential{}, &wrongAnswer{command: line, expected: "a key", came: err.Error()}
	}
	w.out.conceal(output)
	return credential{variable: variable, value: output}, nil
}

// output runs a line that begins with kubectl, and returns its standard output. An
// error has its standard error.
func (w *walk) output(ctx context.Context, line string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := w.product.ControlPlane.Kubectl(ctx, words(line)[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s (%w)", bytes.TrimSpace(stderr.Bytes()), err)
	}
	return stdout.String(), nil
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
