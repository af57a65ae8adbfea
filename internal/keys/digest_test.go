// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"errors"
	"strings"
	"testing"
)

func TestDigestIsWrittenAndReadInOneSpelling(t *testing.T) {
	d := mintOf(t, counting(0)).Digest()
	text := d.String()
	if len(text) != 64 || text != strings.ToLower(text) {
		t.Errorf("String is %q", text)
	}
	if d.KeyID() != text[:12] {
		t.Errorf("KeyID is %q of %q", d.KeyID(), text)
	}
	if KeyIDOf(text) != d.KeyID() || KeyIDOf(text[:3]) != text[:3] {
		t.Errorf("KeyIDOf: %q, and %q of three digits", KeyIDOf(text), KeyIDOf(text[:3]))
	}
	if back, err := ParseDigest(text); err != nil || back != d {
		t.Errorf("ParseDigest: %v, %v", back, err)
	}
}

func TestParseDigestRefuses(t *testing.T) {
	valid := strings.Repeat("0123456789abcdef", 4)
	for name, text := range map[string]string{
		"empty":           "",
		"a digit less":    valid[1:],
		"a digit more":    valid + "0",
		"upper case":      strings.ToUpper(valid),
		"one upper case":  valid[:63] + "F",
		"not hexadecimal": valid[:63] + "g",
		"blank":           " " + valid[1:],
		"prefixed":        "0x" + valid[2:],
		"a key":           textOf(mintOf(t, counting(0))),
		"a padded key":    textOf(mintOf(t, counting(0))) + strings.Repeat("0", 11),
	} {
		d, err := ParseDigest(text)
		if !errors.Is(err, ErrDigest) || d != (Digest{}) {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
}
