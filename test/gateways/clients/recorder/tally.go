// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package recorder

import (
	"fmt"
	"maps"
	"slices"
)

// Tally sums up what has arrived from a stream.
type Tally struct {
	// Distinct is how many items arrived, each counted once.
	Distinct int
	// Highest is the highest number among them.
	Highest int64
	// Twice are the numbers that arrived more than once, in order.
	Twice []int64
	// BySender is how often an item arrived, by who it was said to be from.
	BySender map[Sender]int

	arrived map[int64][]Sender
}

// tallyOf copies: the arrivals go on.
func tallyOf(arrivals map[int64][]Sender) Tally {
	t := Tally{Distinct: len(arrivals), BySender: map[Sender]int{}, arrived: make(map[int64][]Sender, len(arrivals))}
	for number, senders := range arrivals {
		t.arrived[number] = slices.Clone(senders)
		t.Highest = max(t.Highest, number)
		if len(senders) > 1 {
			t.Twice = append(t.Twice, number)
		}
		for _, sender := range senders {
			t.BySender[sender]++
		}
	}
	slices.Sort(t.Twice)
	return t
}

// Missing are those of the numbers that have not arrived.
func (t Tally) Missing(sent []int64) []int64 {
	var missing []int64
	for _, number := range sent {
		if _, ok := t.arrived[number]; !ok {
			missing = append(missing, number)
		}
	}
	return missing
}

// From is how often an item arrived with this key.
func (t Tally) From(key string) int {
	sum := 0
	for sender, count := range t.BySender {
		if sender.Key == key {
			sum += count
		}
	}
	return sum
}

// Organizations are those whose items arrived, in order.
func (t Tally) Organizations() []string {
	organizations := map[string]bool{}
	for sender := range t.BySender {
		organizations[sender.Organization] = true
	}
	return slices.Sorted(maps.Keys(organizations))
}

// String is for messages.
func (t Tally) String() string {
	return fmt.Sprintf("%d items up to number %d, %d more than once, from %v", t.Distinct, t.Highest, len(t.Twice), t.BySender)
}
