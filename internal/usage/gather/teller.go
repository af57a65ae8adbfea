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

// teller is what is remembered of one auth server's process. Its fields are the
// Gatherer's, under its lock, but for those of the series, of which there is one at a
// time.
type teller struct {
	registry.Teller

	// unseenFrom is when a list did not show it yet; zero if it was in the first.
	unseenFrom time.Time
	// heard is when it was asked for what it told last; zero if it never told anything.
	heard time.Time
	// failed: the last try to ask it failed.
	failed bool
	// handedOver: it counts no more, and everything was taken in.
	handedOver bool
	// gap: it ended, or was fenced, without that.
	gap bool
	// gone is when a list did not show it any more; zero if it is there.
	gone time.Time

	caller asker
	// since is the scan from which on changes are asked for.
	since uint64
}

// live reports whether it may be counting now.
func (t *teller) live() bool { return t.gone.IsZero() && !t.Fenced && !t.handedOver }

// coveredUntil is up to when every request that it counted was gathered.
func (t *teller) coveredUntil() time.Time {
	if !t.heard.IsZero() {
		return t.heard
	}
	return t.unseenFrom
}

// read asks one auth server, until it has told everything that is new. final reports
// that it will count no more.
func (g *Gatherer) read(ctx context.Context, t *teller) (sent time.Time, final bool, err error) {
	if t.caller == nil {
		if t.caller, err = g.dial(t.Address, t.Pin); err != nil {
			return sent, false, err
		}
	}
	question := t.question(nil)
	sent = g.Clock.Now()
	var first *usage.Answer
	refused := 0
	for {
		question.Acknowledged = g.Ledger.marks(t.Process)
		answer, err := g.ask(ctx, t, question)
		if err != nil {
			return sent, false, err
		}
		if first == nil {
			first = answer
		}
		refused += g.Ledger.take(t.Process, answer, g.Clock.Now())
		if !answer.More {
			break
		}
		question.After = &answer.Versions[len(answer.Versions)-1].ID
	}
	if refused > 0 {
		return sent, false, fmt.Errorf("it tells of %d versions too many that no APIKey has", refused)
	}
	// What has changed during a series of answers is told again.
	t.since = first.Scan
	return sent, first.Final, nil
}

// ask puts one question, with a new token if the one there was is not accepted.
func (g *Gatherer) ask(ctx context.Context, t *teller, question *usage.Question) (*usage.Answer, error) {
	for attempt := 1; ; attempt++ {
		token, err := g.Tokens.Token(ctx)
		if err != nil {
			return nil, err
		}
		answer, err := t.caller.ask(ctx, token, question)
		var status *statusError
		if errors.As(err, &status) && status.refused() {
			g.Tokens.Drop(token)
			if attempt == 1 {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		g.Ledger.acknowledged(t.Process, question.Acknowledged)
		return answer, nil
	}
}

// dismiss tells an auth server that everything was taken, so that it may go. It waits
// for that only.
func (g *Gatherer) dismiss(ctx context.Context, t *teller) error {
	question := t.question(g.Ledger.marks(t.Process))
	question.Taken = true
	_, err := g.ask(ctx, t, question)
	return err
}

// question asks for what is new.
func (t *teller) question(marks []usage.Mark) *usage.Question {
	return &usage.Question{Process: t.Process, Since: t.since, Acknowledged: marks}
}
