// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package readings

import (
	"iter"
	"path"
	"strings"
)

// steps are what servers do to a path before they look at it.
var steps = []func(string) string{
	Decode,
	turnBackslashes,
	dropParameters,
	mergeSlashes,
	before("\x00"),
	before("#"),
	before("?"),
	func(p string) string {
		if strings.HasPrefix(p, "/") {
			p, _ = dotSegments(p)
		}
		return p
	},
	strings.ToLower,
	overlong.Replace,
	func(p string) string { return strings.TrimRight(p, ". ") }, // as on Windows
}

// maxReadings bounds the search; a path with more is no plain one.
const maxReadings = 400

// All are the paths that a target can be read as, beginning with the one that was sent:
// all that can be made of it by these steps in any order, any number of times.
func All(target string) iter.Seq[string] {
	return func(yield func(string) bool) {
		found := []string{before("?")(target)}
		seen := map[string]bool{found[0]: true}
		for i := 0; i < len(found) && i < maxReadings; i++ {
			if !yield(found[i]) {
				return
			}
			for _, step := range steps {
				if p := step(found[i]); !seen[p] {
					seen[p] = true
					found = append(found, p)
				}
			}
		}
	}
}

// Cleaned is the one plain path that can be made of a target by the steps that careful
// servers take before they compare it.
func Cleaned(target string) string {
	p := before("?")(target)
	for range 2 {
		p = Decode(p)
	}
	p = iisEscape.ReplaceAllStringFunc(p, func(s string) string { return Decode("%" + s[len("%u00"):]) })
	p = turnBackslashes(overlong.Replace(p))
	p = dropParameters(before("\x00#?")(p))
	p = controls.ReplaceAllString(p, "")
	return path.Clean("/" + strings.TrimRight(p, "./ \u00a0"))
}
