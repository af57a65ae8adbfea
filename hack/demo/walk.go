// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/hexcovery/apikey-operator/hack/stack"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// stepTimeout bounds one step. The longest takes some seconds.
const stepTimeout = time.Minute

// life is what is shown and checked. Its head says how it is written.
//
//go:embed life.txt
var life string

// headers are what curl -i prints between the status and the body.
var headers = regexp.MustCompile(`(?s)\r\n.*?\r\n\r\n`)

// walk goes through the life of a key.
type walk struct {
	out     io.Writer
	product *stack.Stack
	// dir and environment are where commands are run.
	dir         string
	environment []string
	// keys are what was exported, by variable. None is to be printed; leaked is set
	// when one was about to be.
	keys   map[string]string
	leaked error
	// command is the last one, and answer what it printed between began and ended.
	command, answer string
	began, ended    time.Time
	probe           *stack.Probe
}

func (w *walk) walk(ctx context.Context) error {
	paragraphs := strings.Split(strings.TrimSpace(life), "\n\n")
	steps, trouble := paragraphs[1:len(paragraphs)-1], paragraphs[len(paragraphs)-1]
	for i, step := range steps {
		if err := w.step(ctx, fmt.Sprintf("%2d. %s", i+1, step)); err != nil {
			if ctx.Err() == nil {
				_ = w.step(ctx, trouble) // What else is wrong, it prints.
			}
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// step makes one step, in a bounded time.
func (w *walk) step(ctx context.Context, step string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stepTimeout, fmt.Errorf("it took more than %s", stepTimeout))
	defer cancel()
	title, lines, _ := strings.Cut(step, "\n")
	w.say("\n" + title)
	for line := range strings.Lines(lines) {
		if err := errors.Join(w.do(ctx, strings.TrimSpace(line)), w.leaked); err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
	}
	return nil
}

// do does what a line says.
func (w *walk) do(ctx context.Context, line string) error {
	sign, rest, _ := strings.Cut(line, " ")
	switch sign {
	case "$", "!":
		return w.run(ctx, rest, sign == "!")
	case "+", "-":
		if strings.Contains(w.answer, rest) != (sign == "+") {
			return w.wrong(line)
		}
	case "&":
		return w.startProbe(ctx, w.keys[rest])
	case "wait":
		return w.awaitRefusals()
	default:
		w.say("    " + line)
	}
	return nil
}

// run prints a command, has a shell run it, and prints the answer. What is exported is
// kept, and not printed.
func (w *walk) run(ctx context.Context, command string, mustFail bool) error {
	w.say("    $ " + command)
	script := command
	assignment, exports := strings.CutPrefix(command, "export ")
	variable, _, _ := strings.Cut(assignment, "=")
	if exports {
		script = assignment + ` && printf %s "$` + variable + `"`
	}
	shell := exec.CommandContext(ctx, "sh", "-c", script)
	shell.Dir, shell.Env = w.dir, w.environment
	shell.WaitDelay = time.Second // What it has started may outlive it.
	w.command, w.answer, w.began = command, "", time.Now()
	output, err := shell.CombinedOutput()
	w.ended = time.Now()
	if exports && err == nil {
		return w.export(variable, string(output))
	}
	w.answer = strings.TrimSpace(headers.ReplaceAllString(string(output), "\n"))
	if w.answer != "" {
		w.say("      " + strings.ReplaceAll(w.answer, "\n", "\n      "))
	}
	if failed := err != nil; failed != mustFail {
		return errors.Join(w.wrong(map[bool]string{false: "success", true: "a failure"}[mustFail]), err)
	}
	return nil
}

// export keeps a key for the commands to come.
func (w *walk) export(variable, key string) error {
	if _, err := keys.Parse(key); err != nil {
		return w.wrong(fmt.Sprintf("a key (%v)", err))
	}
	w.keys[variable] = key
	w.environment = append(w.environment, variable+"="+key)
	return nil
}

// wrong is the error about an answer that is not as expected.
func (w *walk) wrong(expected string) error {
	return errors.New(w.clean(fmt.Sprintf("a wrong answer to\n%s\nexpected:\n%s\ncame:\n%s", w.command, expected, w.answer)))
}

// say prints a line, but for keys.
func (w *walk) say(line string) { fmt.Fprintln(w.out, w.clean(line)) }

// clean takes keys out of a text.
func (w *walk) clean(text string) string {
	for _, key := range w.keys {
		if strings.Contains(text, key) {
			text, w.leaked = strings.ReplaceAll(text, key, "[A KEY]"), errors.New("a key was about to be printed")
		}
	}
	return text
}
