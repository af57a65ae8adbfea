// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// moment is so many seconds after some time.
func moment(seconds float64) time.Time {
	return time.Unix(1_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
}

// life is valid from 10, on its way out from 20, dead from 30, on its way in from
// 40, and valid again from 50.
func life() *Key {
	k := &Key{Name: "k"}
	for at, state := range []State{1: Valid, 2: Uncertain, 3: Dead, 4: Uncertain, 5: Valid} {
		k.MarkAt(moment(float64(10*at)), state)
	}
	return k
}

func TestAnswersAreJudgedByWhatWasKnownAllTheWhile(t *testing.T) {
	const (
		ok           = http.StatusOK
		unauthorized = http.StatusUnauthorized
		unavailable  = http.StatusServiceUnavailable
	)
	for name, test := range map[string]struct {
		sent, received float64
		status         int
		calm           bool
		// wrong is part of the violation; empty for none.
		wrong string
	}{
		"a dead key is accepted":                             {sent: 31, received: 32, status: ok, wrong: "ACCEPTED"},
		"a dead key is accepted by a frozen replica, later":  {sent: 30.1, received: 39.9, status: ok, wrong: "ACCEPTED"},
		"the request was sent before the end was reported":   {sent: 29.9, received: 31, status: ok},
		"the request was sent when the end was reported":     {sent: 30, received: 31, status: ok, wrong: "ACCEPTED"},
		"the answer came after the key may live again":       {sent: 31, received: 41, status: ok},
		"a key on its way out is accepted":                   {sent: 21, received: 22, status: ok},
		"a key on its way out is refused":                    {sent: 21, received: 22, status: unauthorized},
		"a dead key is refused":                              {sent: 31, received: 32, status: unauthorized},
		"a valid key is accepted":                            {sent: 11, received: 12, status: ok},
		"a valid key is refused":                             {sent: 11, received: 12, status: unauthorized, wrong: "REFUSED"},
		"a key is refused that is valid again":               {sent: 51, received: 52, status: unauthorized, wrong: "REFUSED"},
		"a key is refused in a request sent before Ready":    {sent: 9, received: 12, status: unauthorized},
		"a key is refused in an answer after DELETE":         {sent: 19, received: 21, status: unauthorized},
		"a request from before Ready to after the next":      {sent: 9, received: 51, status: unauthorized},
		"a key that nobody has heard of is refused":          {sent: 1, received: 2, status: unauthorized},
		"a valid key is not decided in the midst of a fault": {sent: 11, received: 12, status: unavailable},
		"a valid key is not decided although all is calm":    {sent: 11, received: 12, status: unavailable, calm: true, wrong: "did not decide"},
		"a dead key is not decided although all is calm":     {sent: 31, received: 32, status: unavailable, calm: true, wrong: "did not decide"},
		"a key on its way is not decided":                    {sent: 21, received: 22, status: unavailable, calm: true},
		"no answer in the midst of a fault":                  {sent: 11, received: 12, status: NoAnswer},
		"no answer although all is calm":                     {sent: 11, received: 12, status: NoAnswer, calm: true, wrong: "did not decide"},
		"an answer that makes no sense":                      {sent: 1, received: 2, status: http.StatusForbidden, wrong: "403"},
	} {
		t.Run(name, func(t *testing.T) {
			l := &Ledger{}
			if test.calm {
				l.calmSince = moment(0)
			}
			l.Judge(life(), Answer{Replica: "r", Sent: moment(test.sent), Received: moment(test.received), Status: test.status})
			found := l.Violations()
			switch {
			case test.wrong == "" && len(found) > 0:
				t.Errorf("a right answer is called wrong: %v", found)
			case test.wrong != "" && (len(found) != 1 || !strings.Contains(found[0], test.wrong)):
				t.Errorf("got %v, want one with %q", found, test.wrong)
			}
		})
	}
}

func TestOnlyRequestsOfACalmTimeHaveToBeDecided(t *testing.T) {
	k := &Key{}
	k.MarkAt(moment(0), Valid)
	l := &Ledger{}
	undecided := func() {
		now := time.Now()
		l.Judge(k, Answer{Sent: now, Received: now, Status: http.StatusServiceUnavailable})
	}
	before := time.Now()
	l.Calm()
	l.Judge(k, Answer{Sent: before, Received: time.Now(), Status: http.StatusServiceUnavailable})
	l.Fault()
	undecided()
	if found := l.Violations(); len(found) > 0 {
		t.Errorf("before and after the calm: %v", found)
	}
	l.Calm()
	undecided()
	if found := l.Violations(); len(found) != 1 {
		t.Errorf("in the calm: %v", found)
	}
	if c := l.Counts(); c.Undecided != 3 || c.Total() != 3 {
		t.Errorf("%+v", c)
	}
}

func TestMarks(t *testing.T) {
	k := &Key{}
	if state, _ := k.Now(); state != Uncertain {
		t.Errorf("at first: %v", state)
	}
	k.MarkAt(moment(1), Valid)
	k.MarkAt(moment(2), Valid)
	if state, since := k.Now(); state != Valid || !since.Equal(moment(1)) {
		t.Errorf("%v since %v: a state that is seen twice began at the first", state, since)
	}
}
