// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package recorder

import (
	"fmt"
	"maps"
	"slices"
)

// Tally is what has arrived from a stream: the senders of each item, by its number.
type Tally map[int64][]Sender

// Twice are the numbers that arrived more than once, in order.
func (t Tally) Twice() (numbers []int64) {
	for _, number := range slices.Sorted(maps.Keys(t)) {
		if len(t[number]) > 1 {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// Missing are those of the numbers that have not arrived.
func (t Tally) Missing(sent []int64) []int64 {
	return slices.DeleteFunc(slices.Clone(sent), func(number int64) bool { return t[number] != nil })
}

// BySender is how often an item arrived, by who it was said to be from.
func (t Tally) BySender() map[Sender]int {
	counts := map[Sender]int{}
	for _, senders := range t {
		for _, sender := range senders {
			counts[sender]++
		}
	}
	return counts
}

// Organizations are those whose items arrived, in order.
func (t Tally) Organizations() (all []string) {
	for sender := range t.BySender() {
		all = append(all, sender.Organization)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// String is for messages.
func (t Tally) String() string {
	highest := slices.Max(append(slices.Collect(maps.Keys(t)), 0))
	return fmt.Sprintf("%d items up to number %d, %d more than once, from %v", len(t), highest, len(t.Twice()), t.BySender())
}
