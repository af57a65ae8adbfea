// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
)

// maxTail bounds, in lines, what the error message of a failed build has.
const maxTail = 20

// output is the standard error of "go build -v".
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(data)
}

// read counts the packages compiled and the modules downloaded, and returns the last of
// all other lines, those of a failure among them.
func (o *output) read() (progress, last string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var packages, modules int
	var others []string
	for line := range strings.SplitSeq(strings.TrimSpace(o.text.String()), "\n") {
		switch {
		case strings.HasPrefix(line, "go: downloading "):
			modules++
		case line != "" && !strings.ContainsAny(line, " \t"):
			packages++
		default:
			others = append(others, line)
		}
	}
	return fmt.Sprintf("%d packages compiled, %d modules downloaded", packages, modules),
		strings.Join(others[max(0, len(others)-maxTail):], "\n")
}
