// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// The styles of a terminal (ECMA-48, Select Graphic Rendition).
const (
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	green = "\x1b[32m"
	plain = "\x1b[0m"
)

// printer writes what a person reads. What it was told to keep secret it does not
// write, whoever asks.
type printer struct {
	mu      sync.Mutex
	out     io.Writer
	styled  bool
	step    int
	secrets []string
	leaked  bool
}

func newPrinter(out io.Writer, styled bool) *printer { return &printer{out: out, styled: styled} }

// Write writes as it is given, but for secrets.
func (p *printer) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clean := string(text)
	for _, secret := range p.secrets {
		if strings.Contains(clean, secret) {
			clean, p.leaked = strings.ReplaceAll(clean, secret, "[A KEY]"), true
		}
	}
	if _, err := io.WriteString(p.out, clean); err != nil {
		return 0, fmt.Errorf("print: %w", err)
	}
	return len(text), nil
}

// conceal has the secret not be written from now on.
func (p *printer) conceal(secret string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secrets = append(p.secrets, secret)
}

// hasLeaked reports whether anybody tried to write a secret.
func (p *printer) hasLeaked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leaked
}

func (p *printer) style(style, text string) string {
	if !p.styled {
		return text
	}
	return style + text + plain
}

func (p *printer) blank() { fmt.Fprintln(p) }

// say writes a sentence at the margin.
func (p *printer) say(text string) { fmt.Fprintln(p, text) }

// title begins a step.
func (p *printer) title(text string) {
	p.step++
	fmt.Fprintf(p, "\n%s\n", p.style(bold, fmt.Sprintf("%2d. %s", p.step, text)))
}

// command writes what a person would type.
func (p *printer) command(text string) { fmt.Fprintf(p, "    $ %s\n", text) }

// answer writes what came.
func (p *printer) answer(text string) {
	for line := range strings.Lines(strings.TrimSpace(text)) {
		fmt.Fprintf(p, "      %s\n", p.style(faint, strings.TrimRight(line, "\n")))
	}
}

// good says what was found to be right.
func (p *printer) good(text string) { fmt.Fprintf(p, "    %s\n", p.style(green, "ok: "+text)) }

// notes is for progress, which is less important.
func (p *printer) notes() io.Writer { return noteWriter{p} }

type noteWriter struct{ printer *printer }

func (w noteWriter) Write(text []byte) (int, error) {
	if _, err := io.WriteString(w.printer, w.printer.style(faint, strings.TrimSuffix(string(text), "\n"))+"\n"); err != nil {
		return 0, err
	}
	return len(text), nil
}
