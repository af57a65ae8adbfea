// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Case is one attack, or one harmless request that has to get through. The files of
// the corpus hold lists of them; corpus/README.md describes the format.
type Case struct {
	// ID names the case, uniquely.
	ID string `json:"id"`
	// Class is the kind of attack: the name of the file.
	Class string `json:"-"`
	// Why says what it tries, and which product fell for it.
	Why string `json:"why"`
	// Key is the one key in whose name the request may arrive, by the name of its
	// placeholder: KEY unless it says something else; none if it may not arrive at all.
	Key string `json:"key,omitempty"`
	// Expect is "legitimate" for what has to get through.
	Expect string `json:"expect,omitempty"`
	// Request is HTTP/1 as it is sent, and Then what is sent after the answer to it.
	Request string `json:"request,omitempty"`
	Then    string `json:"then,omitempty"`
	// HTTP2 is sent in place of it.
	HTTP2 *HTTP2 `json:"http2,omitempty"`
}

// HTTP2 is a request over HTTP/2, without TLS.
type HTTP2 struct {
	// Headers are all fields in their order, pseudo-headers among them.
	Headers  [][2]string `json:"headers"`
	Body     string      `json:"body,omitempty"`
	Trailers [][2]string `json:"trailers,omitempty"`
}

const (
	legitimate = "legitimate"
	nobody     = "none"
	defaultKey = "KEY"
)

// Load reads the corpus from the folder's files.
func Load(folder string) ([]*Case, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var cases []*Case
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var list []*Case
		if err := yaml.UnmarshalStrict(data, &list); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, c := range list {
			c.Class = strings.TrimSuffix(filepath.Base(file), ".yaml")
			if err := c.check(); err != nil {
				return nil, fmt.Errorf("%s: case %q: %w", file, c.ID, err)
			}
		}
		cases = append(cases, list...)
	}
	return cases, unique(cases)
}

func (c *Case) check() error {
	if c.Key == "" {
		c.Key = defaultKey
	}
	switch {
	case c.ID == "" || c.Why == "":
		return errors.New("id and why are required")
	case (c.Request == "") == (c.HTTP2 == nil):
		return errors.New("one of request and http2 is required")
	case c.Expect != "" && c.Expect != legitimate:
		return fmt.Errorf("expect %q: legitimate is all that can be expected", c.Expect)
	case c.Expect == legitimate && c.Key == nobody:
		return errors.New("legitimate in nobody's name")
	}
	for _, text := range c.texts() {
		if _, err := unescape(text); err != nil {
			return err
		}
	}
	return nil
}

// texts are all that can hold escapes and placeholders.
func (c *Case) texts() []string {
	texts := []string{c.Request, c.Then}
	if c.HTTP2 != nil {
		texts = append(texts, c.HTTP2.Body)
		for _, field := range slices.Concat(c.HTTP2.Headers, c.HTTP2.Trailers) {
			texts = append(texts, field[0], field[1])
		}
	}
	return texts
}

// unique finds cases with one name, or that send the same.
func unique(cases []*Case) error {
	ids, sent := map[string]bool{}, map[string]string{}
	for _, c := range cases {
		if ids[c.ID] {
			return fmt.Errorf("case %q is there twice", c.ID)
		}
		ids[c.ID] = true
		text := fmt.Sprintf("%q %q %+q", c.Request, c.Then, c.HTTP2)
		if other, ok := sent[text]; ok {
			return fmt.Errorf("cases %q and %q send the same", other, c.ID)
		}
		sent[text] = c.ID
	}
	return nil
}

// unescape reads \r \n \t \\ and \xNN.
func unescape(text string) (string, error) {
	var b bytes.Buffer
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			continue
		}
		if i++; i == len(text) {
			return "", errors.New(`\ at the end: write \\`)
		}
		switch text[i] {
		case 'r':
			b.WriteByte('\r')
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case '\\':
			b.WriteByte('\\')
		case 'x':
			var c byte
			if len(text) < i+3 {
				return "", errors.New(`\x is followed by two hex digits`)
			}
			if _, err := fmt.Sscanf(text[i+1:i+3], "%02x", &c); err != nil {
				return "", fmt.Errorf(`\x: %w`, err)
			}
			b.WriteByte(c)
			i += 2
		default:
			return "", fmt.Errorf(`\%c is not known: write \\`, text[i])
		}
	}
	return b.String(), nil
}

// expand makes the bytes to be sent: each end of line is CR LF, escapes are read, and
// values put in for placeholders. A text without an empty line is a header, and gets one.
func expand(text string, values map[string]string) string {
	text = strings.TrimSuffix(text, "\n")
	// A header of its own, unless how it ends is part of the case.
	if !strings.Contains(text, "\n\n") && !strings.Contains(text, `\n\r\n`) && !strings.HasSuffix(text, `\n`) {
		text += "\n\n"
	}
	return expandValue(strings.ReplaceAll(text, "\n", "\r\n"), values)
}

func expandValue(text string, values map[string]string) string {
	text, _ = unescape(text) // checked when it was loaded
	for {
		start := strings.Index(text, "${")
		if start < 0 {
			return text
		}
		end := start + strings.IndexByte(text[start:], '}')
		name := text[start+2 : end]
		value := values[name]
		if char, count, ok := strings.Cut(name, "*"); ok { // ${a*8000}
			var n int
			if _, err := fmt.Sscan(count, &n); err != nil {
				panic("placeholder " + name)
			}
			value = strings.Repeat(char, n)
		} else if value == "" {
			panic("no placeholder " + name)
		}
		text = text[:start] + value + text[end+1:]
	}
}
