// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

const (
	// seriesTimeout bounds a series of questions to one auth server. One whose answers never
	// end must not block the others.
	seriesTimeout = 15 * time.Second
	// maxPages bounds the answers to them: a million versions.
	maxPages = 1000
)

// usageSource is what is remembered of one auth server's process. Its fields are the Gatherer's,
// under its lock, but for the last, which are those of who asks it: there is one at a time.
type usageSource struct {
	registry.UsageSource

	// unseenFrom is when a list did not show it yet; zero if it was in the first.
	unseenFrom time.Time
	// heard is when it was asked for its last complete answer; zero if there was none.
	heard time.Time
	// failed: the last try to ask it failed.
	failed bool
	// handedOver: it counts no more, and everything was gathered.
	handedOver bool
	// gap: it ended, or was fenced, without that.
	gap bool
	// gone is when a list did not show it any more; zero if it is there.
	gone time.Time
	// asking: it is being asked.
	asking bool

	caller asker
	// address and pin are what caller was made for.
	address, pin string
	// since is the scan from which on changes are asked for.
	since uint64
}

// visit is a source to ask, and what a list has shown of it.
type visit struct {
	t   *usageSource
	who registry.UsageSource
}

// live reports whether it may be counting now.
func (t *usageSource) live() bool { return t.gone.IsZero() && !t.Fenced && !t.handedOver }

// coveredUntil is up to when every request that it counted was gathered.
func (t *usageSource) coveredUntil() time.Time {
	if !t.heard.IsZero() {
		return t.heard
	}
	return t.unseenFrom
}

// read asks one auth server for everything that is new. final reports that it will count
// no more.
func (g *Gatherer) read(ctx context.Context, v visit) (sent time.Time, final bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, seriesTimeout)
	defer cancel()
	if err := g.connect(v); err != nil {
		return sent, false, err
	}
	question := v.question()
	sent = g.Clock.Now()
	var first *usage.Answer
	refused := 0
	for page := 1; ; page++ {
		answer, err := g.ask(ctx, v, question)
		if err != nil {
			return sent, false, err
		}
		if first == nil {
			first = answer
		}
		refused += g.Ledger.take(v.who.Process, answer, g.Clock.Now())
		if !answer.More {
			break
		}
		if page == maxPages {
			return sent, false, errors.New("the answers do not end: more versions than there can be")
		}
		question.After = &answer.Versions[len(answer.Versions)-1].ID
	}
	if refused > 0 {
		return sent, false, fmt.Errorf("%d versions too many that no APIKey has", refused)
	}
	// What has changed during a series of answers is answered again.
	v.t.since = first.Scan
	return sent, first.Final, nil
}

// connect makes the caller, anew if the Lease says something else than before.
func (g *Gatherer) connect(v visit) (err error) {
	t := v.t
	if t.caller != nil && t.address == v.who.Address && t.pin == v.who.Pin {
		return nil
	}
	if t.caller != nil {
		t.caller.close()
	}
	t.caller, err = g.dial(v.who.Address, v.who.Pin)
	t.address, t.pin = v.who.Address, v.who.Pin
	return err
}

// ask puts one question, with a new token if the one there was is not accepted.
func (g *Gatherer) ask(ctx context.Context, v visit, question *usage.Question) (*usage.Answer, error) {
	for attempt := 1; ; attempt++ {
		token, err := g.Tokens.Token(ctx)
		if err != nil {
			return nil, err
		}
		answer, err := v.t.caller.ask(ctx, token, question)
		var status *statusError
		if errors.As(err, &status) && status.refused() {
			g.Tokens.Drop(token)
			if attempt == 1 {
				continue
			}
		}
		return answer, err
	}
}

// dismiss confirms the handover to an auth server, which then stops.
func (g *Gatherer) dismiss(ctx context.Context, v visit) error {
	question := v.question()
	question.Taken = true
	_, err := g.ask(ctx, v, question)
	return err
}

// question asks for what is new.
func (v visit) question() *usage.Question {
	return &usage.Question{Process: v.who.Process, Since: v.t.since}
}
