// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// Case is one attack, or one harmless request that has to get through. The files of
// the corpus hold lists of them; corpus/README.md describes the format.
type Case struct {
	// ID names the case, uniquely.
	ID string `json:"id"`
	// Class is the kind of attack: the name of the file. What is legitimate has to get through.
	Class string `json:"-"`
	// Why says what it tries, and which product fell for it.
	Why string `json:"why"`
	// Key is the one key in whose name the request may arrive, by the name of its
	// placeholder: KEY unless it says something else; none if it may not arrive at all.
	Key string `json:"key,omitempty"`
	// Request is HTTP/1 as it is sent, but for placeholders, and Then what is sent after
	// the answer to it.
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
	legitimate = "legitimate" // a class
	nobody     = "none"       // a key
)

// Load reads the corpus from the folder's files.
func Load(folder string) ([]*Case, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var cases []*Case
	seen := map[string]string{}
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
			if err := c.complete(seen); err != nil {
				return nil, fmt.Errorf("%s: case %q: %w", file, c.ID, err)
			}
		}
		cases = append(cases, list...)
	}
	return cases, nil
}

// complete makes what is written what is meant, and checks it. Neither an ID nor what is
// sent may have been seen.
func (c *Case) complete(seen map[string]string) error {
	c.Key = cmp.Or(c.Key, "KEY")
	switch {
	case c.ID == "" || c.Why == "":
		return errors.New("id and why are required")
	case (c.Request == "") == (c.HTTP2 == nil):
		return errors.New("one of request and http2 is required")
	case c.Class == legitimate && c.Key == nobody:
		return errors.New("legitimate in nobody's name")
	}
	c.Request, c.Then = crlf(c.Request), crlf(c.Then)
	for _, text := range c.texts() {
		// \r \n \t \\ \xNN, and what else Go has.
		unescaped, err := strconv.Unquote(`"` + strings.NewReplacer("\n", `\n`, `"`, `\"`).Replace(*text) + `"`)
		if err != nil {
			return fmt.Errorf(`an escape is not known, or a \ not written \\: %q`, *text)
		}
		*text = unescaped
	}
	for _, unique := range []string{c.ID, fmt.Sprintf("%q %q %+q", c.Request, c.Then, c.HTTP2)} {
		if other, ok := seen[unique]; ok {
			return fmt.Errorf("it is case %q once more", other)
		}
		seen[unique] = c.ID
	}
	return nil
}

// crlf ends each line with CR LF. A text without an empty line is a header, and gets one,
// unless how it ends is part of the case.
func crlf(text string) string {
	text = strings.TrimSuffix(text, "\n")
	if text != "" && !strings.Contains(text, "\n\n") && !strings.Contains(text, `\n\r\n`) && !strings.HasSuffix(text, `\n`) {
		text += "\n\n"
	}
	return strings.ReplaceAll(text, "\n", "\r\n")
}

// texts are all that can hold escapes and placeholders.
func (c *Case) texts() []*string {
	texts := []*string{&c.Request, &c.Then}
	if c.HTTP2 != nil {
		texts = append(texts, &c.HTTP2.Body)
		for _, fields := range [][][2]string{c.HTTP2.Headers, c.HTTP2.Trailers} {
			for i := range fields {
				texts = append(texts, &fields[i][0], &fields[i][1])
			}
		}
	}
	return texts
}

// fill puts keys in for placeholders, which have their names.
func fill(text string, keys map[string]string) string {
	return os.Expand(text, func(name string) string {
		if key, ok := keys[name]; ok {
			return key
		}
		letter, count, _ := strings.Cut(name, "*") // ${a*8000}
		n, err := strconv.Atoi(count)
		if err != nil {
			panic("no placeholder " + name)
		}
		return strings.Repeat(letter, n)
	})
}
