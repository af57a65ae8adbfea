// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// NoAnswer is the status of a request that got none: the connection was refused, or
// broke.
const NoAnswer = 0

// Answer is what one auth server answered to one request.
type Answer struct {
	// Replica is the auth server's name.
	Replica string
	// Sent is before the first byte was written, and Received after the last was
	// read.
	Sent, Received time.Time
	// Status is that of HTTP, or NoAnswer.
	Status int
}

// Counts are how many answers there were.
type Counts struct {
	Accepted, Refused, Undecided, None int
	// Late are those that took longer than a second: the replica was frozen.
	Late int
}

// Total is the number of requests.
func (c Counts) Total() int { return c.Accepted + c.Refused + c.Undecided + c.None }

// Ledger collects violations. It is safe for concurrent use. The zero value has none, and is
// not calm.
type Ledger struct {
	mu         sync.Mutex
	violations []string
	counts     Counts
	// calmSince is zero while a fault may explain what is not decided.
	calmSince time.Time
}

// Calm says that from now on nothing is wrong with any program or network: each
// request has to be decided.
func (l *Ledger) Calm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calmSince = time.Now()
}

// Fault says that something is about to go wrong.
func (l *Ledger) Fault() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calmSince = time.Time{}
}

// Judge notes an answer about a key.
func (l *Ledger) Judge(k *Key, a Answer) {
	l.mu.Lock()
	l.counts.add(a)
	calm := !l.calmSince.IsZero() && l.calmSince.Before(a.Sent)
	l.mu.Unlock()
	if wrong := judge(k.during(a.Sent, a.Received), a.Status, calm); wrong != "" {
		l.Violate("%s: %s (%s): sent %s, answered %.1f ms later",
			a.Replica, wrong, k.Name, a.Sent.Format("15:04:05.000000"), float64(a.Received.Sub(a.Sent))/float64(time.Millisecond))
	}
}

func (c *Counts) add(a Answer) {
	switch a.Status {
	case http.StatusOK:
		c.Accepted++
	case http.StatusUnauthorized:
		c.Refused++
	case http.StatusServiceUnavailable:
		c.Undecided++
	case NoAnswer:
		c.None++
	}
	if a.Received.Sub(a.Sent) > time.Second {
		c.Late++
	}
}

// judge says what is wrong with an answer; "" if it is right.
func judge(state State, status int, calm bool) string {
	switch {
	case status == http.StatusOK && state == Dead:
		return "ACCEPTED a key after its end was reported as complete"
	case status == http.StatusUnauthorized && state == Valid:
		return "REFUSED a valid key with 401"
	case status == http.StatusOK, status == http.StatusUnauthorized:
		return ""
	case status != http.StatusServiceUnavailable && status != NoAnswer:
		return fmt.Sprintf("answered %d", status)
	case calm && state != Uncertain:
		return fmt.Sprintf("did not decide (%d) although nothing is wrong", status)
	}
	return ""
}

// Violate notes a violation: of an answer, or of whatever else.
func (l *Ledger) Violate(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.violations = append(l.violations, fmt.Sprintf(format, args...))
}

// Violations are all that were noted.
func (l *Ledger) Violations() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.violations)
}

// Counts are of all answers so far.
func (l *Ledger) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}
